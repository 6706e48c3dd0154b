"""Files of clouds: one HDF5 file per class, with a group per corruption level."""

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, read_hdf5


def read_clouds(
    path: str | Path, cloud_ids: Container[str] | None = None
) -> dict[str, tuple[Shaped[np.ndarray, " n"], Float32[np.ndarray, "n N 3"]]]:
    """Read the clouds of one class.

    Args:
        path: a file with the groups of `build_clouds`.
        cloud_ids: the clouds to select; None: all of them.

    Returns:
        {level: (cloud ids, points)} in the order of the file.

    Raises:
        InputError: the file is missing, truncated or changed, or is not a file of clouds.
    """
    clouds = {}
    for level, group in read_hdf5(path).items():
        if not {"cloud_id", "points"} <= group.arrays.keys():
            raise InputError(f"{path}: group {level} has no clouds. Delete the file and run again.")
        ids, points = group.arrays["cloud_id"], group.arrays["points"]
        selected = np.array([cloud_ids is None or name in cloud_ids for name in ids], dtype=bool)
        if selected.any():
            clouds[level] = ids[selected], points[selected]
    return clouds


def gather_clouds(paths: Iterable[str | Path], cloud_ids: Iterable[str]) -> Float32[np.ndarray, "n N 3"]:
    """Read the clouds of `cloud_ids`, in their order, from the class files `paths`, one file at a time.

    Raises:
        InputError: a file is broken, a cloud is in none of them, or they differ in their number of points.
    """
    cloud_ids = list(cloud_ids)
    classes = {name.split("/")[0] for name in cloud_ids}
    found = {
        name: cloud
        for path in paths
        if Path(path).stem in classes
        for ids, clouds in read_clouds(path, set(cloud_ids)).values()
        for name, cloud in zip(ids.tolist(), clouds, strict=True)
    }
    missing = [name for name in cloud_ids if name not in found]
    if missing:
        raise InputError(f"{len(missing)} of {len(cloud_ids)} clouds were not built, e.g. {missing[0]}.")
    sizes = {found[name].shape for name in cloud_ids}
    if len(sizes) != 1:
        raise InputError(f"the selected clouds differ in their number of points: {sorted(sizes)}.")
    return np.stack([found[name] for name in cloud_ids])


def manifest_ids(paths: Iterable[str | Path]) -> set[str]:
    """Return the cloud ids of several manifests."""
    return {name for path in paths for name in read_csv(path, ["cloud_id"])["cloud_id"]}
