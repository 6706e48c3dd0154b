"""The Mitsuba scene of a cloud, built once: its points move and change colour from cloud to cloud."""

import tempfile
from typing import Any

import numpy as np
from jaxtyping import Float32

from pointspider.render.scene import Camera, Spheres, surroundings

# A point is a segment whose far end is a smaller sphere inside the near one, so that only one sphere is seen
# and the shape's second texture coordinate tells which. Embree and OptiX intersect it as the sphere it is.
FAR_END = (0.0, 0.0, -0.4, 0.2)  # offset and radius, in radii


class PointScene:
    """The scene with all points in one shape of round line segments.

    Attributes:
        camera: where it is seen from.
        size: cells per side of the picture's grid.
        floor: whether there is one.
        spheres: the cloud that it shows; none at first.
        scene: the Mitsuba scene; rebuilt whenever the number of points changes.
    """

    def __init__(self, camera: Camera, size: int, floor: bool = True) -> None:
        self.camera = camera
        self.size = size
        self.floor = floor
        self.spheres = Spheres(*np.empty((2, 0, 3), np.float32))
        self.scene: Any = None
        self._parameters: Any = None

    def show(self, spheres: Spheres) -> None:
        """Replace the cloud."""
        import mitsuba as mi

        if len(spheres.centres) != len(self.spheres.centres):
            self.scene = self._build(len(spheres.centres))
            self._parameters = mi.traverse(self.scene)
        self.spheres = spheres
        near = np.pad(spheres.centres, ((0, 0), (0, 1)), constant_values=spheres.radius)  # (N, 4)
        far_end = spheres.radius * np.array(FAR_END)
        far = near + far_end.astype(np.float32)
        far[:, 3] = far_end[3]
        parameters = self._parameters
        parameters["points.control_points"] = np.stack([near, far], axis=1).ravel()
        parameters["points.bsdf.reflectance.data"] = _texture(spheres.colours)
        parameters.update()

    def shape(self, name: str) -> Any:
        """Return the Mitsuba shape of that name (points, floor or light), or None."""
        return next((shape for shape in self.scene.shapes() if shape.id() == name), None)

    def _build(self, count: int) -> Any:
        """A scene with `count` points, whose places and colours `show` sets."""
        import mitsuba as mi

        colours = {
            "type": "bitmap",
            "bitmap": mi.Bitmap(_texture(np.ones((count, 3), np.float32))),
            "filter_type": "nearest",
            "wrap_mode": "clamp",
            "raw": True,
            "accel": False,  # graphics hardware bounds a texture's height
            "to_uv": mi.ScalarTransform3f().translate([0, 0.5 / count]),  # to the middle of a point's texel
        }
        with tempfile.NamedTemporaryFile(
            "w", suffix=".txt", encoding="utf-8"
        ) as file:  # the shape reads only files
            file.write("0 0 0 1\n0 0 1 1\n\n" * count)
            file.flush()
            return mi.load_dict(
                {
                    "type": "scene",
                    "integrator": {"type": "path", "max_depth": -1},
                    "sensor": self.camera.sensor(self.size, 1, "multijitter", "box"),
                    **surroundings(self.floor),
                    "points": {
                        "type": "linearcurve",
                        "filename": file.name,
                        "bsdf": {"type": "diffuse", "reflectance": colours},
                    },
                }
            )


def _texture(colours: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 2 3"]:
    """Colours as the rows of a texture, which Mitsuba requires to be two wide."""
    return np.repeat(colours[:, None], 2, axis=1)
