"""Laser scans without a header: rows of float32 numbers. The user has to name the format."""

from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError


def _reader(*names: str) -> Any:
    def read(path: Path, row: int | None) -> Cloud:
        """Read a cloud; columns after x, y, z are its fields."""
        size, columns = path.stat().st_size, 3 + len(names)
        if size % (4 * columns):
            raise InputError(f"its {size} bytes are not rows of {columns} float32 numbers.")
        table = np.fromfile(path, dtype="<f4").reshape(-1, columns)
        return Cloud(table[:, :3].copy(), fields={name: table[:, 3 + n] for n, name in enumerate(names)})

    return read


FORMATS.add("kitti", Format((), _reader("intensity")))  # KITTI calls it reflectance
FORMATS.add("nuscenes", Format((), _reader("intensity", "ring")))
