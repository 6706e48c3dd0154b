"""Checked reading and atomic writing of CSV, JSON, PNG and HDF5 files.

Every writer fills a temporary file in the same directory and renames it, so that a file under its final name
is complete. Every reader verifies what it reads; its errors name the file and say what to do. A PNG has a CRC
in each chunk; an HDF5 file starts with a SHA-256 of all its bytes in a user block, which other programs skip.
Text has its SHA-256 in an extended attribute, where the file system has such attributes.
"""

import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
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

    Raises:
        InputError: the disk is full or does not allow writing.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            if path.suffix in TEXT_FORMATS:
                add_checksum(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except Exception as error:
        if reason := _refusal(error):
            raise InputError(f"{path}: cannot be written ({reason}). Correct that and run again.") from error
        raise


def _refusal(error: Exception) -> str:
    """Return the system's reason not to write, or "". HDF5 and safetensors have it in their messages only."""
    reasons = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)]
    if isinstance(error, InputError):
        return ""
    return next((reason for reason in reasons if reason in str(error)), "")


def remove_temporaries(directory: str | Path) -> None:
    """Remove the temporary files and folders that killed writers left below a directory."""
    for path in Path(directory).rglob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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


# ------------------------------------------------------------------------------------------- checksums


#: What stands for the hexadecimal digits of a checksum while it is computed.
UNSEALED = "0" * 64
#: Words at the start of a sealed file, of which a single damaged byte leaves one.
_MARKS = (b"pointspider", b"sha256")


#: Formats of text, which have no place for a checksum.
TEXT_FORMATS = {".csv", ".html", ".json", ".md", ".svg"}
_ATTRIBUTE = "user.sha256"


def add_checksum(path: str | Path) -> None:
    """Store a file's SHA-256 in an extended attribute, on file systems that have them."""
    with suppress(OSError, AttributeError):  # macOS and Windows lack the function
        os.setxattr(path, _ATTRIBUTE, sha256(path).encode())


def check_text(path: str | Path) -> None:
    """Compare a file with the checksum of `add_checksum`, if it has one.

    Raises:
        InputError: the file does not match its checksum.
    """
    with suppress(OSError, AttributeError):
        if os.getxattr(path, _ATTRIBUTE) != sha256(path).encode():
            raise InputError(f"{path}: is damaged, it does not match its checksum. Delete it and run again.")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path, offset: int) -> None:
    """Write a file's SHA-256 into the file, in place of `UNSEALED` at `offset`."""
    digest = sha256(path)
    with path.open("rb+") as file:
        file.seek(offset)
        file.write(digest.encode())


def check_seal(path: str | Path, start: re.Pattern[bytes]) -> bool:
    """Compare a file with its checksum. Return False if it has none: another program wrote it.

    Args:
        path: the file.
        start: matches the first 1024 bytes of a file with a checksum; its group is the checksum.

    Raises:
        InputError: the file is missing or does not match its checksum.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
            found = start.match(head)
            if not found and not any(mark in head[:128] for mark in _MARKS):
                return False
            digest = hashlib.sha256()
            if found:
                digest.update(head[: found.start(1)] + UNSEALED.encode() + head[found.end(1) :])
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Run again.") from error
    if not found or digest.hexdigest().encode() != found[1]:
        raise InputError(f"{path}: is damaged, it does not match its checksum. Delete it and run again.")
    return True


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
        InputError: the file is missing, empty, damaged, unreadable or lacks a column.
    """
    import pandas as pd  # rendering does without pandas

    check_text(path)
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
        InputError: the file is missing, is damaged or is not JSON.
    """
    check_text(path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). Delete it and run again.") from error


# ---------------------------------------------------------------------------------------------- images


def encode_png(image: UInt8[np.ndarray, "H W C"]) -> bytes:
    """Return an sRGB image with 3 channels, or 4 with straight alpha, as a PNG.

    Raises:
        TypeError: the image has another type or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise TypeError(f"a PNG needs uint8 of shape (H, W, 3 or 4), not {image.dtype} {image.shape}")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def write_png(path: str | Path, image: UInt8[np.ndarray, "H W C"]) -> None:
    """Write an image as `encode_png` encodes it."""
    content = encode_png(image)
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def read_png(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read an image as sRGB; alpha is ignored.

    Raises:
        InputError: the file is missing, truncated, damaged or not a PNG.
    """
    try:
        return decode_png(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a complete image ({error}).") from error


def decode_png(content: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """Return the image of a PNG as sRGB; alpha is ignored.

    Raises:
        ValueError: the content is truncated, damaged or not a PNG.
    """
    _check_chunks(content)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    # Pillow raises SyntaxError for a broken PNG chunk
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def _check_chunks(content: bytes) -> None:
    """Compare the CRC of every chunk of a PNG. Pillow skips that of the pixels."""
    position = 8
    while content[position - 8 : position - 4] != b"IEND":
        length = int.from_bytes(content[position : position + 4], "big")
        end = position + 8 + length
        if end + 4 > len(content):
            raise ValueError("it is truncated")
        if zlib.crc32(memoryview(content)[position + 4 : end]) != int.from_bytes(
            content[end : end + 4], "big"
        ):
            raise ValueError("a checksum does not match")
        position = end + 4


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


#: Size of the user block, the smallest, and its text.
_USER_BLOCK = 512
_LABEL = "pointspider sha256 "
_HDF5_START = re.compile(rb"pointspider sha256 ([0-9a-f]{64})\n")


def write_hdf5(path: str | Path, groups: Iterable[tuple[str, Group]]) -> None:
    """Write named groups one by one, and the checksum of the file.

    The file is in memory until it is complete, and one group more if `groups` is an iterator. Strings are
    stored as UTF-8. No time is stored: equal content gives equal bytes.
    """
    with atomic(path) as temporary:
        buffer = io.BytesIO()  # the HDF5 library crashes if the disk is full
        with h5py.File(buffer, "w", track_order=True, userblock_size=_USER_BLOCK) as file:
            for name, group in groups:
                node = file.create_group(name, track_order=True)
                node.attrs.update(group.attributes)
                for key, array in group.arrays.items():
                    array = np.asarray(array)
                    stored = array.astype(h5py.string_dtype()) if array.dtype.kind in "OU" else array
                    node.create_dataset(key, data=stored, track_times=False)
        buffer.seek(0)
        buffer.write(f"{_LABEL}{UNSEALED}\n".encode())
        temporary.write_bytes(buffer.getbuffer())
        seal(temporary, len(_LABEL))


def read_hdf5(path: str | Path, arrays: Container[str] | None = None) -> dict[str, Group]:
    """Verify a file of `write_hdf5` and read every group.

    Args:
        path: the file.
        arrays: names of the arrays to read; None: all of them.

    Raises:
        InputError: the file is missing, truncated or damaged, or another program wrote it.
    """
    if not check_seal(path, _HDF5_START):
        raise InputError(f"{path}: has no checksum of this program. Delete it and run again.")
    groups = {}
    try:
        with h5py.File(path, "r") as file:
            for name, node in file.items():
                selected = {
                    key: dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
                    for key, dataset in node.items()
                    if arrays is None or key in arrays
                }
                groups[name] = Group(selected, dict(node.attrs))
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not a complete HDF5 file ({error}). Delete it and run again.") from error
    return groups
