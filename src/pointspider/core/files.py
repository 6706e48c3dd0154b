"""Checked reading and atomic writing of the workflow's files: CSV, JSON, PNG and HDF5.

Every writer fills a temporary sibling and renames it, so that a file under its final name is whole. Every
reader refuses what it cannot trust, naming the file and what to do.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from pointspider.core.errors import InputError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path`, renamed to `path` when the block succeeds, removed when it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    os.chmod(name, 0o666 & ~_umask())
    temporary = Path(name)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_empty_folders(path: str | Path) -> None:
    """Remove the folder `path` and those above it, up to the first that holds something or is gone."""
    with suppress(OSError):
        os.removedirs(path)


# ---------------------------------------------------------------------------------------------- tables


#: Columns that hold names, whatever they look like.
NAMES = {"cloud_id": str, "class": str, "object": str}


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index; missing values are empty cells."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: str | Path, columns: Iterable[str] = (), separator: str = ",") -> pd.DataFrame:
    """Read a CSV that must hold `columns`; names are read as text ("0003" stays "0003", "NA" stays "NA").

    Raises:
        InputError: the file is missing, empty, unreadable or lacks a column.
    """
    try:
        frame = pd.read_csv(path, sep=separator, dtype=NAMES, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
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
    """Write `value` as indented JSON with a closing newline."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). Delete it and run again.") from error


# ---------------------------------------------------------------------------------------------- images


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write `image`, (H, W, 3) uint8 sRGB, as PNG."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise TypeError(f"a PNG is written from (H, W, 3) uint8, not {image.shape} {image.dtype}")
    with atomic(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def read_png(path: str | Path) -> np.ndarray:
    """Read a PNG as (H, W, 3) uint8.

    Raises:
        InputError: the file is missing, truncated or no image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG chunk
        raise InputError(f"{path}: not a whole image ({error}).") from error


# ------------------------------------------------------------------------------------------------ HDF5


@dataclass(frozen=True)
class Group:
    """One HDF5 group: arrays that share their first dimension, and the facts that hold for all of them."""

    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, str | int | float]


def content_hash(array: np.ndarray) -> str:
    """SHA-256 over dtype, shape and bytes of `array`."""
    if array.dtype.kind in "OUT":
        payload = "\0".join(map(str, array.ravel().tolist())).encode()
        header = f"text{array.shape}"
    else:
        payload = np.ascontiguousarray(array).tobytes()
        header = f"{array.dtype.str}{array.shape}"
    return hashlib.sha256(header.encode() + payload).hexdigest()


def write_hdf5(path: str | Path, groups: Iterable[tuple[str, Group]]) -> None:
    """Write named groups one by one (an iterator keeps only one in memory), each array with its content hash.

    Arrays of strings are stored as UTF-8. Nothing of the wall clock is stored: equal content, equal bytes.
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
    """Read every group of a file that `write_hdf5` wrote, checking every content hash.

    Raises:
        InputError: the file is missing, truncated, or its content does not match a hash.
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
        raise InputError(f"{path}: not a whole HDF5 file ({error}). Delete it and run again.") from error
    return groups
