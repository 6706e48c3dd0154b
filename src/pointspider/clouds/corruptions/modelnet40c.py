"""ModelNet40-C's sixteen corruptions at five severities, for many clouds at once.

Definitions and constants are those of the benchmark's generator (Sun et al. 2022, "Benchmarking Robustness of
3D Point Cloud Recognition Against Common Corruptions"; github.com/jiachens/ModelNet40-C, data/generate_c.py,
distortion.py, occlusion.py), which states them for clouds of N = 1024 points; the three distortions are those
of PyGeM (github.com/mathLab/PyGeM), on which the generator builds. Counts of points scale with N.

Every object has its own random stream, named by (object, corruption, severity): a cloud comes out the same
byte for byte alone, in a batch, in any order and in any process. The draws are made object by object, the
arithmetic is done on all clouds together.

Inside, clouds are (B, 3, N) float32: B objects, and the coordinates before the N points, because numpy
reduces over the last axis many times faster. Frame: y up.
"""

import difflib
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pointspider.clouds.corruptions import raycasting
from pointspider.clouds.names import CLEAN, Variant
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

if TYPE_CHECKING:
    import trimesh

Streams = Sequence[np.random.Generator]

#: Clouds that are worked on together: as many as stay in a core's cache.
BATCH = 16


def corrupt(
    variant: Variant,
    pools: Sequence[np.ndarray],
    meshes: "Sequence[trimesh.Trimesh | None]",
    keys: Sequence[str],
    seed: int,
    points: int = 1024,
) -> np.ndarray:
    """Make one variant of B objects.

    A variant starts from `points` points that `sample` draws from the object's pool (density_inc: twice as
    many); occlusion and lidar look at the object's mesh instead.

    Args:
        variant: what to make; the clean cloud is the drawn points themselves.
        pools: B arrays (P, 3), P >= 1; the sizes may differ. Within [-1, 1]^3 (maximum radius 1).
        meshes: B meshes in the frame of the points, or None; read only by occlusion and lidar.
        keys: B names, "<class>/<object>": with `seed` they fix every draw.
        seed: `seeds.corruptions`.
        points: N, points per clean cloud.

    Returns:
        (B, M, 3) float32, M depending on the variant.

    Raises:
        InputError: no such corruption or severity; a mesh is needed and missing, or cannot be seen.
    """
    if variant != CLEAN:
        check(variant)
        if variant.corruption in NEEDS_MESH:
            _require_meshes(variant, meshes, keys)
    batches = [slice(start, start + BATCH) for start in range(0, len(keys), BATCH)]
    made = [_corrupt(variant, pools[batch], meshes[batch], keys[batch], seed, points) for batch in batches]
    return np.ascontiguousarray(np.concatenate(made).transpose(0, 2, 1))


def _corrupt(
    variant: Variant, pools: Sequence, meshes: Sequence, keys: Sequence[str], seed: int, points: int
) -> np.ndarray:
    """One batch of `corrupt`, (B, 3, M)."""
    streams = [generator(seed, key, *variant) for key in keys]
    if variant == CLEAN:
        return sample(pools, streams, points)
    corruption = CORRUPTIONS[variant.corruption]
    strength = corruption.strengths[variant.severity - 1]
    if corruption.needs_mesh:
        views = zip(meshes, streams, keys, strict=True)
        clouds = np.stack([corruption.apply(*view, strength, points).T.astype(np.float32) for view in views])
    else:
        clouds = corruption.apply(sample(pools, streams, corruption.pool * points), streams, strength)
    return normalize(clouds) if corruption.normalizes else clouds


def check(variant: Variant) -> None:
    """Refuse what is not in the table.

    Raises:
        InputError: the corruption does not exist (the closest name is given) or the severity is not 1 to 5.
    """
    if variant.corruption not in CORRUPTIONS:
        close = difflib.get_close_matches(variant.corruption, NAMES, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(NAMES)}."
        raise InputError(f"clouds.corruptions: '{variant.corruption}' is not a corruption; {hint}")
    if variant.severity not in range(1, 6):
        raise InputError(f"clouds.severities: {variant.severity} is not a severity; choose from 1 to 5.")


