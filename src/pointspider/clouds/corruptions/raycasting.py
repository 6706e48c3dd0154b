"""Points of a mesh that a camera or a lidar sees: the two corruptions that need the object's surface.

Geometry of ModelNet40-C's generator (github.com/jiachens/ModelNet40-C, data/occlusion.py and generate_c.py).
It works on z-up OFF meshes and then rotates its points by (x, y, z) -> (-x, z, y) into the y-up frame of
ModelNet40's HDF5 clouds. Here everything is y up from the start: a camera at the generator's azimuth a is at
(sin a, ., cos a), that is a from +z towards +x. Its depth image drops back faces; here a surface is seen from
both sides, so that meshes of mixed orientation have no holes.
"""

import numpy as np
from jaxtyping import Float, Int

from pointspider.clouds.cloud import Mesh
from pointspider.core.errors import InputError

Points = Float[np.ndarray, "M 3"]
#: Focal length in pixels; pixel centres are at half-integers from the optical axis. A box of longest side 2
#: spans at most 256 pixels from the axis, so that it is inside the generator's image of 1080 x 720.
FOCAL_LENGTH = 365.0
#: Half the width of a severity's sector of azimuths, in radians; the sectors' centres are 2 pi / 5 apart.
HALF_SECTOR = np.pi / 5
#: Height of a lidar's ring, in radians.
RING = np.pi / 180


def occlusion(mesh: Mesh, rng: np.random.Generator, sector: int, points: int) -> Points:
    """Sample the surface that a camera at distance 3 and 30 to 60 degrees up sees.

    Args:
        mesh: y up, any scale; its bounding box is centred and its longest side scaled to 2.
        rng: the object's stream.
        sector: 1 to 5; the azimuth is U(-pi / 5, pi / 5) about 2 pi sector / 5.
        points: the number of points; repeated where fewer pixels show the object.

    Raises:
        InputError: the camera sees fewer than two points.
    """
    return _see(mesh, rng, draw_camera(rng, sector), points)


def lidar(mesh: Mesh, rng: np.random.Generator, sector: int, points: int) -> Points:
    """Sample the surface that a lidar at distance 5 and 22.5 degrees up sees, in rings one degree apart.

    For the arguments see `occlusion`; 3/4 `points` are returned.

    Raises:
        InputError: the lidar sees fewer than two points, or none in the middle of a ring.
    """
    position = draw_lidar(rng, sector)
    return to_rings(_see(mesh, rng, position, points), position, rng)[0]


def draw_camera(rng: np.random.Generator, sector: int) -> Float[np.ndarray, "3"]:
    """Draw the position of a camera at distance 3 from the origin, 30 to 60 degrees up."""
    azimuth = 2 * np.pi * sector / 5 + rng.uniform(-HALF_SECTOR, HALF_SECTOR)
    return _position(3.0, azimuth, rng.uniform(np.pi / 6, np.pi / 3))


def draw_lidar(rng: np.random.Generator, sector: int) -> Float[np.ndarray, "3"]:
    """Draw the position of a lidar at distance 5 from the origin, 22.5 degrees up."""
    azimuth = 2 * np.pi * sector / 5 + rng.uniform(-HALF_SECTOR, HALF_SECTOR)
    return _position(5.0, azimuth, np.pi / 8)


def to_rings(
    surface: Float[np.ndarray, "N 3"], position: Float[np.ndarray, "3"], rng: np.random.Generator
) -> tuple[Points, Int[np.ndarray, " M"]]:
    """Move visible points to the rings of a lidar at `position`.

    Points in the middle half of a ring are moved to its middle, the others dropped; 3/4 of the number of
    points are drawn of the remaining ones, with replacement.

    Returns:
        The points, and the index of each in `surface`.

    Raises:
        InputError: no point is in the middle of a ring.
    """
    rays = surface - position
    level = np.hypot(rays[:, 0], rays[:, 2])
    angle = np.arctan2(level, rays[:, 1])  # from the upward axis
    ring, within = np.divmod((angle - angle.min()) / RING, 1)
    index = np.flatnonzero((within >= 0.25) & (within < 0.75))
    if not len(index):
        raise InputError("too flat for a lidar, no point is in the middle of a ring.")
    angle = angle.min() + (ring + 0.5) * RING
    length = np.linalg.norm(rays, axis=1)
    rays[:, [0, 2]] *= (length * np.sin(angle) / level)[:, None]
    rays[:, 1] = length * np.cos(angle)
    chosen = index[rng.integers(len(index), size=len(surface) * 3 // 4)]
    returned: Points = (rays + position)[chosen]
    return returned, chosen


def _position(distance: float, azimuth: float, elevation: float) -> Float[np.ndarray, "3"]:
    level = distance * np.cos(elevation)
    return np.array([level * np.sin(azimuth), distance * np.sin(elevation), level * np.cos(azimuth)])


def _see(mesh: Mesh, rng: np.random.Generator, position: Float[np.ndarray, "3"], points: int) -> Points:
    """Return the surface points behind random pixels of a camera at `position` that looks at the origin.

    The pixels around the object are tried in random order until `points` of them show it: this equals
    rendering the image and drawing that many of its pixels.
    """
    low, high = mesh.surface.bounds
    centre, scale = (low + high) / 2, 2 / (high - low).max()

    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])  # rows: image x, image y, depth

    seen = ((mesh.vertices - centre) * scale - position) @ axes.T
    pixels = FOCAL_LENGTH * seen[:, :2] / seen[:, 2:]
    first = np.floor(pixels.min(axis=0)).astype(int)
    width, height = np.ceil(pixels.max(axis=0)).astype(int) - first
    order = rng.permutation(width * height)

    hits, start, count = [np.empty((0, 3))], 0, 4 * points
    while start < len(order) and sum(map(len, hits)) < points:
        row, column = np.divmod(order[start : start + count], width)
        x, y = first[0] + column + 0.5, first[1] + row + 0.5
        rays = np.column_stack([x, y, np.full(len(x), FOCAL_LENGTH)]) @ axes
        origins = np.broadcast_to(centre + position / scale, rays.shape)
        hits.append(mesh.surface.ray.intersects_location(origins, rays, multiple_hits=False)[0])
        start, count = start + count, 2 * count
    surface: Points = (np.concatenate(hits) - centre) * scale
    if len(surface) == 0 or not np.ptp(surface, axis=0).any():
        raise InputError("its mesh is thinner than a pixel, the camera sees fewer than two points.")
    if len(surface) < points:
        return surface[rng.integers(len(surface), size=points)]
    return surface[:points]
