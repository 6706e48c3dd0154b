"""Laser scans without a header: rows of float32 numbers. The user has to name the format."""

from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError


def _reader(columns: int) -> Any:
    def read(path: Path, row: int | None) -> Cloud:
        """Read a cloud; columns after x, y, z are ignored."""
        size = path.stat().st_size
        if size % (4 * columns):
            raise InputError(f"its {size} bytes are not rows of {columns} float32 numbers.")
        return Cloud(np.fromfile(path, dtype="<f4").reshape(-1, columns)[:, :3].copy())

    return read


FORMATS.add("kitti", Format((), _reader(4)))  # x, y, z, reflectance
FORMATS.add("nuscenes", Format((), _reader(5)))  # x, y, z, intensity, ring
