"""A point cloud in memory: points, attributes of the points, and perhaps a surface."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, Num

from pointspider.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: corners, each part of a face.
        faces: rows of `vertices`.
    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]

    @cached_property
    def surface(self) -> Any:
        """The mesh as a `trimesh.Trimesh`, for sampling and ray casting."""
        import trimesh

        return trimesh.Trimesh(self.vertices, self.faces, process=False)

    def sample(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 3"]:
        """Sample points uniformly over the area.

        Raises:
            InputError: the mesh has no area.
        """
        import trimesh

        if not self.surface.area > 0:
            raise InputError("its mesh has no area; repair it or give its points as .npy.")
        points: Float[np.ndarray, "count 3"] = trimesh.sample.sample_surface(self.surface, count, seed=rng)[0]
        return points


@dataclass(frozen=True, eq=False)
class Cloud:
    """A point cloud.

    Attributes:
        points: coordinates; of a mesh, its vertices until `Source.load` or the reader samples it.
        mesh: the surface, in the frame of the points.
        colors: sRGB (not linear) from 0 to 1, as files store it.
        labels: an integer per point; -1 for none.
        normals: of any length.
    """

    points: Float[np.ndarray, "N 3"]
    mesh: Mesh | None = None
    colors: Float[np.ndarray, "N 3"] | None = None
    labels: Integer[np.ndarray, " N"] | None = None
    normals: Float[np.ndarray, "N 3"] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def take(self, index: Int[np.ndarray, " M"]) -> "Cloud":
        """Select points with their attributes; a mesh is dropped."""
        colors, labels, normals = (
            None if values is None else values[index] for values in (self.colors, self.labels, self.normals)
        )
        return Cloud(self.points[index], None, colors, labels, normals)

    def normalize(self, what: str) -> "Cloud":
        """Centre the points on their mean and scale them to maximum radius 1, float32; the mesh likewise.

        Args:
            what: the file or cloud, for error messages.

        Raises:
            InputError: `validate_points` refuses the points, or floating point cannot scale them.
        """
        validate_points(self.points, what)
        points = self.points.astype(np.float64)
        with np.errstate(all="ignore"):
            centre = points.mean(axis=0)
            radius = np.linalg.norm(points - centre, axis=1).max()
            scaled = ((points - centre) / radius).astype(np.float32)
            vertices = (self.mesh.vertices - centre) / radius if self.mesh else scaled
        if not (np.isfinite(vertices).all() and abs(np.linalg.norm(scaled, axis=1).max() - 1) < 1e-3):
            raise InputError(
                f"{what}: its coordinates, {points.min():.3g} to {points.max():.3g}, are too large, too "
                "small or too far from the origin to be scaled; shift and scale them first."
            )
        mesh = Mesh(vertices, self.mesh.faces) if self.mesh else None
        return Cloud(scaled, mesh, self.colors, self.labels, self.normals)


def validate_points(points: Num[np.ndarray, "..."], what: str) -> None:
    """Check that an array is a usable cloud.

    Args:
        points: should be (N, 3), finite, with at least two distinct points.
        what: the file or cloud, for the message.

    Raises:
        InputError: it is not.
    """
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(
            f"{what}: points must be numbers of shape (N, 3), not {points.dtype} {points.shape}."
        )
    if len(points) == 0:
        raise InputError(f"{what}: has no points.")
    broken = len(points) - np.count_nonzero(np.isfinite(points).all(axis=1))
    if broken:
        raise InputError(
            f"{what}: {broken} of {len(points)} points have NaN or inf coordinates; remove them."
        )
    if (points == points[0]).all():
        raise InputError(f"{what}: all of its {len(points)} points coincide; two must be distinct.")
