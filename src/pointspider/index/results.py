"""What is asked of an index, and what it answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.index.duplicates import Group
from pointspider.index.store import Item


class Text(str):
    """Words to search for, where a plain string is a path."""


#: A cloud file, a picture file, the id of a cloud in the index, words, or a row of the index's width.
Query = str | Path | Text | np.ndarray


def query_name(query: Query) -> str:
    """Name of a query, for output and messages."""
    return "vector" if isinstance(query, np.ndarray) else str(query)


@dataclass
class Report:
    """Result of adding clouds.

    Attributes:
        added, updated, unchanged: numbers of clouds.
        skipped: paths that could not be used, and why.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = (f"{getattr(self, name)} {name}" for name in ("added", "updated", "unchanged"))
        return f"{', '.join(counts)}, {len(self.skipped)} skipped"


@dataclass(frozen=True)
class Hit:
    """A cloud that a search found.

    Attributes:
        rank: from 1.
        similarity: cosine.
        row: in the index.
        item: its fields, see `pointspider.index.store`.
    """

    rank: int
    similarity: float
    row: int
    item: Item

    @property
    def id(self) -> str:
        """Unique name in the index."""
        return str(self.item["id"])

    @property
    def stale(self) -> bool:
        """True if the file was changed or removed since it was indexed."""
        if not self.item["size"]:
            return False
        try:
            state = Path(self.item["path"]).stat()
        except OSError:
            return True
        return (state.st_size, state.st_mtime_ns) != (self.item["size"], self.item["mtime_ns"])


@dataclass(frozen=True)
class Result:
    """The answer to one query.

    Attributes:
        query: its name.
        hits: the most similar first.
    """

    query: str
    hits: list[Hit]


@dataclass(frozen=True)
class Duplicates:
    """Groups of duplicates.

    Attributes:
        groups: with rows of the index.
        threshold: of the pairs; None for exact duplicates.
        calibration: that the threshold comes from, or None.
    """

    groups: list[Group]
    threshold: float | None
    calibration: Mapping[str, Any] | None

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)
