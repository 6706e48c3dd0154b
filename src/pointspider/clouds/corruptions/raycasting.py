"""What a camera or a lidar sees of a mesh: the two corruptions that need the object's surface.

Geometry of ModelNet40-C's generator (github.com/jiachens/ModelNet40-C, data/occlusion.py and generate_c.py).
It works on z-up OFF meshes and then turns its points by (x, y, z) -> (-x, z, y) into the y-up frame of
ModelNet40's HDF5 clouds. Here everything is y up from the start: a camera at the generator's azimuth a stands
at (sin a, ., cos a), that is a from +z towards +x. Its depth image leaves out back faces; here a surface is
seen from both sides, so that meshes of mixed orientation have no holes.
"""

from typing import TYPE_CHECKING

import numpy as np

from pointspider.core.errors import InputError

if TYPE_CHECKING:
    import trimesh

#: Focal length in pixels; pixel centres lie at half-integers about the optical axis. The 1080 x 720 image is
#: never left: a box of longest side 2 spans at most 256 pixels from the axis.
FOCAL_LENGTH = 365.0
#: Half the width of a severity's sector of azimuths, in radians; the sectors' centres are 2 pi / 5 apart.
HALF_SECTOR = np.pi / 5
#: Height of a lidar's ring, in radians.
RING = np.pi / 180


def occlusion(
    mesh: "trimesh.Trimesh", rng: np.random.Generator, name: str, sector: int, points: int
) -> np.ndarray:
    """`points` of the surface points that a camera 3 away and 30 to 60 degrees up sees.

    Args:
        mesh: y up, any scale; its bounding box is centred and its longest side brought to 2.
        rng: the object's stream.
        name: what to call the object in an error.
        sector: 1 to 5; the azimuth is U(-pi / 5, pi / 5) about 2 pi sector / 5.
        points: how many; repeated where fewer pixels show the object.

    Returns:
        (points, 3) float64, not yet normalised again.
    """
    azimuth = 2 * np.pi * sector / 5 + rng.uniform(-HALF_SECTOR, HALF_SECTOR)
    elevation = rng.uniform(np.pi / 6, np.pi / 3)
    return _see(mesh, rng, name, _position(3.0, azimuth, elevation), points)


def lidar(
    mesh: "trimesh.Trimesh", rng: np.random.Generator, name: str, sector: int, points: int
) -> np.ndarray:
    """What a lidar 5 away and 22.5 degrees up sees of the surface, in rings one degree apart.

    Of `points` surface points those in the middle half of a ring are moved to its middle, the others dropped;
    3/4 `points` are drawn of the remaining ones, with replacement.

    Returns:
        (3/4 points, 3) float64. For the arguments see `occlusion`.
    """
    azimuth = 2 * np.pi * sector / 5 + rng.uniform(-HALF_SECTOR, HALF_SECTOR)
    position = _position(5.0, azimuth, np.pi / 8)
    rays = _see(mesh, rng, name, position, points) - position
    level = np.hypot(rays[:, 0], rays[:, 2])
    angle = np.arctan2(level, rays[:, 1])  # from the upward axis
    ring, within = np.divmod((angle - angle.min()) / RING, 1)
    kept = (within >= 0.25) & (within < 0.75)
    if not kept.any():
        raise InputError(f"{name}: too flat for a lidar, no point lies in the middle of a ring.")
    angle = angle.min() + (ring + 0.5) * RING
    length = np.linalg.norm(rays, axis=1)
    rays[:, [0, 2]] *= (length * np.sin(angle) / level)[:, None]
    rays[:, 1] = length * np.cos(angle)
    returned = (rays + position)[kept]
    return returned[rng.integers(len(returned), size=points * 3 // 4)]


def _position(distance: float, azimuth: float, elevation: float) -> np.ndarray:
    level = distance * np.cos(elevation)
    return np.array([level * np.sin(azimuth), distance * np.sin(elevation), level * np.cos(azimuth)])


def _see(
    mesh: "trimesh.Trimesh", rng: np.random.Generator, name: str, position: np.ndarray, points: int
) -> np.ndarray:
    """The surface points (points, 3) behind random pixels of a camera at `position` that looks at the origin.

    The pixels around the object are tried in random order until `points` of them have shown it: as if the
    whole image were rendered and that many of its pixels drawn.
    """
    low, high = mesh.bounds
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
        hits.append(mesh.ray.intersects_location(origins, rays, multiple_hits=False)[0])
        start, count = start + count, 2 * count
    surface = (np.concatenate(hits) - centre) * scale
    if len(surface) == 0 or not np.ptp(surface, axis=0).any():
        raise InputError(f"{name}: its mesh is thinner than a pixel, the camera sees no two points of it.")
    if len(surface) < points:
        return surface[rng.integers(len(surface), size=points)]
    return surface[:points]
