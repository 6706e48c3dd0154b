"""Meshes drawn as surfaces, by Mitsuba's path tracer in every variant.

The final gather looks its radiance up per sphere, so it draws points only. Lighting, floor, camera and layers
are those of the points.

Imports Mitsuba; see the package.
"""

from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np
from jaxtyping import Bool, Float, Float32

from pointspider.render.path_tracer import radiance
from pointspider.render.scene import Camera, Surface, surroundings

SAMPLES = 16  # per cell, of albedo, normal and coverage
SHADOW_SAMPLES = 40_000  # points of the surface whose shadows are found


@dataclass
class SurfaceScene:
    """The scene of a mesh.

    Attributes:
        camera: where it is seen from.
        size: cells per side of the picture's grid.
        floor: whether there is one.
    """

    camera: Camera
    size: int
    floor: bool

    def show(self, surface: Surface) -> None:
        """Replace the mesh."""
        sensor = self.camera.sensor(self.size, SAMPLES, "multijitter", "box")
        mesh = _mesh(surface)
        self.scene: Any = mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": -1},
                "sensor": sensor,
                **surroundings(self.floor),
                "mesh": mesh,
            }
        )
        sensor["film"]["pixel_format"] = "rgba"
        self._alone: Any = mi.load_dict({"type": "scene", "sensor": sensor, "mesh": mesh})

    def guides(self, seed: int) -> Float32[np.ndarray, "G G 7"]:
        """Return albedo, normal and coverage: means over cells, of the white floor where the mesh is not."""
        integrator = mi.load_dict(
            {
                "type": "aov",
                "aovs": "albedo:albedo,normal:sh_normal",
                "image": {"type": "direct", "hide_emitters": True},
            }
        )
        image = np.array(mi.render(self._alone, integrator=integrator, spp=SAMPLES, seed=seed))
        coverage, guides = image[..., 3:4], image[..., 4:10]
        floor = np.array([1, 1, 1, 0, 0, 1], np.float32)
        return np.concatenate([guides + (1 - coverage) * floor, coverage], axis=-1).astype(np.float32)

    def trace(self, traced: Bool[np.ndarray, "G G"], samples: int, seed: int) -> Float32[np.ndarray, "G G 3"]:
        """Return the radiance of cells; that of others is arbitrary."""
        return radiance(self.scene, traced, samples, seed)


def sample_surface(surface: Surface) -> Float[np.ndarray, "n 3"]:
    """Return points on the surface, spread evenly; always the same ones."""
    corners = surface.vertices[surface.faces].astype(np.float64)  # (F, 3, 3)
    edges = corners[:, 1:] - corners[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    rng = np.random.default_rng(0)
    places = (np.arange(SHADOW_SAMPLES) + 0.5) / SHADOW_SAMPLES * area.sum()
    face = np.searchsorted(area.cumsum(), places).clip(0, len(area) - 1)
    u, v = rng.random((2, SHADOW_SAMPLES, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return corners[face, 0] + u * edges[face, 0] + v * edges[face, 1]


def _mesh(surface: Surface) -> Any:
    """The surface as a Mitsuba mesh that is seen from both sides."""
    count, normals = len(surface.vertices), surface.normals
    properties = mi.Properties()
    properties["mesh_bsdf"] = mi.load_dict(
        {
            "type": "twosided",
            "nested": {
                "type": "diffuse",
                "reflectance": {"type": "mesh_attribute", "name": "vertex_color"},
            },
        }
    )
    mesh = mi.Mesh(
        "mesh",
        vertex_count=count,
        face_count=len(surface.faces),
        has_vertex_normals=normals is not None,
        props=properties,
    )
    mesh.add_attribute("vertex_color", 3, surface.colours.ravel())
    parameters = mi.traverse(mesh)
    parameters["vertex_positions"] = np.ravel(surface.vertices)
    parameters["faces"] = np.ravel(surface.faces.astype(np.uint32))
    if normals is not None:
        parameters["vertex_normals"] = np.ravel(normals)
    parameters.update()
    return mesh
