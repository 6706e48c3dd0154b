"""OFF meshes, read by trimesh."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.polygons import with_faces
from pointspider.clouds.readers.registry import FORMATS, Format


def read(path: Path, row: int | None) -> Cloud:
    """Read a mesh, or points if the file has no faces."""
    import trimesh

    geometry: Any = trimesh.load(path, file_type="off", process=False)
    faces = np.asarray(getattr(geometry, "faces", np.empty((0, 3), np.int64)))
    return with_faces(Cloud(np.asarray(geometry.vertices)), faces)


#: The header may follow comments, and ModelNet40's has the counts directly after it.
_HEADER = re.compile(rb"\s*(#[^\n]*\n\s*)*(ST)?C?N?4?OFF")
FORMATS.add("off", Format((".off",), read, lambda head: _HEADER.match(head) is not None))
