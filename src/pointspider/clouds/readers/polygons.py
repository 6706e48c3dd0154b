"""From polygons of a file to a mesh of triangles."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int, Num

from pointspider.clouds.cloud import Cloud, Mesh
from pointspider.core.errors import InputError


def triangulate(counts: Int[np.ndarray, " P"], corners: Int[np.ndarray, " K"]) -> Int[np.ndarray, "F 3"]:
    """Cut polygons into fans of triangles.

    Args:
        counts: the number of corners of each polygon; those with fewer than three are dropped.
        corners: the vertices of all polygons, one after another.
    """
    starts = np.cumsum(counts) - counts
    triangles = np.maximum(counts - 2, 0)
    owner = np.repeat(np.arange(len(counts)), triangles)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    first = starts[owner]
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1)


def unroll_strips(strip: Int[np.ndarray, " K"]) -> Int[np.ndarray, "F 3"]:
    """Return the triangles of strips that are separated by negative numbers."""
    index = np.arange(len(strip) - 2)
    triangles = np.stack([strip[index], strip[index + 1], strip[index + 2]], axis=1)
    begins = np.flatnonzero(np.r_[True, strip[:-1] < 0])
    odd = (index - begins[np.searchsorted(begins, index, side="right") - 1]) % 2 == 1
    triangles[odd] = triangles[odd][:, [1, 0, 2]]
    return triangles[(triangles >= 0).all(axis=1)]


def with_faces(cloud: Cloud, faces: Num[np.ndarray, "F 3"]) -> Cloud:
    """Add faces to a cloud of vertices and drop vertices that no face uses.

    Raises:
        InputError: a face has a vertex that does not exist.
    """
    if not len(faces):
        return cloud
    beyond = np.flatnonzero(((faces < 0) | (faces >= len(cloud))).any(axis=1))
    if len(beyond):
        raise InputError(
            f"triangle {beyond[0]} has vertices {faces[beyond[0]].tolist()}, but there are {len(cloud)}: "
            "0 is the first."
        )
    used, index = np.unique(faces, return_inverse=True)
    points = cloud.points[used].astype(np.float64)
    return replace(cloud.take(used), points=points, mesh=Mesh(points, index.reshape(-1, 3)))
