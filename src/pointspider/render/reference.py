"""The paper's own rendering procedure, kept as the standard that the fast renderer is measured against."""

import numpy as np

from pointspider.render.scene import (
    RADIUS,
    RESOLUTION,
    SAMPLES_PER_PIXEL,
    camera,
    place,
    surroundings,
)


def render_reference(
    points: np.ndarray,
    resolution: int = RESOLUTION,
    samples_per_pixel: int = SAMPLES_PER_PIXEL,
    seed: int = 0,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Render one cloud as PointVisualizaiton does, in the Mitsuba variant that is active.

    A fresh scene with one sphere shape and one diffuse material per point, path tracing of unlimited depth
    from independent samples, a Gaussian pixel filter. It differs from PointVisualizaiton in three ways: the
    scene is not written to an XML file first, it does not sleep 0.8 s per image, and the seed is given.

    Args:
        points: (N, 3), y up.
        resolution: width and height H = W in pixels.
        samples_per_pixel: samples of each pixel.
        seed: of the Monte-Carlo samples.
        colours: see `scene.place`.

    Returns:
        (H, W, 3) uint8, sRGB.

    Raises:
        InputError: the cloud cannot be drawn; see `scene.place`.
    """
    import mitsuba as mi

    centres, colours = place(points, colours)
    spheres = {
        f"point_{index}": {
            "type": "sphere",
            "center": centre,
            "radius": RADIUS,
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": colour}},
        }
        for index, (centre, colour) in enumerate(zip(centres.tolist(), colours.tolist(), strict=True))
    }
    scene = mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": -1},
            "sensor": camera(resolution, samples_per_pixel, "independent", "gaussian"),
            **surroundings(),
            **spheres,
        }
    )
    image = mi.render(scene, spp=samples_per_pixel, seed=seed)
    return np.array(
        mi.util.convert_to_bitmap(image)
    )  # as `mi.util.write_bitmap` does: sRGB, dithered to 8 bit
