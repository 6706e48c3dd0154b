"""Reading a cloud from a file of any registered format, recognised by its content or its extension."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pointspider.clouds.cloud import Cloud
from pointspider.core.errors import InputError
from pointspider.core.extras import missing
from pointspider.core.registry import Registry

T = TypeVar("T")
#: Bytes at the start of a file by which its format is recognised.
HEAD = 1024


def _single(path: Path) -> None:
    return None


@dataclass(frozen=True)
class Format:
    """A file format.

    To add one, write a module in this package that calls `FORMATS.add("<name>", Format(...))`. The module
    must be quick to import: import h5py, trimesh and the like inside its functions.

    Attributes:
        extensions: lower case, the usual one first.
        read: from (path, row) to the cloud; row is None for a file that is one cloud. Errors of any class
            become an InputError that names the file.
        matches: whether the first HEAD bytes of a file are in this format, for formats that can be
        recognised. count: the number of clouds in a file, or None if the file is one cloud.
    """

    extensions: tuple[str, ...]
    read: Callable[[Path, int | None], Cloud]
    matches: Callable[[bytes, int], bool] | None = None
    count: Callable[[Path], int | None] = _single


#: {name: format}
FORMATS: Registry[Format] = Registry("pointspider.clouds.readers", "format")


def load_cloud(path: str | Path, *, format: str | None = None, row: int | None = None) -> Cloud:
    """Read a cloud in its own coordinates.

    Args:
        path: the file.
        format: a name of FORMATS; by default the content decides, then the extension.
        row: which cloud of a file that has several, such as an HDF5 file with `data` (n, P, 3).

    Returns:
        The cloud. If the file is a mesh, `mesh` is set and `points` are its vertices.

    Raises:
        InputError: the file is missing, unreadable, incomplete or of an unknown format.
    """
    path = Path(path)
    name = format or find_format(path)
    reader = FORMATS.find(name)
    count = _guard(path, name, lambda: reader.count(path))
    if row is None and count is not None:
        if count != 1:
            raise InputError(f"{path}: has {count} clouds; give the row of one.")
        row = 0
    elif row is not None and not 0 <= row < (count or 0):
        raise InputError(f"{path}: has no row {row}; it has {count or 'a single cloud'}.")
    return _guard(path, name, lambda: reader.read(path, row))


def count_clouds(path: str | Path, format: str | None = None) -> int | None:
    """Return the number of clouds in a file that can have several, or None if the file is one cloud.

    Raises:
        InputError: see `load_cloud`.
    """
    path = Path(path)
    name = format or find_format(path)
    reader = FORMATS.find(name)
    return _guard(path, name, lambda: reader.count(path))


def find_format(path: Path) -> str:
    """Return the name of a file's format.

    Raises:
        InputError: the file is missing, empty, not a cloud, or of an unknown format.
    """
    try:
        with path.open("rb") as file:
            head, size = file.read(HEAD), path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    start = head.lstrip().lower()
    if not start:
        raise InputError(f"{path}: cannot be read: it is empty.")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: is a pointer of git-LFS; get the file itself with `git lfs pull`.")
    if start.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path}: is a web page; download the file itself.")
    for name, known in FORMATS.items():
        if known.matches and known.matches(head, size):
            return name
    for name, known in FORMATS.items():
        if path.suffix.lower() in known.extensions:
            return name
    raise InputError(f"{path}: its format is unknown; if it is one of {', '.join(FORMATS)}, name the format.")


def extensions(format: str | None = None) -> tuple[str, ...]:
    """Return the extensions of all formats, or of one; .bin of one that has to be named.

    Raises:
        InputError: the format does not exist.
    """
    if format is not None:
        return FORMATS.find(format, "--format").extensions or (".bin",)
    return tuple(extension for known in FORMATS.values() for extension in known.extensions)


def _guard(path: Path, name: str, read: Callable[[], T]) -> T:
    """Run `read`; errors of whatever class a parser raises become one clear sentence."""
    try:
        return read()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: {missing(error.name or '')}") from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: cannot be read as {name} ({reason}); is it complete?") from error
