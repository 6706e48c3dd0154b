"""ModelNet40-C's sixteen corruptions at five severities.

Definitions and constants are those of the benchmark's generator (Sun et al. 2022, "Benchmarking Robustness of
3D Point Cloud Recognition Against Common Corruptions"; github.com/jiachens/ModelNet40-C, data/generate_c.py,
distortion.py, occlusion.py), which states them for clouds of N = 1024 points; the three distortions are those
of PyGeM (github.com/mathLab/PyGeM), which the generator uses. Counts of points scale with N. Frame: y up.
"""

from functools import cache, partial

import numpy as np
from jaxtyping import Float, Float64, Int

from pointspider.clouds.corruptions import raycasting
from pointspider.clouds.corruptions.batches import (
    Clouds,
    Streams,
    Traced,
    added,
    draw,
    identity,
    join,
    noise,
    remove,
    signs,
    take,
)
from pointspider.clouds.corruptions.registry import CORRUPTIONS, Corruption

# ----------------------------------------------------------------------------------------------- noise


def uniform(clouds: Clouds, streams: Streams, width: float) -> Clouds:
    """Move every coordinate by U(-width, width)."""
    return clouds + width * noise(streams, clouds.shape[1:])


def gaussian(clouds: Clouds, streams: Streams, deviation: float) -> Clouds:
    """Move every coordinate by N(0, deviation^2) and clip the result to [-1, 1]."""
    moves = draw(streams, lambda rng: rng.standard_normal(clouds.shape[1:], dtype=np.float32))
    return np.clip(clouds + deviation * moves, -1, 1)


def background(clouds: Clouds, streams: Streams, divisor: int) -> Traced:
    """Add N // divisor points, uniform in [-1, 1]^3."""
    count = clouds.shape[2] // divisor
    return join(Traced(clouds, identity(clouds)), added(noise(streams, (3, count))))


