"""Corrupting clouds: many at once, or one.

Every object has its own random stream, named by (object, corruption, severity): a cloud is the same byte for
byte alone, in a batch, in any order and in any process.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int64

from pointspider.clouds.cloud import Cloud, Mesh
from pointspider.clouds.corruptions.batches import SCALINGS, Traced, sample
from pointspider.clouds.corruptions.registry import CORRUPTIONS, find_level, needing_mesh
from pointspider.clouds.names import CLEAN, CorruptionLevel
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Clouds that are corrupted together: as many as fit a core's cache.
BATCH = 16


def corrupt_clouds(
    level: CorruptionLevel,
    pools: Sequence[Float[np.ndarray, "_ 3"]],
    meshes: Sequence[Mesh | None],
    keys: Sequence[str],
    seed: int,
    points: int = 1024,
) -> Float32[np.ndarray, "B M 3"]:
    """Corrupt B objects at one level.

    A corruption starts from `points` points that `sample` draws from the object's pool (density_inc: twice as
    many); occlusion and lidar sample the object's mesh instead.

    Args:
        level: what to do; CLEAN gives the drawn points themselves.
        pools: at least one point each; the sizes may differ. Within [-1, 1]^3 (maximum radius 1).
        meshes: in the frame of the points; used only by occlusion and lidar.
        keys: names, "<class>/<object>"; with `seed` they determine every draw.
        seed: `seeds.corruptions`.
        points: points per clean cloud.

    Returns:
        The clouds; M depends on the level.

    Raises:
        InputError: no such corruption or severity; a mesh is needed and missing, or a camera sees none of it.
    """
    if level != CLEAN and find_level(level)[0].needs_mesh:
        missing = [key for key, mesh in zip(keys, meshes, strict=True) if mesh is None]
        if missing:
            raise InputError(
                f"{missing[0]} (and {len(missing) - 1} more) has points but no mesh, which {level} needs: "
                f"give meshes (.off), or remove {' and '.join(needing_mesh())} from clouds.corruptions."
            )
    batches = [slice(start, start + BATCH) for start in range(0, len(keys), BATCH)]
    parts = [_corrupt(level, pools[b], meshes[b], keys[b], seed, points, True).clouds for b in batches]
    return np.ascontiguousarray(np.concatenate(parts).transpose(0, 2, 1))


def corrupt(
    points: Float[np.ndarray, "N 3"],
    name: str,
    severity: int = 1,
    seed: int = 0,
    *,
    mesh: Mesh | None = None,
    key: str = "",
    frame: Literal["normalize", "keep"] = "normalize",
    count: int | None = None,
) -> tuple[Float[np.ndarray, "M 3"], Int64[np.ndarray, " M"]]:
    """Corrupt one cloud.

    The cloud is first centred on its mean and scaled to maximum radius 1, for which the constants are stated.

    Args:
        points: in any frame; y up for the corruptions that depend on it.
        name: of a corruption: "uniform", "pointcloud-c/jitter"; without the benchmark where it is unique.
            Several are joined by "+" and applied one after another, at the same severity.
        severity: 1 (weak) to 5 (strong).
        seed: of the random draws.
        mesh: the surface in the frame of the points, for occlusion and lidar.
        key: name of the cloud; clouds of different names have different draws.
        frame: "normalize": return what the benchmark defines, in the unit sphere or cube | "keep": transform
            back to the frame of the input, without the benchmark's own final scaling.
        count: resample the result to this number of points, as `sample` does; None: as many as it has.

    Returns:
        The points, and of each the index of the point that it was; -1 for an added point.

    Raises:
        InputError: no such corruption or severity, unusable points, or a mesh is missing.
    """
    clean = Cloud(points, mesh).normalize("points")
    corrupted, origin = corrupt_equal(
        [clean], full_names(name), severity, seed, [key], count=count, scales=frame == "normalize"
    )
    moved = corrupted[0].T
    if frame == "keep":
        centre = points.astype(np.float64).mean(axis=0)
        radius = np.linalg.norm(points.astype(np.float64) - centre, axis=1).max()
        moved = moved.astype(np.float64) * radius + centre
    return np.ascontiguousarray(moved, dtype=points.dtype), origin[0]


def corrupt_equal(
    clouds: Sequence[Cloud],
    names: Sequence[str],
    severity: int,
    seed: int,
    keys: Sequence[str],
    *,
    count: int | None = None,
    scales: bool = True,
) -> Traced:
    """Corrupt B clouds of equally many points, each as `corrupt` does.

    Args:
        clouds: of `Cloud.normalize`.
        names: of `full_names`; applied one after another.
        severity: see `corrupt`.
        seed: see `corrupt`.
        keys: name of each cloud.
        count: see `corrupt`.
        scales: whether to apply the final scaling of the corruptions.

    Raises:
        InputError: see `corrupt`.
    """
    pools, meshes = [cloud.points for cloud in clouds], [cloud.mesh for cloud in clouds]
    if not names:
        traced = sample(pools, [generator(seed, key, *CLEAN) for key in keys], len(pools[0]))
    for place, name in enumerate(names):
        level = CorruptionLevel(name, severity)
        if find_level(level)[0].needs_mesh and (place or None in meshes):
            raise InputError(
                f"{name} needs a mesh{' and must come first' if place else ''}; points/{name} is an "
                "approximation that needs none."
            )
        parts = [f"{key}+{place}" for key in keys] if place else keys
        result = _corrupt(level, pools, meshes, parts, seed, len(pools[0]), scales)
        traced = Traced(result.clouds, _compose(traced.origin, result.origin)) if place else result
        pools = list(traced.clouds.transpose(0, 2, 1))
    if count is not None and count != traced.clouds.shape[2]:
        streams = [generator(seed, key, "+".join(names), severity, "points") for key in keys]
        result = sample(list(traced.clouds.transpose(0, 2, 1)), streams, count)
        traced = Traced(result.clouds, _compose(traced.origin, result.origin))
    return traced


def full_names(name: str) -> list[str]:
    """Complete the names of corruptions with their benchmarks: "jitter" is "pointcloud-c/jitter".

    Args:
        name: a name, or several joined by "+".

    Raises:
        InputError: no corruption, or more than one, has the name.
    """
    names = []
    for part in name.split("+"):
        found = [known for known in CORRUPTIONS if known.endswith(f"/{part}")]
        if part not in CORRUPTIONS and len(found) > 1:
            raise InputError(f"'{part}' may be {' or '.join(found)}; give the full name.")
        names.append(found[0] if part not in CORRUPTIONS and found else part)
        CORRUPTIONS.find(names[-1])
    return names


def _compose(first: Int64[np.ndarray, "B N"], second: Int64[np.ndarray, "B M"]) -> Int64[np.ndarray, "B M"]:
    """Follow the origins of two steps to the input of the first."""
    return np.where(second < 0, -1, np.take_along_axis(first, np.maximum(second, 0), axis=1))


def _corrupt(
    level: CorruptionLevel,
    pools: Sequence[Float[np.ndarray, "_ 3"]],
    meshes: Sequence[Mesh | None],
    keys: Sequence[str],
    seed: int,
    points: int,
    scales: bool,
) -> Traced:
    """Corrupt one batch; with `scales`, apply the final scaling."""
    streams = [generator(seed, key, *level) for key in keys]
    if level == CLEAN:
        return sample(pools, streams, points)
    corruption, constant = find_level(level)
    if corruption.needs_mesh:
        seen = []
        for mesh, rng, key in zip(meshes, streams, keys, strict=True):
            try:
                seen.append(corruption.apply(mesh, rng, constant, points).T.astype(np.float32))
            except InputError as error:
                raise InputError(f"{key}: {error}") from error
        clouds = np.stack(seen)
        origin = np.full((len(clouds), clouds.shape[2]), -1)
    else:
        drawn = sample(pools, streams, corruption.pool * points)
        result = corruption.apply(drawn.clouds, streams, constant)
        if not isinstance(result, Traced):
            clouds, origin = result, drawn.origin
        elif all(len(pool) == corruption.pool * points for pool in pools):  # `drawn` is the pools themselves
            clouds, origin = result
        else:
            clouds, origin = result.clouds, _compose(drawn.origin, result.origin)
    return Traced(SCALINGS[corruption.normalizes if scales else ""](clouds), origin)
