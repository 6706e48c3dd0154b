"""The paper's own rendering procedure, the standard that the fast renderer is measured against."""

from typing import Any

import numpy as np
from jaxtyping import Float, Num, UInt8

from pointspider.render.scene import RESOLUTION, SAMPLES_PER_PIXEL, Camera, Spheres, place, surroundings


def render_reference(
    points: Num[np.ndarray, "N 3"],
    resolution: int = RESOLUTION,
    samples_per_pixel: int = SAMPLES_PER_PIXEL,
    seed: int = 0,
    colours: Float[np.ndarray, "*N 3"] | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """Render one cloud as PointVisualizaiton does, in the active Mitsuba variant.

    A fresh scene with one sphere shape and one diffuse material per point, path tracing of unlimited depth
    from independent samples, a Gaussian pixel filter. It differs from PointVisualizaiton in three ways: the
    scene is not written to an XML file first, it does not sleep 0.8 s per image, and the seed is given.

    Args:
        points: y up.
        resolution: width and height in pixels.
        samples_per_pixel: samples of each pixel.
        seed: of the Monte-Carlo samples.
        colours: see `scene.place`.

    Returns:
        sRGB, dithered to 8 bit, as `mi.util.write_bitmap` does.

    Raises:
        InputError: the cloud cannot be drawn; see `scene.place`.
    """
    import mitsuba as mi

    scene = reference_scene(place(points, colours), Camera(), resolution, samples_per_pixel)
    image = mi.render(scene, spp=samples_per_pixel, seed=seed)
    return np.array(mi.util.convert_to_bitmap(image))


def reference_scene(
    spheres: Spheres, camera: Camera, resolution: int, samples_per_pixel: int, floor: bool = True
) -> Any:
    """Build the Mitsuba scene of PointVisualizaiton, with any camera, radius and colours."""
    import mitsuba as mi

    shapes = {
        f"point_{index}": {
            "type": "sphere",
            "center": centre,
            "radius": spheres.radius,
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": colour}},
        }
        for index, (centre, colour) in enumerate(
            zip(spheres.centres.tolist(), spheres.colours.tolist(), strict=True)
        )
    }
    return mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": -1},
            "sensor": camera.sensor(resolution, samples_per_pixel, "independent", "gaussian"),
            **surroundings(floor),
            **shapes,
        }
    )
