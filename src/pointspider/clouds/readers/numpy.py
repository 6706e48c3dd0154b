"""NumPy files, .npy and .npz.

    (N, 3 or more)        a cloud: the first three columns are x, y, z;
                          for others see `fields.cloud_from_columns`
    (n, N, 3 or more)     n clouds
    (N,), structured      a cloud: fields x, y, z in any case; red, green, blue; nx, ny, nz; label

An archive, .npz, has one such array, or one named points, xyz, pcd, pc, data, pos or arr_0. Arrays named
colors, labels and normals belong to it; others with a number per point are fields.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_columns, cloud_from_fields, scale_colors
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size

POINTS = ("points", "xyz", "pcd", "pc", "data", "pos", "arr_0")


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud of a .npy file."""
    array = _open(path)
    return cloud_from_array(array if row is None else array[row])


def count(path: Path) -> int | None:
    """Return the number of clouds of an (n, N, 3 or more) array."""
    return _count(_open(path).shape)


def read_archive(path: Path, row: int | None) -> Cloud:
    """Read a cloud of a .npz file."""
    _read_shapes(path)
    with np.load(path, allow_pickle=False) as archive, _objects_refused():
        arrays = {name: archive[name] for name in archive.files}
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
    with _objects_refused():
        return np.lib.format.open_memmap(path, mode="r")


@contextmanager
def _objects_refused() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise InputError("its array has Python objects, which are not loaded; save numbers.") from error
        raise


def _is_archive(head: bytes, size: int) -> bool:
    return head.startswith(b"PK\x03\x04") and b".npy" in head


def _count_archive(path: Path) -> int | None:
    """Return the number of clouds of an archive; the arrays are not loaded."""
    shapes = _read_shapes(path)
    name = next((name for name in POINTS if name in shapes), next(iter(shapes)) if len(shapes) == 1 else None)
    return _count(shapes[name]) if name else None


def _count(shape: tuple[int, ...]) -> int | None:
    if len(shape) == 3 and not math.prod(shape):
        raise InputError(f"has no points: its array is {shape}.")
    return shape[0] if len(shape) == 3 else None


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of an archive, and check that the file can hold them."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        check_size(sum(member.file_size for member in archive.infolist()), path)
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)[0]  # 3 is 2 with names in UTF-8
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == 1
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(file)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise InputError(f"its array {member.filename} ends too early; is it complete?")
            shapes[member.filename.removesuffix(".npy")] = shape
    return shapes


FORMATS.add("npy", Format((".npy",), read, lambda head, size: head.startswith(b"\x93NUMPY"), count))
FORMATS.add("npz", Format((".npz",), read_archive, _is_archive, _count_archive))
