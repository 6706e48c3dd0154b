"""data/sources.csv: the files that are not in the repository, where to download them, and their checksums.

Columns: name; version; path, relative to the repository (a .zip is unpacked next to itself); bytes;
unpacked_limit, the maximum total size of an archive's files in bytes; checksum, "<algorithm>:<hex>" (git: the
SHA-1 that git has of a file); licence; urls, separated by spaces, in order of preference. An unknown value is
an empty cell.

- An archive or a file with a checksum is verified, also if the user put it there. An unpacked folder is not.
- A file without a checksum is downloaded only if its URLs contain its version, a commit, which pins its
  content. Otherwise the user puts it in place. Its reader checks its content.
- A row without a path is a model on the Hugging Face hub, which the hub's library downloads to its cache. Its
  version is a commit. The library compares sizes; nobody hashes the weights. `bytes` is their size.
"""

import csv
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pointspider.core.errors import InputError


class Remote(NamedTuple):
    """A row of the table. An unknown value is "" or None."""

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
        """Path of the data: the folder next to an archive, or the file itself."""
        return self.path.removesuffix(".zip")

    @property
    def is_archive(self) -> bool:
        return self.place != self.path

    @property
    def is_pinned(self) -> bool:
        """Whether every URL contains the version, a commit, so that its content cannot change."""
        commit = re.fullmatch("[0-9a-f]{40}", self.version)
        return bool(commit) and all(f"/{self.version}/" in url for url in self.urls)

    @property
    def identity(self) -> str:
        """Description of the file: name, version, bytes if known, checksum."""
        size = f"{self.bytes:,} bytes, " if self.bytes else ""
        return f"{PurePosixPath(self.path).name} of {self.version} ({size}{self.checksum or 'no checksum'})"


def is_intact(remote: Remote, path: Path) -> bool:
    """Return whether a file has the checksum of the table, or the table has none."""
    algorithm, _, digest = remote.checksum.partition(":")
    if not digest:
        return True
    start = b""
    if algorithm == "git":
        algorithm, start = "sha1", f"blob {path.stat().st_size}\0".encode()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, start)).hexdigest() == digest


def verify(remote: Remote, path: Path) -> None:
    """Compare a file with the checksum of the table, if it has one.

    Raises:
        InputError: they differ.
    """
    if not is_intact(remote, path):
        raise InputError(f"{path}: is not {remote.identity}; delete it, or put the right file there.")


def read_remotes(table: str | Path) -> dict[str, Remote]:
    """Read the table. Return its rows by name.

    Raises:
        InputError: it cannot be read, has other columns or an invalid cell; an archive has no limit.
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
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
