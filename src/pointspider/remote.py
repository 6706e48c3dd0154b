"""data/sources.csv: everything that is not in the repository, where it comes from and how it is recognised.

Columns: name; version; path, where the file belongs below the repository (a .zip is unpacked beside itself);
bytes; unpacked_limit, the bytes that an archive's files may have together; checksum, "<algorithm>:<hex>";
licence; urls, separated by spaces, in order of preference. A cell is empty where no fact could be found.

- Without a checksum a file cannot be trusted, so it is never fetched: it is put in place by hand, and whoever
  reads it checks what is in it.
- Without a path it is a model on the Hugging Face hub, which the hub's own library fetches and keeps. Its
  version is a commit, by which the hub addresses content; `bytes` are those of its weights.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from pointspider.errors import InputError


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


def read_remotes(table: str | Path) -> dict[str, Remote]:
    """Read the table, by name.

    Raises:
        InputError: it cannot be read, has other columns, or an unusable cell.
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
    return {row.name: row for row in rows}
