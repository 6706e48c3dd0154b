"""LAS point clouds of laser scanners, read by laspy: colours, classification as labels, and all fields."""

import mmap
import struct
from pathlib import Path

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import scale_colors
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size

USED = {"X", "Y", "Z", "red", "green", "blue"}  # coordinates and colours


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    import laspy

    _check_header(path)
    with path.open("rb") as stream:  # mapped, it returns no more than there is, whatever the header declares
        file = laspy.read(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    if len(file.points) < file.header.point_count:
        raise InputError(f"has {len(file.points)} of {file.header.point_count} points; is it complete?")
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


def _check_header(path: Path) -> None:
    """Check the number of records before the points and, in version 1.4, after them; laspy reads as many."""
    with path.open("rb") as file:
        head = file.read(375).ljust(375, b"\0")
    (before,) = struct.unpack_from("<I", head, 100)
    (after,) = struct.unpack_from("<I", head, 243) if head[25] >= 4 else (0,)
    check_size(54 * before + 60 * after, path, expansion=1)  # the size of an empty record


FORMATS.add("las", Format((".las",), read, lambda head, size: head.startswith(b"LASF")))
