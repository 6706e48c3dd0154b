"""Corruptions without meshes, one cloud at a time: the baseline of `benchmarks/data.py`.

Plain numpy in double precision. The distortions follow PyGeM, which ModelNet40-C's generator uses: a sum over
the points of the lattice, and a linear system for each radial interpolation. The random draws are those of
`pointspider.clouds.corruptions`, so the clouds are equal. PointCloud-C's follow its build/corrupt_utils.py.
"""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import binom

from pointspider.clouds.corruptions.modelnet40c import LATTICE, RADIUS
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.names import CorruptionLevel
from pointspider.core.seeding import generator


def corrupt(level: CorruptionLevel, pools: list[np.ndarray], keys: list[str], seed: int, points: int = 1024):
    """See `pointspider.clouds.corruptions.engine.corrupt_clouds`. Returns a list of clouds (M, 3) float64."""
    corruption = CORRUPTIONS[level.corruption]
    strength = corruption.constants[level.severity - 1]
    clouds = []
    for pool, key in zip(pools, keys, strict=True):
        rng = generator(seed, key, *level)
        drawn = draw(pool.astype(float), rng, corruption.pool * points)
        cloud = LOOP[level.corruption](drawn, rng, strength)
        clouds.append(SCALING[corruption.normalizes](cloud))
    return clouds


def draw(pool, rng, count):
    rounds, cut = divmod(count, len(pool))
    if not cut:
        return np.tile(pool, (rounds, 1))
    return pool[np.concatenate([rng.permutation(len(pool)) for _ in range(rounds + 1)])[:count]]


def normalize(cloud):
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    return (cloud - (low + high) / 2) * 2 / (high - low).max()


def to_sphere(cloud):
    centred = cloud - cloud.mean(axis=0)
    return centred / np.sqrt((centred**2).sum(axis=1)).max()


SCALING = {"": lambda cloud: cloud, "cube": normalize, "sphere": to_sphere}


def noise(rng, count):
    return 2 * rng.random((3, count), dtype=np.float32).T - 1


def signs(rng, shape):
    return rng.integers(2, size=shape) * 2.0 - 1.0


def uniform(cloud, rng, width):
    return cloud + width * noise(rng, len(cloud))


def gaussian(cloud, rng, deviation):
    return np.clip(cloud + deviation * rng.standard_normal(cloud.T.shape, dtype=np.float32).T, -1, 1)


