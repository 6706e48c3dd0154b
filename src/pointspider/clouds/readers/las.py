"""LAS point clouds of laser scanners, read by laspy: colours, classification as labels, and all fields."""

from pathlib import Path

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import scale_colors
from pointspider.clouds.readers.registry import FORMATS, Format

USED = {"X", "Y", "Z", "red", "green", "blue"}  # coordinates and colours


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    import laspy

    file = laspy.read(path)
    names = set(file.point_format.dimension_names)
    colors = None
    if {"red", "green", "blue"} <= names:
        stored = np.column_stack([np.asarray(file[name]) for name in ("red", "green", "blue")])
        # The standard asks for 16 bits; some writers store 8.
        colors = scale_colors(stored.astype(np.uint8) if stored.size and stored.max() < 256 else stored)
    fields = {name.lower(): np.asarray(file[name]) for name in sorted(names - USED)}
    fields = {
        name: values for name, values in fields.items() if values.ndim == 1 and values.dtype.kind in "fiub"
    }
    labels = fields["classification"].astype(np.int64) if "classification" in fields else None
    points = np.column_stack([file.x, file.y, file.z]).astype(np.float64)
    return Cloud(points, colors=colors, labels=labels, fields=fields)


FORMATS.add("las", Format((".las",), read, lambda head, size: head.startswith(b"LASF")))