def _require_meshes(variant: Variant, meshes: Sequence, keys: Sequence[str]) -> None:
    missing = [key for key, mesh in zip(keys, meshes, strict=True) if mesh is None]
    if missing:
        raise InputError(
            f"{missing[0]} (and {len(missing) - 1} more) has points but no mesh, which {variant} needs: "
            f"give meshes (.off), or take {' and '.join(NEEDS_MESH)} off clouds.corruptions."
        )


def sample(pools: Sequence[np.ndarray], streams: Streams, count: int) -> np.ndarray:
    """Draw `count` points of each pool: random permutations of the pool, one after another, cut at `count`.

    A pool of at least `count` points is so drawn from without repetition; of a smaller one every point is
    taken equally often, give or take once. Where nothing is cut nothing is drawn: points have no order.

    Returns:
        (B, 3, count) float32.
    """
    drawn = np.empty((len(pools), 3, count), dtype=np.float32)
    for cloud, pool, rng in zip(drawn, pools, streams, strict=True):
        rounds, cut = divmod(count, len(pool))
        if not cut:
            cloud.reshape(3, rounds, -1)[:] = pool.T[:, None]
            continue
        order = np.concatenate([rng.permutation(len(pool)) for _ in range(rounds + 1)])
        cloud[:] = pool.take(order[:count], axis=0).T
    return drawn


def normalize(clouds: np.ndarray) -> np.ndarray:
    """Centre the bounding box of each cloud (B, 3, N) and bring its longest side to 2, in place."""
    low, high = clouds.min(axis=2, keepdims=True), clouds.max(axis=2, keepdims=True)
    clouds -= (low + high) / 2
    clouds *= 2 / (high - low).max(axis=1, keepdims=True)
    return clouds