def impulse(clouds: Clouds, streams: Streams, divisor: int) -> Clouds:
    """Move every coordinate of N // divisor points by 0.1 up or down."""
    n = clouds.shape[2]
    index = draw(streams, lambda rng: rng.choice(n, n // divisor, replace=False))
    jumps = 0.1 * draw(streams, lambda rng: signs(rng, (3, n // divisor)))
    jumped = clouds.copy()
    np.put_along_axis(jumped, index[:, None], take(clouds, index) + jumps, axis=2)
    return jumped


def upsampling(clouds: Clouds, streams: Streams, divisor: int) -> Traced:
    """Add N // divisor points, each U(-0.05, 0.05) from another one along each axis."""
    n = clouds.shape[2]
    index = draw(streams, lambda rng: rng.choice(n, n // divisor, replace=False))
    offsets = 0.05 * noise(streams, (3, n // divisor))
    return join(Traced(clouds, identity(clouds)), added(take(clouds, index) + offsets))


# ------------------------------------------------------------------------------------- transformations


def rotation(clouds: Clouds, streams: Streams, degrees: float) -> Clouds:
    """Rotate about x, then y, then z, each by +-U(degrees - 2.5, degrees + 2.5)."""
    angles = draw(streams, lambda rng: rng.uniform(degrees - 2.5, degrees + 2.5, 3) * signs(rng, 3))
    cosines, sines = np.cos(np.radians(angles)), np.sin(np.radians(angles))  # (B, 3)
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.zeros((len(clouds), 3, 3), dtype=np.float32)
        turn[:, axis, axis] = 1
        turn[:, i, i] = turn[:, j, j] = cosines[:, axis]
        turn[:, i, j], turn[:, j, i] = sines[:, axis], -sines[:, axis]
        clouds = turn @ clouds
    return clouds


def shear(clouds: Clouds, streams: Streams, strength: float) -> Clouds:
    """Add to x a part of y and z and to z a part of x and y, each +-U(strength - 0.05, strength + 0.05)."""
    matrices = np.tile(np.eye(3, dtype=np.float32), (len(clouds), 1, 1))
    matrices[:, [0, 0, 2, 2], [1, 2, 0, 1]] = draw(
        streams, lambda rng: rng.uniform(strength - 0.05, strength + 0.05, 4) * signs(rng, 4)
    )
    sheared: Clouds = matrices @ clouds
    return sheared


def scale(clouds: Clouds, streams: Streams, strength: float) -> Clouds:
    """Scale one of a random pair of axes by 1 + strength and the other by 1 - strength."""
    pairs = np.array([(0, 1), (1, 2), (0, 2)])[[rng.integers(3) for rng in streams]]  # (B, 2)
    sides = draw(streams, lambda rng: signs(rng, 1)) * np.array([1, -1], dtype=np.float32)  # (B, 2)
    factors = np.ones((len(clouds), 3), dtype=np.float32)
    np.put_along_axis(factors, pairs, 1 + strength * sides, axis=1)
    return clouds * factors[..., None]


# ----------------------------------------------------------------------------------------- point density


def cutout(clouds: Clouds, streams: Streams, times: int) -> Traced:
    """Remove `times` neighbourhoods, a random point and its nearest ones: 30 of 1024 points each."""
    left = identity(clouds)
    size = 30 * clouds.shape[2] // 1024
    for _ in range(times):
        left = remove(left, _random_neighbourhood(clouds, left, streams, size))
    return Traced(take(clouds, left), left)


def density(clouds: Clouds, streams: Streams, times: int) -> Traced:
    """Remove three quarters of the points of `times` neighbourhoods, each 100 of 1024 points."""
    left = identity(clouds)
    size = 100 * clouds.shape[2] // 1024
    for _ in range(times):
        near = _random_neighbourhood(clouds, left, streams, size)
        lost = draw(streams, lambda rng: rng.permutation(size)[: size * 3 // 4])
        left = remove(left, np.take_along_axis(near, lost, axis=1))
    return Traced(take(clouds, left), left)


def density_inc(clouds: Clouds, streams: Streams, times: int) -> Traced:
    """Of 2N points, leave `times` neighbourhoods as they are and thin the others so that N remain.

    A neighbourhood has 100 of 2048 points. The thinning draws with replacement. Clouds of fewer than 2N
    points are repeated to 2N before, so that the neighbourhoods have repeated points.
    """
    left = identity(clouds)
    n = clouds.shape[2] // 2
    size = 100 * n // 1024
    chosen = []
    for _ in range(times):
        near = _random_neighbourhood(clouds, left, streams, size)
        chosen.append(np.take_along_axis(left, near, axis=1))
        left = remove(left, near)
    rest = draw(streams, lambda rng: rng.integers(left.shape[1], size=n - times * size))
    chosen.append(np.take_along_axis(left, rest, axis=1))
    origin = np.concatenate(chosen, axis=1)
    return Traced(take(clouds, origin), origin)


def _random_neighbourhood(
    clouds: Clouds, left: Int[np.ndarray, "B M"], streams: Streams, size: int
) -> Int[np.ndarray, "B k"]:
    """Return the points nearest to a random one, of those that are left: places in `left`, sorted."""
    drawn = np.array([[rng.integers(left.shape[1])] for rng in streams])
    centre = take(clouds, np.take_along_axis(left, drawn, axis=1))
    distance = np.take_along_axis(np.square(clouds - centre).sum(axis=1), left, axis=1)
    return np.sort(np.argpartition(distance, size, axis=1)[:, :size], axis=1)


# ------------------------------------------------------------------------------------------ distortions

#: Control points per axis, on a regular lattice over [-1, 1]^3.
LATTICE = 5
#: Radius of both radial kernels: PyGeM's default.
RADIUS = 0.5


def distortion(clouds: Clouds, streams: Streams, strength: float) -> Clouds:
    """Move a lattice over [-1, 1]^3 by U(-strength, strength) of its side, 2, and the points with it (FFD).

    A point moves by the mean of the lattice's moves, weighted with the Bernstein polynomials of degree 4 in
    its position (PyGeM, pygem/ffd.py).
    """
    shape = (LATTICE * 3, LATTICE * LATTICE)  # lattice's z and component of the move, lattice's x and y
    moves = 2 * draw(streams, lambda rng: rng.uniform(-strength, strength, shape))
    moved = np.empty_like(clouds)
    for cloud, move, out in zip(clouds, moves, moved, strict=True):  # the weights of one cloud fit the cache
        x, y, z = _bernstein((cloud + 1) / 2).swapaxes(0, 1)  # each (5, N)
        by_z = move @ (x[:, None] * y).reshape(LATTICE**2, -1)  # (15, N)
        out[:] = cloud + (z[:, None] * by_z.reshape(LATTICE, 3, -1)).sum(axis=0)
    return moved


def _bernstein(t: Float[np.ndarray, "..."]) -> Float[np.ndarray, "5 ..."]:
    """Return the five Bernstein polynomials of degree 4 at `t`."""
    s = 1 - t
    s2, st, t2 = s * s, s * t, t * t
    return np.stack([s2 * s2, 4 * s2 * st, 6 * s2 * t2, 4 * st * t2, t2 * t2])


def distortion_rbf(clouds: Clouds, streams: Streams, distance: float) -> Clouds:
    """Move a lattice by `distance`, and the points by interpolation with the kernel sqrt(r^2 + 0.5^2)."""
    return _radial(clouds, streams, distance, inverse=False)


def distortion_rbf_inv(clouds: Clouds, streams: Streams, distance: float) -> Clouds:
    """Move a lattice by `distance`, and the points by interpolation with the kernel 1 / sqrt(r^2 + 0.5^2)."""
    return _radial(clouds, streams, distance, inverse=True)


def _radial(clouds: Clouds, streams: Streams, distance: float, inverse: bool) -> Clouds:
    """Move the lattice by `distance`, and the points by radial interpolation with a linear term.

    The direction of a move has two angles, both U(-pi, pi) (PyGeM, pygem/rbf.py).
    """
    alpha, gamma = draw(streams, lambda rng: rng.uniform(-np.pi, np.pi, (2, LATTICE**3))).swapaxes(0, 1)
    directions = [np.cos(alpha) * np.sin(gamma), np.sin(alpha) * np.sin(gamma), np.cos(gamma)]
    moves = distance * np.stack(directions, axis=1)  # (B, 3, 125)
    weights = (moves @ _radial_system(inverse)).astype(np.float32)  # (B, 3, 125 + 4)
    terms = np.empty((weights.shape[2], clouds.shape[2]), np.float32)  # those of one cloud fit the cache
    moved = np.empty_like(clouds)
    for cloud, weight, out in zip(clouds, weights, moved, strict=True):
        _radial_terms(cloud, inverse, terms)
        np.matmul(weight, terms, out=out)
    moved += clouds
    return moved


@cache
def _lattice() -> Float64[np.ndarray, "3 125"]:
    """Return the control points."""
    return np.stack(np.meshgrid(*[np.linspace(-1, 1, LATTICE)] * 3, indexing="ij")).reshape(3, -1)


@cache
def _radial_system(inverse: bool) -> Float64[np.ndarray, "125 129"]:
    """Return the matrix from the lattice's moves to the weights of the kernel and of the linear term."""
    lattice = _lattice()
    n = lattice.shape[1]
    system = np.zeros((n + 4, n + 4))
    _radial_terms(lattice, inverse, system[:, :n])
    system[:n, n:] = system[n:, :n].T
    return np.linalg.inv(system)[:n]


@cache
def _radial_factor(dtype: np.dtype[np.floating]) -> Float[np.ndarray, "125 5"]:
    """Return A such that r^2 + RADIUS^2 = A (1, p, |p|^2) for the distances r of a point p to the lattice."""
    lattice = _lattice().astype(dtype)
    squares = np.square(lattice).sum(axis=0) + RADIUS**2
    return np.vstack([squares, -2 * lattice, np.ones_like(lattice[:1])]).T


def _radial_terms(
    points: Float[np.ndarray, "3 N"], inverse: bool, terms: Float[np.ndarray, "125+4 N"]
) -> None:
    """Fill `terms`: the kernel of the distances to the lattice, 1, the points."""
    kernel, linear = terms[:-4], terms[-4:]
    right = np.empty((5, points.shape[1]), points.dtype)
    right[0], right[1:4] = 1, points
    np.square(points).sum(axis=0, out=right[4])
    linear[:] = right[:4]
    np.matmul(_radial_factor(points.dtype), right, out=kernel)
    np.sqrt(kernel, out=kernel)
    if inverse:
        np.reciprocal(kernel, out=kernel)


# ------------------------------------------------------------------------------------------------ table

# Constants at severities 1 to 5, and the final scaling. Occlusion and lidar
# have sectors of view in the place of severities.
_this = partial(Corruption, "modelnet40-c", "github.com/jiachens/ModelNet40-C")
CORRUPTIONS.add("uniform", _this((0.01, 0.02, 0.03, 0.04, 0.05), uniform, "cube"))
CORRUPTIONS.add("gaussian", _this((0.01, 0.015, 0.02, 0.025, 0.03), gaussian))
CORRUPTIONS.add("background", _this((45, 40, 35, 30, 20), background, "cube"))
CORRUPTIONS.add("impulse", _this((30, 25, 20, 15, 10), impulse, "cube"))
CORRUPTIONS.add("upsampling", _this((5, 4, 3, 2, 1), upsampling, "cube"))
CORRUPTIONS.add("rotation", _this((2.5, 5, 7.5, 10, 15), rotation, "cube"))
CORRUPTIONS.add("shear", _this((0.05, 0.1, 0.15, 0.2, 0.25), shear, "cube"))
CORRUPTIONS.add("scale", _this((0.1, 0.2, 0.3, 0.4, 0.5), scale, "cube"))
CORRUPTIONS.add("cutout", _this((2, 3, 5, 7, 10), cutout))
CORRUPTIONS.add("density", _this((1, 2, 3, 4, 5), density))
CORRUPTIONS.add("density_inc", _this((1, 2, 3, 4, 5), density_inc, pool=2))
CORRUPTIONS.add("distortion", _this((0.1, 0.2, 0.3, 0.4, 0.5), distortion, "cube"))
CORRUPTIONS.add("distortion_rbf", _this((0.025, 0.05, 0.075, 0.1, 0.125), distortion_rbf, "cube"))
CORRUPTIONS.add("distortion_rbf_inv", _this((0.025, 0.05, 0.075, 0.1, 0.125), distortion_rbf_inv, "cube"))
CORRUPTIONS.add("occlusion", _this((1, 2, 3, 4, 5), raycasting.occlusion, "cube", needs_mesh=True))
CORRUPTIONS.add("lidar", _this((1, 2, 3, 4, 5), raycasting.lidar, needs_mesh=True))