def background(cloud, rng, divisor):
    return np.concatenate([cloud, noise(rng, len(cloud) // divisor)])


def impulse(cloud, rng, divisor):
    index = rng.choice(len(cloud), len(cloud) // divisor, replace=False)
    cloud[index] += 0.1 * signs(rng, (3, len(index))).T
    return cloud


def upsampling(cloud, rng, divisor):
    index = rng.choice(len(cloud), len(cloud) // divisor, replace=False)
    return np.concatenate([cloud, cloud[index] + 0.05 * noise(rng, len(index))])


def rotation(cloud, rng, degrees):
    a, b, c = np.radians(rng.uniform(degrees - 2.5, degrees + 2.5, 3) * signs(rng, 3))
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return cloud @ about_x @ about_y @ about_z


def shear(cloud, rng, strength):
    a, b, d, e = rng.uniform(strength - 0.05, strength + 0.05, 4) * signs(rng, 4)
    return cloud @ np.array([[1, 0, d], [a, 1, e], [b, 0, 1]])


def scale(cloud, rng, strength):
    stretched, shrunk = [(0, 1), (1, 2), (0, 2)][rng.integers(3)]
    sign = signs(rng, 1)[0]
    factors = np.ones(3)
    factors[stretched], factors[shrunk] = 1 + strength * sign, 1 - strength * sign
    return cloud * factors


def neighbourhood(cloud, rng, size):
    distance = ((cloud - cloud[rng.integers(len(cloud))]) ** 2).sum(axis=1)
    return np.sort(np.argpartition(distance, size)[:size])


def cutout(cloud, rng, times):
    size = 30 * len(cloud) // 1024
    for _ in range(times):
        cloud = np.delete(cloud, neighbourhood(cloud, rng, size), axis=0)
    return cloud


def density(cloud, rng, times):
    size = 100 * len(cloud) // 1024
    for _ in range(times):
        near = neighbourhood(cloud, rng, size)
        cloud = np.delete(cloud, near[rng.permutation(size)[: size * 3 // 4]], axis=0)
    return cloud


def density_inc(cloud, rng, times):
    n = len(cloud) // 2
    size = 100 * n // 1024
    kept = []
    for _ in range(times):
        near = neighbourhood(cloud, rng, size)
        kept.append(cloud[near])
        cloud = np.delete(cloud, near, axis=0)
    return np.concatenate([*kept, cloud[rng.integers(len(cloud), size=n - times * size)]])


def distortion(cloud, rng, strength):
    moves = 2 * rng.uniform(-strength, strength, (LATTICE * 3, LATTICE**2))
    moves = moves.reshape(LATTICE, 3, LATTICE, LATTICE)  # z of the lattice, component, x and y of the lattice
    t = ((cloud + 1) / 2)[..., None]
    k = np.arange(LATTICE)
    x, y, z = (binom(LATTICE - 1, k) * t**k * (1 - t) ** (LATTICE - 1 - k)).transpose(1, 2, 0)  # each (5, N)
    moved = cloud.copy()
    for i, j, m in np.ndindex(LATTICE, LATTICE, LATTICE):  # PyGeM's sum over the lattice
        moved += (x[i] * y[j] * z[m])[:, None] * moves[m, :, i, j]
    return moved


def radial(cloud, rng, distance, kernel):
    alpha, gamma = rng.uniform(-np.pi, np.pi, (2, LATTICE**3))
    directions = [np.cos(alpha) * np.sin(gamma), np.sin(alpha) * np.sin(gamma), np.cos(gamma)]
    axis = np.linspace(-1, 1, LATTICE)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    linear = np.column_stack([np.ones(len(lattice)), lattice])
    system = np.block([[kernel(cdist(lattice, lattice)), linear], [linear.T, np.zeros((4, 4))]])
    moves = np.concatenate([distance * np.column_stack(directions), np.zeros((4, 3))])
    weights = np.linalg.solve(system, moves)
    terms = np.column_stack([kernel(cdist(cloud, lattice)), np.ones(len(cloud)), cloud])
    return cloud + terms @ weights


def distortion_rbf(cloud, rng, distance):
    return radial(cloud, rng, distance, lambda r: np.sqrt(r**2 + RADIUS**2))


def distortion_rbf_inv(cloud, rng, distance):
    return radial(cloud, rng, distance, lambda r: 1 / np.sqrt(r**2 + RADIUS**2))


def scale_axes(cloud, rng, factor):
    return cloud * rng.uniform(1 / factor, factor, (3, 1)).T


def jitter(cloud, rng, deviation):
    return cloud + deviation * rng.standard_normal(cloud.T.shape, dtype=np.float32).T


def rotate(cloud, rng, limit):
    a, b, c = rng.uniform(-limit, limit, 3)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return cloud @ (about_z @ about_y @ about_x)


def dropout_global(cloud, rng, share):
    return cloud[np.sort(rng.permutation(len(cloud))[: len(cloud) - int(len(cloud) * share)])]


def cluster_sizes(rng, count):
    number = rng.integers(1, 8)
    return rng.multinomial(count, np.full(number, 1 / number))


def dropout_local(cloud, rng, count):
    for size in cluster_sizes(rng, count * len(cloud) // 1024):
        distance = ((cloud - cloud[rng.integers(len(cloud))]) ** 2).sum(axis=1)
        cloud = cloud[np.sort(np.argsort(distance, kind="stable")[size:])]
    return cloud


def add_global(cloud, rng, count):
    count = count * len(cloud) // 1024
    directions = rng.standard_normal((3, count)).T
    radius = np.cbrt(rng.uniform(size=count))[:, None]
    return np.concatenate([cloud, radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)])


def add_local(cloud, rng, count):
    parts = []
    for size in cluster_sizes(rng, count * len(cloud) // 1024):
        centre = cloud[rng.integers(len(cloud))]
        parts.append(centre + rng.uniform(0.075, 0.125) * rng.standard_normal((3, size)).T)
    added = np.concatenate(parts)
    squares = (added**2).sum(axis=1, keepdims=True)
    return np.concatenate([cloud, np.where(squares > 1, added / squares, added)])


#: Every corruption of the benchmarks that needs no mesh.
LOOP = {
    "pointcloud-c/scale": scale_axes,
    **{
        f"pointcloud-c/{function.__name__}": function
        for function in (jitter, rotate, dropout_global, dropout_local, add_global, add_local)
    },
} | {
    function.__name__: function
    for function in (
        uniform, gaussian, background, impulse, upsampling, rotation, shear, scale, cutout, density,
        density_inc, distortion, distortion_rbf, distortion_rbf_inv,
    )
}  # fmt: skip
