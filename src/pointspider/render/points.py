"""The Mitsuba scene of a cloud, built once: its points move and change colour from cloud to cloud."""

import tempfile

import numpy as np

from pointspider.render.scene import RADIUS, camera, surroundings

# A point is a segment whose far end is a smaller sphere inside the near one, so that only one sphere is seen
# and the shape's second texture coordinate tells which. Embree and OptiX intersect it as the sphere it is.
FAR_END = np.float32([0, 0, -0.4 * RADIUS, 0.2 * RADIUS])  # offset and radius


class PointScene:
    """The reference's scene with all points in one shape of round line segments.

    Attributes:
        size: the picture's grid has size x size cells.
        scene: the Mitsuba scene; another one whenever the number of points has changed.
        centres, colours: what it shows, each (N, 3) float32.
    """

    def __init__(self, size: int):
        """A scene without points.

        Args:
            size: cells per side of the picture's grid.
        """
        self.size = size
        self.scene = None
        self.centres = self.colours = np.empty((0, 3), np.float32)

    def show(self, centres: np.ndarray, colours: np.ndarray) -> None:
        """Make the scene's points those at `centres`, (N, 3), in `colours`, (N, 3)."""
        import mitsuba as mi

        if len(centres) != len(self.centres):
            self.scene = self._build(len(centres))
        self.centres, self.colours = centres, colours
        near = np.pad(centres, ((0, 0), (0, 1)), constant_values=RADIUS)  # (N, 4)
        far = near + FAR_END
        far[:, 3] = FAR_END[3]
        parameters = mi.traverse(self.scene)
        parameters["points.control_points"] = np.stack([near, far], axis=1).ravel()
        parameters["points.bsdf.reflectance.data"] = _texture(colours)
        parameters.update()

    def shape(self, name: str):
        """The Mitsuba shape of that name: points, floor or light."""
        return next(shape for shape in self.scene.shapes() if shape.id() == name)

    def _build(self, count: int):
        """The scene with `count` points, whose places and colours `show` sets."""
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
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:  # the shape's only way in
            file.write("0 0 0 1\n0 0 1 1\n\n" * count)
            file.flush()
            return mi.load_dict(
                {
                    "type": "scene",
                    "integrator": {"type": "path", "max_depth": -1},
                    "sensor": camera(self.size, 1, "multijitter", "box"),
                    **surroundings(),
                    "points": {
                        "type": "linearcurve",
                        "filename": file.name,
                        "bsdf": {"type": "diffuse", "reflectance": colours},
                    },
                }
            )


def _texture(colours: np.ndarray) -> np.ndarray:
    """Colours (N, 3) as the rows of a texture (N, 2, 3); Mitsuba wants it two wide."""
    return np.repeat(colours[:, None], 2, axis=1)
