"""Approximations of occlusion and lidar for clouds without a mesh, from the points alone; of no benchmark.

The hidden-point-removal operator decides which points are visible (Katz, Tal and Basri 2007, "Direct
Visibility of Point Sets"): the points are reflected at a large sphere around the camera, and those on the
convex hull of the result and the camera are visible. Cameras and rings are those of `raycasting`.
"""

from functools import partial

import numpy as np
from jaxtyping import Float, Int

from pointspider.clouds.corruptions import raycasting
from pointspider.clouds.corruptions.batches import Clouds, Streams, Traced
from pointspider.clouds.corruptions.registry import CORRUPTIONS, Corruption
from pointspider.core.errors import InputError

#: Radius of the sphere in multiples of the largest distance from the camera. Of 1024 points on a sphere, all
#: visible ones are found and 8 % more, at the rim.
RADIUS = 30.0


def occlusion(clouds: Clouds, streams: Streams, sector: int) -> Traced:
    """Draw from the points that a camera 30 to 60 degrees up sees (an approximation without a mesh)."""
    views = []
    for cloud, rng in zip(clouds, streams, strict=True):
        index = visible(cloud.T, raycasting.draw_camera(rng, sector))
        views.append(index[_draw(rng, len(index), cloud.shape[1])])
    origin = np.stack(views)
    return Traced(np.take_along_axis(clouds, origin[:, None], axis=2), origin)


def lidar(clouds: Clouds, streams: Streams, sector: int) -> Traced:
    """Draw from the rings of points that a lidar sees (an approximation without a mesh)."""
    parts = []
    for cloud, rng in zip(clouds, streams, strict=True):
        position = raycasting.draw_lidar(rng, sector)
        index = visible(cloud.T, position)
        index = index[_draw(rng, len(index), cloud.shape[1])]
        points, chosen = raycasting.to_rings(cloud.T[index].astype(np.float64), position, rng)
        parts.append((points, index[chosen]))
    clouds, origins = (np.stack(part) for part in zip(*parts, strict=True))
    return Traced(clouds.transpose(0, 2, 1).astype(np.float32), origins)


def visible(points: Float[np.ndarray, "N 3"], position: Float[np.ndarray, "3"]) -> Int[np.ndarray, " M"]:
    """Return the points, by index, that are visible from `position`.

    Raises:
        InputError: the points are flat, so that they have no convex hull.
    """
    from scipy.spatial import ConvexHull, QhullError

    rays = points.astype(np.float64) - position
    distance = np.linalg.norm(rays, axis=1, keepdims=True)
    reflected = rays + 2 * (RADIUS * distance.max() - distance) * rays / distance
    try:
        hull = ConvexHull(np.vstack([reflected, np.zeros(3)]))
    except QhullError as error:
        raise InputError("its points are too few or too flat for a view of them.") from error
    return np.sort(hull.vertices[hull.vertices < len(points)]).astype(np.int64)


def _draw(rng: np.random.Generator, available: int, count: int) -> Int[np.ndarray, " n"]:
    """Draw `count` of the available points, with repetition if there are fewer."""
    if available >= count:
        return rng.permutation(available)[:count]
    return rng.integers(available, size=count)


_this = partial(Corruption, "points", "Katz, Tal and Basri 2007; cameras of github.com/jiachens/ModelNet40-C")
CORRUPTIONS.add("points/occlusion", _this((1, 2, 3, 4, 5), occlusion, "cube"))
CORRUPTIONS.add("points/lidar", _this((1, 2, 3, 4, 5), lidar))
