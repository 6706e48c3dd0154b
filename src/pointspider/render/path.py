"""Light transport by Mitsuba's own path tracer: for its scalar variants, which lack the arrays of `gather`.

Imports Mitsuba; see the package.
"""

import mitsuba as mi
import numpy as np

from pointspider.render.points import PointScene

STRIP = 8  # rows that are rendered together, from their first traced cell to their last


def trace(points: PointScene, traced: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Radiance, albedo and normal of cells, (G, G, 9) float32, means over the cells' squares.

    Args:
        points: the scene.
        traced: (G, G) bool, the cells that are wanted; the others may be zero.
        samples: of each cell; rounded up, since Mitsuba stratifies products such as 4, 6 or 9.
        seed: of the samples.
    """
    features = np.zeros((*traced.shape, 9), np.float32)
    parameters = mi.traverse(points.scene)
    for top in range(0, len(traced), STRIP):
        strip = traced[top : top + STRIP]
        filled = np.flatnonzero(strip.any(axis=0))
        if len(filled) == 0:
            continue
        columns = slice(int(filled[0]), int(filled[-1]) + 1)
        parameters["sensor.film.crop_offset"] = [columns.start, top]
        parameters["sensor.film.crop_size"] = [columns.stop - columns.start, len(strip)]
        parameters.update()
        features[top : top + STRIP, columns] = np.array(mi.render(points.scene, spp=samples, seed=seed + top))
    return features
