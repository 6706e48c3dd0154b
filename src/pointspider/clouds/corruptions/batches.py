"""Parts of corruptions that work on many clouds at once.

Clouds are (B, 3, N) float32: B objects, and the coordinates before the N points, because NumPy reduces over
the last axis many times faster. Random draws are made object by object, from the object's generator; the
arithmetic is done on all clouds together.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int64, Num, Shaped

Streams = Sequence[np.random.Generator]
Clouds = Float[np.ndarray, "B 3 N"]


class Traced(NamedTuple):
    """Clouds, and of each point the index of the point that it was; -1 for an added point."""

    clouds: Float[np.ndarray, "B 3 M"]
    origin: Int64[np.ndarray, "B M"]


def sample(pools: Sequence[Float[np.ndarray, "_ 3"]], streams: Streams, count: int) -> Traced:
    """Draw `count` points of each pool: random permutations of the pool, one after another, cut at `count`.

    Of a pool of at least `count` points none is repeated; of a smaller one every point is taken equally
    often, give or take once. No permutation is drawn if nothing is cut, because points have no order.
    """
    drawn = np.empty((len(pools), 3, count), dtype=np.float32)
    origin = np.empty((len(pools), count), dtype=np.int64)
    for cloud, index, pool, rng in zip(drawn, origin, pools, streams, strict=True):
        rounds, cut = divmod(count, len(pool))
        if not cut:
            index.reshape(rounds, -1)[:] = np.arange(len(pool))
            cloud.reshape(3, rounds, -1)[:] = pool.T[:, None]
            continue
        order = np.concatenate([rng.permutation(len(pool)) for _ in range(rounds + 1)])
        index[:] = order[:count]
        cloud[:] = pool.take(index, axis=0).T
    return Traced(drawn, origin)


def identity(clouds: Clouds) -> Int64[np.ndarray, "B N"]:
    """Return the origin of clouds that have all of their points."""
    return np.tile(np.arange(clouds.shape[2]), (len(clouds), 1))


def to_cube(clouds: Clouds) -> Clouds:
    """Centre the bounding box of each cloud and scale its longest side to 2, in place."""
    low, high = clouds.min(axis=2, keepdims=True), clouds.max(axis=2, keepdims=True)
    clouds -= (low + high) / 2
    clouds *= 2 / (high - low).max(axis=1, keepdims=True)
    return clouds


def to_sphere(clouds: Clouds) -> Clouds:
    """Centre each cloud on its mean and scale its maximum radius to 1, in place."""
    clouds -= clouds.mean(axis=2, keepdims=True)
    clouds /= np.sqrt(np.square(clouds).sum(axis=1, keepdims=True)).max(axis=2, keepdims=True)
    return clouds


#: Final scalings of corruptions.
SCALINGS = {"": lambda clouds: clouds, "cube": to_cube, "sphere": to_sphere}


def draw(
    streams: Streams, draw_one: Callable[[np.random.Generator], Num[np.ndarray, "..."]]
) -> Num[np.ndarray, "B ..."]:
    """Stack one draw per object; floats as float32."""
    drawn = np.stack([draw_one(rng) for rng in streams])
    return drawn.astype(np.float32) if drawn.dtype.kind == "f" else drawn


def noise(streams: Streams, shape: tuple[int, ...]) -> Float32[np.ndarray, "B ..."]:
    """Draw U(-1, 1) of `shape` per object."""
    drawn = np.empty((len(streams), *shape), dtype=np.float32)
    for rng, out in zip(streams, drawn, strict=True):
        rng.random(out=out, dtype=np.float32)
    drawn *= 2
    drawn -= 1
    return drawn


def signs(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Draw +1 or -1."""
    return np.asarray(rng.integers(2, size=shape) * 2.0 - 1.0)


def take(clouds: Shaped[np.ndarray, "B C N"], index: Int[np.ndarray, "B k"]) -> Shaped[np.ndarray, "B C k"]:
    """Select points of each cloud."""
    taken: Shaped[np.ndarray, "B C k"] = np.take_along_axis(clouds, index[:, None], axis=2)
    return taken


def remove(values: Int[np.ndarray, "B N"], index: Int[np.ndarray, "B k"]) -> Int[np.ndarray, "B M"]:
    """Remove k different values of each row, by index."""
    stays = np.ones(values.shape, dtype=bool)
    np.put_along_axis(stays, index, False, axis=1)
    left: Int[np.ndarray, "B M"] = values[stays].reshape(len(values), -1)
    return left


def join(*parts: Traced) -> Traced:
    """Join clouds point after point."""
    return Traced(
        np.concatenate([part.clouds for part in parts], axis=2),
        np.concatenate([part.origin for part in parts], axis=1),
    )


def added(clouds: Clouds) -> Traced:
    """Trace points that are new."""
    return Traced(clouds, np.full((len(clouds), clouds.shape[2]), -1))
