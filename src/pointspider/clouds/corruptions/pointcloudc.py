"""PointCloud-C's seven corruptions (ModelNet-C) at five severities; their names start with "pointcloud-c/".

Definitions and constants are those of the benchmark (Ren et al. 2022, "Benchmarking and Analyzing Point Cloud
Classification under Corruptions"; github.com/ldkong1205/PointCloud-C, build/corrupt_utils.py), which states
them for clouds of 1024 points in the unit ball and numbers the severities 0 to 4. Counts of points scale with
N. The benchmark's own files cannot be reproduced bit by bit: they were drawn from one sequential stream.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from pointspider.clouds.corruptions.batches import (
    Clouds,
    Streams,
    Traced,
    added,
    draw,
    identity,
    join,
    remove,
)
from pointspider.clouds.corruptions.registry import CORRUPTIONS, Corruption

#: Clusters of the local corruptions: 1 to 7.
CLUSTERS = range(1, 8)


def scale(clouds: Clouds, streams: Streams, factor: float) -> Clouds:
    """Scale each axis by U(1 / factor, factor)."""
    factors = draw(streams, lambda rng: rng.uniform(1 / factor, factor, (3, 1)))
    scaled: Clouds = clouds * factors
    return scaled


def jitter(clouds: Clouds, streams: Streams, deviation: float) -> Clouds:
    """Move every coordinate by N(0, deviation^2)."""
    noise = draw(streams, lambda rng: rng.standard_normal(clouds.shape[1:], dtype=np.float32))
    return clouds + np.float32(deviation) * noise


def rotate(clouds: Clouds, streams: Streams, limit: float) -> Clouds:
    """Rotate by three Euler angles U(-limit, limit), in radians: rows of points times Rz Ry Rx."""
    x, y, z = draw(streams, lambda rng: rng.uniform(-limit, limit, 3)).astype(np.float64).T
    turns = np.matmul(np.matmul(_turn(z, 0, 1), _turn(y, 2, 0)), _turn(x, 1, 2)).astype(np.float32)
    rotated: Clouds = turns.transpose(0, 2, 1) @ clouds
    return rotated


def _turn(angles: Float[np.ndarray, " B"], first: int, second: int) -> Float[np.ndarray, "B 3 3"]:
    """Return rotations that move the axis `first` towards `second`."""
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, first, first] = turns[:, second, second] = np.cos(angles)
    turns[:, second, first] = np.sin(angles)
    turns[:, first, second] = -turns[:, second, first]
    return turns


def dropout_global(clouds: Clouds, streams: Streams, share: float) -> Traced:
    """Remove a share of the points at random."""
    n = clouds.shape[2]
    lost = draw(streams, lambda rng: rng.permutation(n)[n - int(n * share) :])
    index = remove(identity(clouds), lost)
    return Traced(np.take_along_axis(clouds, index[:, None], axis=2), index)


def dropout_local(clouds: Clouds, streams: Streams, count: int) -> Traced:
    """Remove `count` of 1024 points in 1 to 7 clusters, each a random point and its nearest ones."""

    def stays(cloud: Float[np.ndarray, "3 N"], rng: np.random.Generator) -> Int[np.ndarray, " M"]:
        left = np.arange(cloud.shape[1])
        for size in _cluster_sizes(rng, count * cloud.shape[1] // 1024).tolist():
            centre = cloud[:, left[rng.integers(len(left))], None]
            distance = np.square(cloud - centre).sum(axis=0)[left]
            far = np.ones(len(left), bool)
            far[np.argpartition(distance, size)[:size]] = False
            left = left[far]
        return left

    index = np.stack([stays(cloud, rng) for cloud, rng in zip(clouds, streams, strict=True)])
    return Traced(np.take_along_axis(clouds, index[:, None], axis=2), index)


def add_global(clouds: Clouds, streams: Streams, count: int) -> Traced:
    """Add `count` points to 1024, uniform in the unit ball."""
    number = count * clouds.shape[2] // 1024

    def points(rng: np.random.Generator) -> Float[np.ndarray, "3 n"]:
        directions = rng.standard_normal((3, number))
        radius = np.cbrt(rng.uniform(size=number))
        return np.asarray(radius * directions / np.linalg.norm(directions, axis=0))

    return join(Traced(clouds, identity(clouds)), added(draw(streams, points)))


def add_local(clouds: Clouds, streams: Streams, count: int) -> Traced:
    """Add `count` points to 1024 in 1 to 7 clusters around random points, each N(0, U(0.075, 0.125)^2) away.

    Points outside the unit ball are divided by their squared distance from its centre.
    """

    def points(cloud: Float[np.ndarray, "3 N"], rng: np.random.Generator) -> Float[np.ndarray, "3 n"]:
        parts = [
            cloud[:, rng.integers(cloud.shape[1]), None]
            + rng.uniform(0.075, 0.125) * rng.standard_normal((3, size))
            for size in _cluster_sizes(rng, count * cloud.shape[1] // 1024)
        ]
        joined = np.concatenate(parts, axis=1)
        return np.asarray(joined / np.maximum(np.square(joined).sum(axis=0), 1), dtype=np.float32)

    new = np.stack([points(cloud, rng) for cloud, rng in zip(clouds, streams, strict=True)])
    return join(Traced(clouds, identity(clouds)), added(new))


def _cluster_sizes(rng: np.random.Generator, count: int) -> Int[np.ndarray, " n"]:
    number = int(rng.integers(CLUSTERS.start, CLUSTERS.stop))
    return rng.multinomial(count, np.full(number, 1 / number))


_this: Callable[..., Corruption] = partial(
    Corruption, "pointcloud-c", "github.com/ldkong1205/PointCloud-C, build/corrupt_utils.py"
)
CORRUPTIONS.add("pointcloud-c/scale", _this((1.6, 1.7, 1.8, 1.9, 2.0), scale, "sphere"))
CORRUPTIONS.add("pointcloud-c/jitter", _this((0.01, 0.02, 0.03, 0.04, 0.05), jitter))
CORRUPTIONS.add("pointcloud-c/rotate", _this(tuple(np.pi / 30 * k for k in range(1, 6)), rotate))
CORRUPTIONS.add("pointcloud-c/dropout_global", _this((0.25, 0.375, 0.5, 0.625, 0.75), dropout_global))
CORRUPTIONS.add("pointcloud-c/dropout_local", _this((100, 200, 300, 400, 500), dropout_local))
CORRUPTIONS.add("pointcloud-c/add_global", _this((10, 20, 30, 40, 50), add_global))
CORRUPTIONS.add("pointcloud-c/add_local", _this((100, 200, 300, 400, 500), add_local))
