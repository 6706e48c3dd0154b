"""NumPy files, .npy and .npz.

    (N, 3 or more)        a cloud: the first three columns are x, y, z;
                          for others see `fields.cloud_from_columns`
    (n, N, 3 or more)     n clouds
    (N,), structured      a cloud: fields x, y, z in any case; red, green, blue; nx, ny, nz; label

An archive, .npz, has one such array, or one named points, xyz, pcd, pc, data, pos or arr_0. Arrays named
colors, labels and normals belong to it; others with a number per point are fields.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_columns, cloud_from_fields, scale_colors
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError

POINTS = ("points", "xyz", "pcd", "pc", "data", "pos", "arr_0")


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud of a .npy file."""
    array = _open(path)
    return cloud_from_array(array if row is None else array[row])


def count(path: Path) -> int | None:
    """Return the number of clouds of an (n, N, 3 or more) array."""
    array = _open(path)
    return len(array) if array.ndim == 3 else None


def read_archive(path: Path, row: int | None) -> Cloud:
    """Read a cloud of a .npz file."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: _load(archive, name) for name in archive.files}
    name = next((name for name in POINTS if name in arrays), None)
    if name is None and len(arrays) != 1:
        raise InputError(f"has no array '{POINTS[0]}', but {', '.join(arrays)}.")
    points = arrays.pop(name) if name else arrays.popitem()[1]
    cloud = cloud_from_array(points if row is None else points[row])
    if row is not None:
        arrays = {key: array[row] for key, array in arrays.items() if array.shape[:2] == points.shape[:2]}
    colors, labels, normals = (arrays.pop(key, None) for key in ("colors", "labels", "normals"))
    numbers = {key: array for key, array in arrays.items() if array.shape in ((len(cloud),), (len(cloud), 1))}
    fields = {key: array.ravel() for key, array in numbers.items() if array.dtype.kind in "fiub"}
    for key, values in (("colors", colors), ("labels", labels), ("normals", normals)):
        if values is not None and len(values) != len(cloud):
            raise InputError(f"has {len(values)} {key} for {len(cloud)} points.")
    return Cloud(
        cloud.points,
        colors=cloud.colors if colors is None else scale_colors(colors[:, :3]),
        labels=cloud.labels if labels is None else labels.ravel().astype(np.int64),
        normals=cloud.normals if normals is None else normals.astype(np.float64),
        fields={**cloud.fields, **fields},
    )


def cloud_from_array(array: Any) -> Cloud:
    """Return the cloud of an (N, 3 or more) or a structured (N,) array.

    Raises:
        InputError: the array has another shape, or is not of numbers.
    """
    if array.dtype.names and array.ndim == 1:
        return cloud_from_fields({name: array[name] for name in array.dtype.names})
    if array.ndim != 2 or array.shape[1] < 3:
        raise InputError(f"an array must be (N, 3 or more) or (n, N, 3 or more), not {array.shape}.")
    if array.dtype.kind not in "fiu":
        raise InputError(f"points must be numbers, not {array.dtype}.")
    return cloud_from_columns(array)


def _open(path: Path) -> Any:
    """Memory-map the array: `np.load` would advise users of other files to unpickle them."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise _objects(error) from error


def _load(archive: Any, name: str) -> Any:
    try:
        return archive[name]
    except ValueError as error:
        raise _objects(error) from error


def _objects(error: ValueError) -> Exception:
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        return InputError("its array has Python objects, which are not loaded; save numbers.")
    return error


def _is_archive(head: bytes, size: int) -> bool:
    return head.startswith(b"PK\x03\x04") and b".npy" in head


def _count_archive(path: Path) -> int | None:
    """Return the number of clouds of an archive: from the header of its array, which is not loaded."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        name = next((name for name in POINTS if name in names), names[0] if len(names) == 1 else None)
        if name is None:
            return None
        with archive.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape = read_header(file)[0]
    return int(shape[0]) if len(shape) == 3 else None


FORMATS.add("npy", Format((".npy",), read, lambda head, size: head.startswith(b"\x93NUMPY"), count))
FORMATS.add("npz", Format((".npz",), read_archive, _is_archive, _count_archive))
