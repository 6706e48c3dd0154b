"""Light transport by Mitsuba's own path tracer: for its scalar variants, which lack the arrays of `gather`.

Imports Mitsuba; see the package.
"""

import mitsuba as mi
import numpy as np

from pointspider.render.points import PointScene


def trace_window(points: PointScene, window: tuple[slice, slice], samples: int, seed: int) -> np.ndarray:
    """Radiance, albedo and normal of the cells in a window, (h, w, 9) float32, means over the cells' squares.

    Args:
        points: the scene.
        window: rows and columns of the picture's grid.
        samples: of each cell; rounded up, since Mitsuba stratifies products such as 4, 6 or 9.
        seed: of the samples.
    """
    rows, columns = window
    parameters = mi.traverse(points.scene)
    parameters["sensor.film.crop_offset"] = [columns.start, rows.start]
    parameters["sensor.film.crop_size"] = [columns.stop - columns.start, rows.stop - rows.start]
    parameters.update()
    return np.array(mi.render(points.scene, spp=samples, seed=seed))
