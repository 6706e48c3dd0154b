"""LAS point clouds of laser scanners, read by laspy: with colours, and classification as labels."""

from pathlib import Path

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import scale_colors
from pointspider.clouds.readers.registry import FORMATS, Format


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
    labels = np.asarray(file["classification"]).astype(np.int64) if "classification" in names else None
    return Cloud(np.column_stack([file.x, file.y, file.z]).astype(np.float64), colors=colors, labels=labels)


FORMATS.add("las", Format((".las",), read, lambda head, size: head.startswith(b"LASF")))
