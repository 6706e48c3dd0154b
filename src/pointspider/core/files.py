"""Checked reading and atomic writing of CSV, JSON, PNG and HDF5 files.

Every writer fills a temporary file in the same directory and renames it, so that a file under its final name
is complete. Every reader verifies what it reads; its errors name the file and say what to do.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from pointspider.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` if the block succeeds and removed if it fails.

    The temporary name ends in ".tmp", so that patterns such as "*.h5" never match it: give the format to
    writers that choose it by the extension. The file's permissions follow the umask.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_empty_folders(path: str | Path) -> None:
    """Remove the folder `path` and its parents, up to the first that is not empty or does not exist."""
    with suppress(OSError):
        os.removedirs(path)


def find_files(directory: Path) -> Iterator[Path]:
    """Yield the files below a directory, sorted. Hidden ones are skipped; links are followed once."""
    seen = set()
    for folder, folders, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(folder)
        visible = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        folders[:] = [] if real in seen else visible
        if real not in seen:
            yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        seen.add(real)


# ---------------------------------------------------------------------------------------------- tables


#: Columns that are read as text even if they look like numbers.
NAMES = {"cloud_id": str, "class": str, "object": str}


def write_csv(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write `frame` as UTF-8 without its index; missing values become empty cells."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def read_csv(path: str | Path, columns: Iterable[str] = (), separator: str = ",") -> "pd.DataFrame":
    """Read a UTF-8 CSV file; names are read as text ("0003" stays "0003", "NA" stays "NA").

    Args:
        path: the file.
        columns: columns that it must have.
        separator: between the cells.

    Raises:
        InputError: the file is missing, empty, unreadable or lacks a column.
    """
    import pandas as pd  # rendering does without pandas

    try:
        frame = pd.read_csv(
            path, sep=separator, dtype=NAMES, keep_default_na=False, na_values=[""], encoding="utf-8"
        )
    except (OSError, ValueError) as error:  # the parser errors of pandas are ValueErrors
        raise InputError(f"{path}: cannot be read as CSV ({error}). Delete it and run again.") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{path}: lacks the columns {missing}; it has {list(frame.columns)}.")
    return frame


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON that ends with a newline."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a UTF-8 JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). Delete it and run again.") from error


# ---------------------------------------------------------------------------------------------- images


def write_png(path: str | Path, image: UInt8[np.ndarray, "H W C"]) -> None:
    """Write an sRGB image with 3 channels, or 4 with straight alpha, as PNG.

    Raises:
        TypeError: the image has another type or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise TypeError(f"a PNG needs uint8 of shape (H, W, 3 or 4), not {image.dtype} {image.shape}")
    with atomic(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def read_png(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read an image as sRGB; alpha is ignored.

    Raises:
        InputError: the file is missing, truncated or not an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG chunk
        raise InputError(f"{path}: not a complete image ({error}).") from error


# ------------------------------------------------------------------------------------------------ HDF5


@dataclass(frozen=True)
class Group:
    """One HDF5 group: arrays with the same first dimension, and attributes that describe all of them."""

    arrays: Mapping[str, Shaped[np.ndarray, "n ..."]]
    attributes: Mapping[str, Any]


def content_hash(array: Shaped[np.ndarray, "..."]) -> str:
    """Return the SHA-256 of the dtype, shape and bytes of `array`."""
    if array.dtype.kind in "OUT":
        payload = "\0".join(map(str, array.ravel().tolist())).encode()
        header = f"text{array.shape}"
    else:
        payload = np.ascontiguousarray(array).tobytes()
        header = f"{array.dtype.str}{array.shape}"
    return hashlib.sha256(header.encode() + payload).hexdigest()


def write_hdf5(path: str | Path, groups: Iterable[tuple[str, Group]]) -> None:
    """Write named groups one by one, each array with its content hash.

    Only one group is in memory if `groups` is an iterator. Strings are stored as UTF-8. No time is stored:
    equal content gives equal bytes.
    """
    with atomic(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        for name, group in groups:
            node = file.create_group(name, track_order=True)
            node.attrs.update(group.attributes)
            for key, array in group.arrays.items():
                array = np.asarray(array)
                stored = array.astype(h5py.string_dtype()) if array.dtype.kind in "OU" else array
                dataset = node.create_dataset(key, data=stored, track_times=False)
                dataset.attrs["sha256"] = content_hash(array)


def read_hdf5(path: str | Path) -> dict[str, Group]:
    """Read every group of a file from `write_hdf5` and verify every content hash.

    Raises:
        InputError: the file is missing or truncated, or its content does not match a hash.
    """
    groups = {}
    try:
        with h5py.File(path, "r") as file:
            for name, node in file.items():
                arrays = {}
                for key, dataset in node.items():
                    array = dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
                    if content_hash(array) != dataset.attrs["sha256"]:
                        raise InputError(
                            f"{path}: {name}/{key} does not match its checksum. Delete it and run again."
                        )
                    arrays[key] = array
                groups[name] = Group(arrays, dict(node.attrs))
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not a complete HDF5 file ({error}). Delete it and run again.") from error
    return groups
