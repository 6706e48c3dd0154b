"""OFF meshes in their dialects: COFF, NOFF and STOFF, comments, and ModelNet40's header without line end."""

import re
from pathlib import Path

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import scale_colors
from pointspider.clouds.readers.polygons import triangulate, with_faces
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError

_HEADER = re.compile(r"\s*(ST)?(C?)(N?)(4?)OFF\s*", re.IGNORECASE)


def read(path: Path, row: int | None) -> Cloud:
    """Read a mesh, or points if the file has no faces."""
    text = re.sub("#.*", "", path.read_text(encoding="latin-1"))
    header = _HEADER.match(text)
    if header is None or header[4]:
        raise InputError("cannot be read as off (it does not start with OFF).")
    lines = [line for line in text[header.end() :].splitlines() if line.strip()]
    counts = [int(value) for value in (lines[0] if lines else "").split()]
    if len(counts) < 2:
        raise InputError("cannot be read as off (it has no counts of vertices and faces); is it complete?")
    vertices, faces = lines[1 : 1 + counts[0]], lines[1 + counts[0] : 1 + counts[0] + counts[1]]
    if len(vertices) < counts[0] or len(faces) < counts[1]:
        raise InputError(
            f"has {len(lines) - 1} rows of {counts[0]} vertices and {counts[1]} faces; is it complete?"
        )
    if not vertices:
        raise InputError("has no points.")
    table = np.array(" ".join(vertices).split(), dtype=np.float64).reshape(len(vertices), -1)
    first = 6 if header[3] else 3
    colors = table[:, first : first + 3]
    cloud = Cloud(
        table[:, :3],
        colors=scale_colors(colors) if header[2] and colors.shape[1] == 3 else None,
        normals=table[:, 3:6] if header[3] else None,
    )
    rows = [line.split() for line in faces]
    sizes = np.array([int(row[0]) for row in rows], dtype=np.int64)
    corners = [corner for row, size in zip(rows, sizes.tolist(), strict=True) for corner in row[1 : 1 + size]]
    if len(corners) < sizes.sum():
        raise InputError("a face has fewer vertices than it states; is the file complete?")
    return with_faces(cloud, triangulate(sizes, np.array(corners, dtype=np.int64)))


FORMATS.add("off", Format((".off",), read, lambda head, size: _HEADER.match(_uncomment(head)) is not None))


def _uncomment(head: bytes) -> str:
    return re.sub("#.*", "", head.decode("latin-1"))
