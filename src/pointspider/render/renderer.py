"""The fast renderer: one scene per process, whose points move and change colour from cloud to cloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from tqdm import tqdm

from pointspider.render.scene import RADIUS, camera, place, surroundings, to_srgb
from pointspider.storage import InputError, write_png

SUBDIVISIONS = 1  # of the icosahedron that stands for a sphere: 42 vertices, 80 faces


@dataclass(frozen=True)
class RenderSettings:
    """What a picture depends on besides its cloud.

    Attributes:
        resolution: width and height H = W in pixels.
        samples_per_pixel: samples of each pixel.
        seed: of the Monte-Carlo samples; the same for every cloud.
    """

    resolution: int
    samples_per_pixel: int
    seed: int = 0

    def __post_init__(self):
        for key in ("resolution", "samples_per_pixel"):
            if getattr(self, key) < 1:
                raise InputError(f"render.{key}: is {getattr(self, key)}, must be 1 or more.")


class Renderer:
    """Renders clouds in the variant that is active (`variants.activate`).

    All points of a cloud are one mesh, which is updated in place: kernels are compiled for the first cloud
    only, and buffers are replaced when the number of points changes.
    """

    def __init__(self, settings: RenderSettings):
        self.settings = settings
        self._scene = None
        self._count = 0
        sphere = trimesh.creation.icosphere(subdivisions=SUBDIVISIONS)
        self._vertices = (RADIUS * sphere.vertices).astype(np.float32)  # (V, 3)
        self._faces = sphere.faces.astype(np.uint32)  # (F, 3)

    def render(self, points: np.ndarray) -> np.ndarray:
        """Render clouds.

        Args:
            points: (B, N, 3), y up; any real or integer type and any scale.

        Returns:
            (B, H, W, 3) uint8, sRGB.

        Raises:
            InputError: `points` has another shape, or a cloud cannot be drawn; see `scene.place`.
        """
        points = np.asarray(points)
        if points.ndim != 3 or len(points) == 0:
            raise InputError(f"clouds are (B, N, 3) numbers with B >= 1, not {points.shape}.")
        return np.stack([self._render_one(cloud) for cloud in points])

    def _render_one(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) to (H, W, 3) uint8."""
        import mitsuba as mi

        self._show(*place(points))
        return to_srgb(np.array(mi.render(self._scene, seed=self.settings.seed)))

    def _show(self, centres: np.ndarray, colours: np.ndarray) -> None:
        """Make the scene's mesh the spheres around `centres`, (N, 3), in `colours`, (N, 3)."""
        import mitsuba as mi

        positions = (centres[:, None] + self._vertices).ravel()
        vertex_colours = np.repeat(colours, len(self._vertices), axis=0).ravel()
        if len(centres) != self._count:
            self._count = len(centres)
            self._scene = self._build_scene(self._count)
        parameters = mi.traverse(self._scene)
        parameters["points.vertex_positions"] = positions
        parameters["points.vertex_color"] = vertex_colours
        parameters.update()

    def _build_scene(self, count: int):
        """The scene with a mesh of `count` spheres, all at the origin until they are shown."""
        import mitsuba as mi

        material = {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "vertex_color"}}
        properties = mi.Properties()
        properties["bsdf"] = mi.load_dict(material)
        mesh = mi.Mesh(
            "points",
            vertex_count=count * len(self._vertices),
            face_count=count * len(self._faces),
            has_vertex_normals=True,
            props=properties,
        )
        mesh.add_attribute("vertex_color", 3, np.ones(count * self._vertices.size, np.float32))
        offsets = len(self._vertices) * np.arange(count, dtype=np.uint32)
        parameters = mi.traverse(mesh)
        parameters["faces"] = (self._faces + offsets[:, None, None]).ravel()
        parameters["vertex_positions"] = np.tile(self._vertices, (count, 1)).ravel()
        parameters.update()
        settings = self.settings
        return mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": -1},
                "sensor": camera(settings.resolution, settings.samples_per_pixel, "multijitter", "gaussian"),
                **surroundings(),
                "points": mesh,
            }
        )


def render_class(
    renderer: Renderer, clouds: Mapping[object, tuple[list[str], list[np.ndarray]]], directory: str | Path
) -> None:
    """Render every cloud of one class to `<directory>/<variant>/<object>.png`.

    Args:
        renderer: renders them.
        clouds: variant to (cloud ids "<class>/<variant>/<object>", their points, (n, N, 3)).
        directory: that of the class.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    rows = [row for ids, points in clouds.values() for row in zip(ids, points, strict=True)]
    for cloud_id, points in tqdm(rows, desc=str(directory), unit="cloud", disable=None):
        try:
            image = renderer.render(points[None])[0]
        except InputError as error:
            raise InputError(f"cloud {cloud_id}: {error}") from error
        _, variant, object_name = cloud_id.split("/")
        write_png(Path(directory) / variant / f"{object_name}.png", image)
