"""Find the clouds that a command reads, and check where it writes, before it starts."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pointspider.core.errors import InputError
from pointspider.core.files import find_files


@dataclass(frozen=True)
class Item:
    """One cloud.

    Attributes:
        path: its file.
        row: which cloud of a file that has several; None for a file that is one.
        name: where its output goes below the output directory, without extension.
    """

    path: Path
    row: int | None
    name: str

    def __str__(self) -> str:
        return str(self.path) if self.row is None else f"{self.path} (row {self.row})"


def find_clouds(
    inputs: Sequence[Path], format: str | None, row: int | None
) -> tuple[list[Item], list[InputError]]:
    """List the clouds of files and of all files below directories, by name.

    In directories, hidden files and files of unknown extensions are skipped, and links to directories are
    followed. Clouds are named by their path below the directory; where that is ambiguous, the extension or
    the directory's name is added.

    Args:
        inputs: files and directories.
        format: as for `load_cloud`.
        row: the one to use of files that have several clouds; all by default.

    Returns:
        The clouds, and an error for each file whose clouds cannot be counted.

    Raises:
        InputError: an input does not exist, or a directory has no clouds.
    """
    from pointspider.clouds.readers.registry import count_clouds, extensions

    known = extensions(format)
    files: list[tuple[Path, Path]] = []  # file, and its place below its input
    for given in inputs:
        if not given.is_dir():
            if not given.exists():
                raise InputError(f"{given}: does not exist.")
            files.append((given, Path(given.name)))
            continue
        below = [path for path in find_files(given) if path.suffix.lower() in known]
        if not below:
            raise InputError(f"{given}: has no clouds; they are {', '.join(known)}.")
        files += [(path, path.relative_to(given)) for path in below]
    items, errors = [], []
    for (path, _), name in zip(files, _names(files), strict=True):
        try:
            count = count_clouds(path, format)
        except InputError as error:
            errors.append(error)
            continue
        if count is None:
            items.append(Item(path, row, name))
        elif row is not None or count == 1:
            items.append(Item(path, row or 0, name))
        else:
            items += [Item(path, number, f"{name}/{number:04d}") for number in range(count)]
    return items, errors


def _names(files: list[tuple[Path, Path]]) -> list[str]:
    """Names without extension, if they differ; otherwise those that do not get it, or the directory."""
    names = [place.with_suffix("").as_posix() for _, place in files]
    for longer in (
        [place.as_posix() for _, place in files],
        [f"{path.resolve().parent.name}/{place.as_posix()}" for path, place in files],
        [path.resolve().as_posix().lstrip("/") for path, _ in files],
    ):
        counts = Counter(names)
        names = [name if counts[name] == 1 else other for name, other in zip(names, longer, strict=True)]
    return names


def check_output(path: Path, directory: bool) -> None:
    """Check that a file or directory can be written; nothing is left behind.

    Raises:
        InputError: it cannot; says why.
    """
    try:
        nearest = _nearest_directory(path, directory)
        with tempfile.TemporaryFile(dir=nearest):  # permissions do not say what a file system refuses
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error


def _nearest_directory(path: Path, directory: bool) -> Path:
    """Return the directory that exists and in which an output, or the directories above it, are created."""
    if directory and path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; give a directory for several clouds.")
    if not directory and path.is_dir():
        raise InputError(f"{path}: is a directory; give the name of a file in it.")
    nearest = path if directory else path.parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"{path}: cannot be written, since {nearest} is a file.")
    return nearest
