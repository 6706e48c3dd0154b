"""data/sources.csv: everything that is not in the repository, where it comes from and how it is recognised.

Columns: name; version; path, where the file belongs below the repository (a .zip is unpacked beside itself);
bytes; unpacked_limit, the bytes that an archive's files may have together; checksum, "<algorithm>:<hex>";
licence; urls, separated by spaces, in order of preference. A cell is empty where no fact could be found.

- An archive or a single file with a checksum is compared with it, whoever put it there. An unpacked folder is
  used as it is.
- Without a checksum a file cannot be trusted, so it is never fetched: it is put in place by hand, and whoever
  reads it checks what is in it.
- Without a path it is a model on the Hugging Face hub, which the hub's own library fetches and keeps. Its
  version is a commit, which pins what the hub sends; the library compares sizes, but nobody hashes the
  weights. `bytes` are theirs.
"""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pointspider.core.errors import InputError


class Remote(NamedTuple):
    """A row of the table; what is unknown is "" or None."""

    name: str
    version: str
    path: str
    bytes: int | None
    unpacked_limit: int | None
    checksum: str
    licence: str
    urls: tuple[str, ...]

    @property
    def place(self) -> str:
        """What is used: an archive's folder beside it, or the file itself."""
        return self.path.removesuffix(".zip")

    @property
    def is_archive(self) -> bool:
        return self.place != self.path

    @property
    def identity(self) -> str:
        """The file in words: name, version, bytes if they are known, checksum."""
        size = f"{self.bytes:,} bytes, " if self.bytes else ""
        return f"{PurePosixPath(self.path).name} of {self.version} ({size}{self.checksum})"


def verify(remote: Remote, path: Path) -> None:
    """Compare a file with the checksum in the table, if it has one.

    Raises:
        InputError: they differ.
    """
    algorithm, _, digest = remote.checksum.partition(":")
    if digest:
        with path.open("rb") as file:
            if hashlib.file_digest(file, algorithm).hexdigest() != digest:
                raise InputError(f"{path}: is not {remote.identity}; delete it, or put the right file there.")


def read_remotes(table: str | Path) -> dict[str, Remote]:
    """Read the table, by name.

    Raises:
        InputError: it cannot be read, has other columns or an unusable cell; an archive has no limit.
    """
    try:
        with open(table, newline="", encoding="utf-8") as file:
            rows = [
                Remote(
                    **row
                    | {key: int(row[key]) if row[key] else None for key in ("bytes", "unpacked_limit")}
                    | {"urls": tuple(row["urls"].split())}
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{table}: cannot be read as a table of sources ({error!r}).") from error
    for row in rows:
        if row.is_archive and row.unpacked_limit is None:
            raise InputError(f"{table}: {row.name}: an archive needs an unpacked_limit.")
    return {row.name: row for row in rows}


def missing_places(remotes: Mapping[str, Remote]) -> dict[str, Remote]:
    """Return the rows whose file or unpacked folder is not on this machine, by place.

    Raises:
        InputError: a single file that is here has another checksum.
    """
    missing = {}
    for remote in remotes.values():
        if not remote.path:
            continue
        if not Path(remote.place).exists():
            missing[remote.place] = remote
        elif not remote.is_archive:
            verify(remote, Path(remote.place))
    return missing