def _draw(streams: Streams, draw: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
    """One draw per object, stacked; numbers with a fraction as float32."""
    drawn = np.stack([draw(rng) for rng in streams])
    return drawn.astype(np.float32) if drawn.dtype.kind == "f" else drawn


def _noise(streams: Streams, shape: tuple[int, int]) -> np.ndarray:
    """U(-1, 1), (B, *shape) float32."""
    noise = np.empty((len(streams), *shape), dtype=np.float32)
    for rng, out in zip(streams, noise, strict=True):
        rng.random(out=out, dtype=np.float32)
    noise *= 2
    noise -= 1
    return noise


def _signs(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    return rng.integers(2, size=shape) * 2.0 - 1.0


def _take(clouds: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(clouds, index[:, None], axis=2)  # (B, 3, N), (B, k) -> (B, 3, k)


# ----------------------------------------------------------------------------------------------- noise


def uniform(clouds: np.ndarray, streams: Streams, width: float) -> np.ndarray:
    """Every coordinate moves by U(-width, width)."""
    return clouds + width * _noise(streams, clouds.shape[1:])


def gaussian(clouds: np.ndarray, streams: Streams, deviation: float) -> np.ndarray:
    """Every coordinate moves by N(0, deviation^2); the result is clipped to [-1, 1]."""
    noise = _draw(streams, lambda rng: rng.standard_normal(clouds.shape[1:], dtype=np.float32))
    return np.clip(clouds + deviation * noise, -1, 1)


def background(clouds: np.ndarray, streams: Streams, divisor: int) -> np.ndarray:
    """N // divisor points, uniform in [-1, 1]^3, are added."""
    count = clouds.shape[2] // divisor
    return np.concatenate([clouds, _noise(streams, (3, count))], axis=2)


def impulse(clouds: np.ndarray, streams: Streams, divisor: int) -> np.ndarray:
    """Every coordinate of N // divisor points moves by 0.1 up or down."""
    n = clouds.shape[2]
    index = _draw(streams, lambda rng: rng.choice(n, n // divisor, replace=False))
    jumps = 0.1 * _draw(streams, lambda rng: _signs(rng, (3, n // divisor)))
    jumped = clouds.copy()
    np.put_along_axis(jumped, index[:, None], _take(clouds, index) + jumps, axis=2)
    return jumped


def upsampling(clouds: np.ndarray, streams: Streams, divisor: int) -> np.ndarray:
    """N // divisor points are added, each beside another one: U(-0.05, 0.05) away along each axis."""
    n = clouds.shape[2]
    index = _draw(streams, lambda rng: rng.choice(n, n // divisor, replace=False))
    offsets = 0.05 * _noise(streams, (3, n // divisor))
    return np.concatenate([clouds, _take(clouds, index) + offsets], axis=2)


# ------------------------------------------------------------------------------------- transformations


def rotation(clouds: np.ndarray, streams: Streams, degrees: float) -> np.ndarray:
    """Turn about x, then y, then z, each by +-U(degrees - 2.5, degrees + 2.5)."""
    angles = _draw(streams, lambda rng: rng.uniform(degrees - 2.5, degrees + 2.5, 3) * _signs(rng, 3))
    cosines, sines = np.cos(np.radians(angles)), np.sin(np.radians(angles))  # (B, 3)
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.zeros((len(clouds), 3, 3), dtype=np.float32)
        turn[:, axis, axis] = 1
        turn[:, i, i] = turn[:, j, j] = cosines[:, axis]
        turn[:, i, j], turn[:, j, i] = sines[:, axis], -sines[:, axis]
        clouds = turn @ clouds
    return clouds


def shear(clouds: np.ndarray, streams: Streams, strength: float) -> np.ndarray:
    """x takes from y and z, z takes from x and y, each +-U(strength - 0.05, strength + 0.05); y stays."""
    matrices = np.tile(np.eye(3, dtype=np.float32), (len(clouds), 1, 1))
    matrices[:, [0, 0, 2, 2], [1, 2, 0, 1]] = _draw(
        streams, lambda rng: rng.uniform(strength - 0.05, strength + 0.05, 4) * _signs(rng, 4)
    )
    return matrices @ clouds


def scale(clouds: np.ndarray, streams: Streams, strength: float) -> np.ndarray:
    """Of a random pair of axes one is stretched by 1 + strength and the other shrunk to 1 - strength."""
    pairs = np.array([(0, 1), (1, 2), (0, 2)])[[rng.integers(3) for rng in streams]]  # (B, 2)
    signs = _draw(streams, lambda rng: _signs(rng, 1)) * np.array([1, -1], dtype=np.float32)  # (B, 2)
    factors = np.ones((len(clouds), 3), dtype=np.float32)
    np.put_along_axis(factors, pairs, 1 + strength * signs, axis=1)
    return clouds * factors[..., None]


# ----------------------------------------------------------------------------------------- point density


def cutout(clouds: np.ndarray, streams: Streams, times: int) -> np.ndarray:
    """`times` times, a random point and its neighbours, 30 of 1024, are cut out."""
    size = 30 * clouds.shape[2] // 1024
    for _ in range(times):
        clouds = _remove(clouds, _neighbourhood(clouds, streams, size))
    return clouds


def density(clouds: np.ndarray, streams: Streams, times: int) -> np.ndarray:
    """`times` times, a random point's neighbourhood of 100 of 1024 points loses three quarters of them."""
    size = 100 * clouds.shape[2] // 1024
    for _ in range(times):
        near = _neighbourhood(clouds, streams, size)
        lost = _draw(streams, lambda rng: rng.permutation(size)[: size * 3 // 4])
        clouds = _remove(clouds, np.take_along_axis(near, lost, axis=1))
    return clouds


def density_inc(clouds: np.ndarray, streams: Streams, times: int) -> np.ndarray:
    """Of 2N points, `times` neighbourhoods (100 of 2048) stay whole; the rest is thinned so that N remain.

    The thinning draws with replacement.
    """
    n = clouds.shape[2] // 2
    size = 100 * n // 1024
    kept = []
    for _ in range(times):
        near = _neighbourhood(clouds, streams, size)
        kept.append(_take(clouds, near))
        clouds = _remove(clouds, near)
    rest = _draw(streams, lambda rng: rng.integers(clouds.shape[2], size=n - times * size))
    return np.concatenate([*kept, _take(clouds, rest)], axis=2)


def _neighbourhood(clouds: np.ndarray, streams: Streams, size: int) -> np.ndarray:
    """The `size` points (B, size) nearest to a random point of each cloud, itself included, by index."""
    centre = np.array([rng.integers(clouds.shape[2]) for rng in streams])[:, None]
    distance = np.square(clouds - _take(clouds, centre)).sum(axis=1)  # (B, N)
    return np.sort(np.argpartition(distance, size, axis=1)[:, :size], axis=1)


def _remove(clouds: np.ndarray, index: np.ndarray) -> np.ndarray:
    stays = np.ones((len(clouds), 1, clouds.shape[2]), dtype=bool)
    np.put_along_axis(stays[:, 0], index, False, axis=1)
    return clouds[np.broadcast_to(stays, clouds.shape)].reshape(len(clouds), 3, -1)


# ------------------------------------------------------------------------------------------ distortions

#: Control points per axis, on a regular lattice over [-1, 1]^3.
LATTICE = 5
#: Radius of both radial kernels: PyGeM's default.
RADIUS = 0.5


def distortion(clouds: np.ndarray, streams: Streams, strength: float) -> np.ndarray:
    """Free-form deformation: a lattice over [-1, 1]^3 moves by U(-strength, strength) of the box's side, 2.

    A point moves by the mean of the lattice's moves, weighted with the Bernstein polynomials of degree 4 in
    its position (PyGeM, pygem/ffd.py).
    """
    shape = (LATTICE * 3, LATTICE * LATTICE)  # lattice's z and component of the move, lattice's x and y
    moves = 2 * _draw(streams, lambda rng: rng.uniform(-strength, strength, shape))
    moved = np.empty_like(clouds)
    for cloud, move, out in zip(clouds, moves, moved, strict=True):  # one cloud's 25 weights fit the cache
        x, y, z = _bernstein((cloud + 1) / 2).swapaxes(0, 1)  # each (5, N)
        by_z = move @ (x[:, None] * y).reshape(LATTICE**2, -1)  # (15, N)
        out[:] = cloud + (z[:, None] * by_z.reshape(LATTICE, 3, -1)).sum(axis=0)
    return moved


def _bernstein(t: np.ndarray) -> np.ndarray:
    """The five Bernstein polynomials of degree 4 at `t`, along a new first axis."""
    s = 1 - t
    s2, st, t2 = s * s, s * t, t * t
    return np.stack([s2 * s2, 4 * s2 * st, 6 * s2 * t2, 4 * st * t2, t2 * t2])


def distortion_rbf(clouds: np.ndarray, streams: Streams, distance: float) -> np.ndarray:
    """`_radial` with the multiquadric kernel sqrt(r^2 + RADIUS^2)."""
    return _radial(clouds, streams, distance, inverse=False)


def distortion_rbf_inv(clouds: np.ndarray, streams: Streams, distance: float) -> np.ndarray:
    """`_radial` with the inverse multiquadric kernel 1 / sqrt(r^2 + RADIUS^2)."""
    return _radial(clouds, streams, distance, inverse=True)


def _radial(clouds: np.ndarray, streams: Streams, distance: float, inverse: bool) -> np.ndarray:
    """The lattice's points move by `distance`, the space between by radial interpolation with a linear term.

    The direction of a move has two angles, both U(-pi, pi) (PyGeM, pygem/rbf.py).
    """
    alpha, gamma = _draw(streams, lambda rng: rng.uniform(-np.pi, np.pi, (2, LATTICE**3))).swapaxes(0, 1)
    directions = [np.cos(alpha) * np.sin(gamma), np.sin(alpha) * np.sin(gamma), np.cos(gamma)]
    moves = distance * np.stack(directions, axis=1)  # (B, 3, 125)
    weights = (moves @ _radial_system(inverse)).astype(np.float32)  # (B, 3, 125 + 4)
    terms = np.empty((weights.shape[2], clouds.shape[2]), dtype=np.float32)  # one cloud's fit the cache
    moved = np.empty_like(clouds)
    for cloud, weight, out in zip(clouds, weights, moved, strict=True):
        _radial_terms(cloud, inverse, terms)
        np.matmul(weight, terms, out=out)
    moved += clouds
    return moved


@cache
def _lattice() -> np.ndarray:
    """The control points (3, 125) float64."""
    return np.stack(np.meshgrid(*[np.linspace(-1, 1, LATTICE)] * 3, indexing="ij")).reshape(3, -1)


@cache
def _radial_system(inverse: bool) -> np.ndarray:
    """(125, 129) float64: from the lattice's moves to the weights of the kernel and of the linear term."""
    lattice = _lattice()
    n = lattice.shape[1]
    system = np.zeros((n + 4, n + 4))
    _radial_terms(lattice, inverse, system[:, :n])
    system[:n, n:] = system[n:, :n].T
    return np.linalg.inv(system)[:n]


def _radial_terms(points: np.ndarray, inverse: bool, terms: np.ndarray) -> None:
    """Fill `terms` (125 + 4, N): the radial function of the distances to the lattice, 1, the points.

    Args:
        points: (3, N).
        inverse: which kernel.
        terms: of the points' dtype.
    """
    lattice = _lattice().astype(points.dtype)
    kernel, one, linear = terms[:-4], terms[-4], terms[-3:]
    one[:] = 1
    linear[:] = points
    # r^2 + RADIUS^2 = (|q|^2 + RADIUS^2) - 2 q.p + |p|^2, in one product
    left = np.vstack([np.square(lattice).sum(axis=0) + RADIUS**2, -2 * lattice, np.ones_like(lattice[:1])])
    right = np.vstack([one, points, np.square(points).sum(axis=0)])
    np.matmul(left.T, right, out=kernel)
    np.sqrt(kernel, out=kernel)
    if inverse:
        np.reciprocal(kernel, out=kernel)


# ------------------------------------------------------------------------------------------------ table


class Corruption(NamedTuple):
    """How a corruption is made."""

    apply: Callable[..., np.ndarray]
    strengths: tuple[Any, ...]  # its parameter at severities 1 to 5
    normalizes: bool  # is the bounding box centred and its longest side brought to 2 afterwards?
    pool: int = 1  # points drawn from the pool, in multiples of N
    needs_mesh: bool = False


#: Every corruption of the generator. Occlusion and lidar have sectors of view in the place of severities.
CORRUPTIONS = {
    "uniform": Corruption(uniform, (0.01, 0.02, 0.03, 0.04, 0.05), True),
    "gaussian": Corruption(gaussian, (0.01, 0.015, 0.02, 0.025, 0.03), False),
    "background": Corruption(background, (45, 40, 35, 30, 20), True),
    "impulse": Corruption(impulse, (30, 25, 20, 15, 10), True),
    "upsampling": Corruption(upsampling, (5, 4, 3, 2, 1), True),
    "rotation": Corruption(rotation, (2.5, 5, 7.5, 10, 15), True),
    "shear": Corruption(shear, (0.05, 0.1, 0.15, 0.2, 0.25), True),
    "scale": Corruption(scale, (0.1, 0.2, 0.3, 0.4, 0.5), True),
    "cutout": Corruption(cutout, (2, 3, 5, 7, 10), False),
    "density": Corruption(density, (1, 2, 3, 4, 5), False),
    "density_inc": Corruption(density_inc, (1, 2, 3, 4, 5), False, pool=2),
    "distortion": Corruption(distortion, (0.1, 0.2, 0.3, 0.4, 0.5), True),
    "distortion_rbf": Corruption(distortion_rbf, (0.025, 0.05, 0.075, 0.1, 0.125), True),
    "distortion_rbf_inv": Corruption(distortion_rbf_inv, (0.025, 0.05, 0.075, 0.1, 0.125), True),
    "occlusion": Corruption(raycasting.occlusion, (1, 2, 3, 4, 5), True, needs_mesh=True),
    "lidar": Corruption(raycasting.lidar, (1, 2, 3, 4, 5), False, needs_mesh=True),
}
NAMES = tuple(CORRUPTIONS)
NEEDS_MESH = tuple(name for name, corruption in CORRUPTIONS.items() if corruption.needs_mesh)
