"""NumPy files: .npy.

(N, 3 or more)        a cloud: the first three columns are x, y, z
(n, N, 3 or more)     n clouds
(N,), structured      a cloud: fields x, y, z in any case; red, green, blue; nx, ny, nz; label
"""

from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_fields
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError

#: More columns than this, of three rows, are the points of a transposed array.
COLUMNS = 12


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    array = _open(path)
    return cloud_from_array(array if row is None else array[row])


def count(path: Path) -> int | None:
    """Return the number of clouds of an (n, N, 3 or more) array."""
    array = _open(path)
    return len(array) if array.ndim == 3 else None


def cloud_from_array(array: Any) -> Cloud:
    """Return the cloud of an (N, 3 or more) or a structured (N,) array.

    Raises:
        InputError: the array has another shape, or is not of numbers.
    """
    if array.dtype.names and array.ndim == 1:
        return cloud_from_fields({name: array[name] for name in array.dtype.names})
    if array.ndim != 2 or array.shape[1] < 3:
        raise InputError(f"an array must be (N, 3 or more) or (n, N, 3 or more), not {array.shape}.")
    if array.shape[0] == 3 and array.shape[1] > COLUMNS:
        raise InputError(f"its array is {array.shape}; points are rows, (N, 3): transpose it.")
    if array.dtype.kind not in "fiu":
        raise InputError(f"points must be numbers, not {array.dtype}.")
    return Cloud(np.asarray(array[:, :3], dtype=array.dtype if array.dtype.kind == "f" else np.float64))


def _open(path: Path) -> Any:
    """Memory-map the array: `np.load` would advise users of other files to unpickle them."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "hasobject" in str(error) or "Python objects" in str(error):
            raise InputError("its array has Python objects, which are not loaded; save numbers.") from error
        raise
    return array


FORMATS.add("npy", Format((".npy",), read, lambda head: head.startswith(b"\x93NUMPY"), count))
