"""OBJ, STL and GLB meshes, read by trimesh. The objects of a file are joined, missing textures ignored."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.polygons import with_faces
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size


def _reader(file_type: str) -> Any:
    def read(path: Path, row: int | None) -> Cloud:
        """Read a mesh, or points if the file has no faces."""
        import trimesh

        source: Any = path
        resolver = trimesh.resolvers.FilePathResolver(str(path))  # of files of materials and textures
        if file_type == "glb":
            source = io.BytesIO(path.read_bytes())
            _check_accessors(source.getvalue(), path)
        scene: Any = trimesh.load_scene(source, file_type=file_type, resolver=resolver, process=False)
        parts = [_part(part) for part in scene.dump()]
        if not parts:
            raise InputError("has no points.")
        clouds, faces = zip(*parts, strict=True)
        offsets = np.cumsum([0, *map(len, clouds)])[:-1]
        colored = all(cloud.colors is not None for cloud in clouds)
        cloud = Cloud(
            np.concatenate([cloud.points for cloud in clouds]),
            colors=np.concatenate([cloud.colors for cloud in clouds]) if colored else None,
        )
        return with_faces(cloud, np.concatenate([f + o for f, o in zip(faces, offsets, strict=True)]))

    return read


def _part(geometry: Any) -> tuple[Cloud, Any]:
    """Return vertices with colours, and the faces, of one object."""
    visual: Any = getattr(geometry, "visual", None)
    colors = None
    if getattr(visual, "kind", None) == "texture":
        image = getattr(visual.material, "image", None)
        if image is not None and min(image.size) > 2:  # trimesh gives 2 x 2 pixels for a missing texture
            visual = visual.to_color()
    if getattr(visual, "kind", None) in ("vertex", "face"):
        colors = (visual.vertex_colors.reshape(-1, 4)[:, :3] / 255).astype(np.float32)
    faces = np.asarray(getattr(geometry, "faces", np.empty((0, 3), np.int64)))
    return Cloud(np.asarray(geometry.vertices, dtype=np.float64), colors=colors), faces


def _check_accessors(data: bytes, path: Path) -> None:
    """Check the number of values in a GLB file; trimesh allocates zeros where a file has none."""
    length = int.from_bytes(data[12:16], "little")
    if length > len(data):
        raise InputError("ends within its header; is it complete?")
    header = json.loads(data[20 : 20 + length])
    check_size(sum(abs(accessor["count"]) for accessor in header.get("accessors", [])), path)


def _is_stl(head: bytes, size: int) -> bool:
    binary = len(head) >= 84 and size == 84 + 50 * int.from_bytes(head[80:84], "little")
    return binary or (head.lstrip().lower().startswith(b"solid") and b"facet" in head.lower())


FORMATS.add("obj", Format((".obj",), _reader("obj")))
FORMATS.add("stl", Format((".stl",), _reader("stl"), _is_stl))
FORMATS.add("glb", Format((".glb",), _reader("glb"), lambda head, size: head.startswith(b"glTF")))
