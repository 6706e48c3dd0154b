"""HDF5 files with a dataset `data`: (n, P, 3), a cloud per row, or (P, 3).

ModelNet40's files, ScanObjectNN's and PointCloud-C's have this layout, with a dataset `label` (n,) or (n, 1):
the class of each cloud. Other datasets with a number per point, such as `pid` of ShapeNetPart's, are fields.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    import h5py

    with h5py.File(path, "r") as file:
        data, at = _data(file, path), () if row is None else row
        points = data[at]
        numbers = {name: each for name, each in file.items() if getattr(each, "shape", ()) == data.shape[:-1]}
        fields = {name: each[at] for name, each in numbers.items() if each.dtype.kind in "fiub"}
    if points.dtype.kind not in "fiu":
        raise InputError(f"points must be numbers, not {points.dtype}.")
    return Cloud(points if points.dtype.kind == "f" else points.astype(np.float64), fields=fields)


def count(path: Path) -> int | None:
    """Return n of `data` (n, P, 3)."""
    import h5py

    with h5py.File(path, "r") as file:
        data = _data(file, path)
        return len(data) if data.ndim == 3 else None


def read_classes(path: Path) -> Integer[np.ndarray, " n"] | None:
    """Return the dataset `label`, the class of each cloud, or None if there is none.

    Raises:
        InputError: it does not have an integer per cloud, 0 or greater.
    """
    import h5py

    with h5py.File(path, "r") as file:
        if "label" not in file:
            return None
        data, label = _data(file, path), file["label"]
        check_size(getattr(label, "nbytes", 0), path)
        labels = np.asarray(label[()])
    integers = labels.dtype.kind in "fiu" and (labels == np.floor(labels)).all() and (labels >= 0).all()
    if labels.size != len(data) or not integers:
        raise InputError(
            f"dataset 'label' must have an integer from 0 per cloud, not {labels.dtype} {labels.shape}."
        )
    return labels.ravel().astype(np.int64)


def _data(file: Any, path: Path) -> Any:
    """Return the dataset of clouds of an open file."""
    import h5py

    data = file.get("data")
    if not isinstance(data, h5py.Dataset):
        raise InputError(f"cannot be read: it has no dataset 'data', but {', '.join(file) or 'nothing'}.")
    if data.ndim not in (2, 3) or data.shape[-1] != 3:
        raise InputError(f"dataset 'data' must be (n, P, 3) or (P, 3), not {data.shape}.")
    if not data.size:
        raise InputError("has no points.")
    check_size(data.nbytes, path)
    return data


FORMATS.add(
    "h5",
    Format((".h5", ".hdf5"), read, lambda head, size: head.startswith(b"\x89HDF\r\n\x1a\n"), count),
)
