"""A point cloud in memory: points, attributes of the points, and perhaps a surface."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
        return self.sample_faces(count, rng)[0]

    def sample_faces(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Int[np.ndarray, " count"]]:
        """Sample points as `sample` does; also return the face of each."""
        import trimesh

        if not self.surface.area > 0:
            raise InputError("its mesh has no area; repair it or give its points as .npy.")
        points, faces = trimesh.sample.sample_surface(self.surface, count, seed=rng)[:2]
        return np.asarray(points), np.asarray(faces)


@dataclass(frozen=True, eq=False)
class Cloud:
    """A point cloud.

    Attributes:
        points: coordinates; of a mesh, its vertices until `Source.load` or the reader samples it.
        mesh: the surface, in the frame of the points.
        colors: sRGB (not linear) from 0 to 1, as files store it.
        labels: an integer per point; -1 for none.
        normals: of any length.
        fields: other numbers of the points by the names that the file gives them, such as "intensity".
    """

    points: Float[np.ndarray, "N 3"]
    mesh: Mesh | None = None
    colors: Float[np.ndarray, "N 3"] | None = None
    labels: Integer[np.ndarray, " N"] | None = None
    normals: Float[np.ndarray, "N 3"] | None = None
    fields: Mapping[str, Num[np.ndarray, " N"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def has_attributes(self) -> bool:
        """Whether its points have more than coordinates."""
        parts = (self.colors, self.labels, self.normals)
        return bool(self.fields) or any(values is not None for values in parts)

    def take(self, index: Int[np.ndarray, " M"]) -> "Cloud":
        """Select points with their attributes; a mesh is dropped."""
        return self._with_attributes(self.points[index], None, lambda values: values[index])

    def sample_mesh(self, count: int, rng: np.random.Generator) -> "Cloud":
        """Sample points uniformly over the area of the mesh, whose vertices are the points of this cloud.

        Colours, normals and fields of real numbers are interpolated, labels and whole numbers are those of
        the nearest vertex of the face. The mesh stays.

        Raises:
            InputError: the mesh has no area.
        """
        import trimesh

        assert self.mesh is not None
        points, faces = self.mesh.sample_faces(count, rng)
        corners = self.mesh.faces[faces]  # (count, 3)
        weights: Any = trimesh.triangles.points_to_barycentric(self.mesh.vertices[corners], points)  # type: ignore[no-untyped-call]
        nearest = corners[np.arange(count), weights.argmax(axis=1)]

        def interpolated(values: Any) -> Any:
            if values.dtype.kind != "f":
                return values[nearest]
            mean = (values[corners] * (weights if values.ndim == 1 else weights[..., None])).sum(axis=1)
            return mean.astype(values.dtype)

        return self._with_attributes(points, self.mesh, interpolated)

    def _with_attributes(self, points: Any, mesh: Mesh | None, change: Callable[[Any], Any]) -> "Cloud":
        """Return a cloud of other points, with changed attributes."""
        parts = {name: getattr(self, name) for name in ("colors", "labels", "normals")}
        changed = {name: None if values is None else change(values) for name, values in parts.items()}
        fields = {name: change(values) for name, values in self.fields.items()}
        return Cloud(points, mesh, **changed, fields=fields)

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
        return replace(self, points=scaled, mesh=mesh)


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
