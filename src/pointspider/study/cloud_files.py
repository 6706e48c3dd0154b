"""Clouds as files: one HDF5 file per class with a group per variant, and what a usable cloud is."""

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, read_hdf5


def validate_points(points: np.ndarray, what: str) -> None:
    """Refuse what cannot be drawn as a cloud.

    Args:
        points: should be (N, 3), finite, with at least two distinct points.
        what: the file or cloud, for the message.

    Raises:
        InputError: it is not.
    """
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(
            f"{what}: points must be numbers of shape (N, 3), not {points.dtype} {points.shape}."
        )
    if len(points) == 0:
        raise InputError(f"{what}: has no points.")
    broken = len(points) - np.count_nonzero(np.isfinite(points).all(axis=1))
    if broken:
        raise InputError(
            f"{what}: {broken} of {len(points)} points have NaN or inf coordinates; remove them."
        )
    if (points == points[0]).all():
        raise InputError(
            f"{what}: all of its {len(points)} points coincide; a cloud needs two distinct ones."
        )


def read_clouds(
    path: str | Path, cloud_ids: Container[str] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read what `build_clouds` made.

    Args:
        path: the file of one class.
        cloud_ids: the clouds to keep; None: all of them.

    Returns:
        {variant: (cloud ids (n,) str, points (n, N, 3) float32)} in the order of writing.

    Raises:
        InputError: the file is missing, truncated or changed, or is not a file of clouds.
    """
    clouds = {}
    for variant, group in read_hdf5(path).items():
        if not {"cloud_id", "points"} <= group.arrays.keys():
            raise InputError(f"{path}: group {variant} holds no clouds. Delete the file and run again.")
        ids, points = group.arrays["cloud_id"], group.arrays["points"]
        kept = np.array([cloud_ids is None or identity in cloud_ids for identity in ids], dtype=bool)
        if kept.any():
            clouds[variant] = ids[kept], points[kept]
    return clouds


def gather_clouds(paths: Iterable[str | Path], cloud_ids: Iterable[str]) -> np.ndarray:
    """The clouds of `cloud_ids` in their order, from the class files `paths`, read one at a time.

    Returns:
        (n, N, 3) float32.

    Raises:
        InputError: a file is broken, a cloud is in none of them, or they differ in their number of points.
    """
    cloud_ids = list(cloud_ids)
    wanted = set(cloud_ids)
    classes = {identity.split("/")[0] for identity in wanted}
    found = {
        identity: cloud
        for path in paths
        if Path(path).stem in classes
        for ids, clouds in read_clouds(path, wanted).values()
        for identity, cloud in zip(ids.tolist(), clouds, strict=True)
    }
    missing = [identity for identity in cloud_ids if identity not in found]
    if missing:
        raise InputError(f"{len(missing)} of {len(cloud_ids)} clouds were not built, e.g. {missing[0]}.")
    sizes = {found[identity].shape for identity in cloud_ids}
    if len(sizes) != 1:
        raise InputError(f"clouds that go together differ in their number of points: {sorted(sizes)}.")
    return np.stack([found[identity] for identity in cloud_ids])


def manifest_ids(paths: Iterable[str | Path]) -> set[str]:
    """The cloud ids of several manifests."""
    return {identity for path in paths for identity in read_csv(path, ["cloud_id"])["cloud_id"]}
