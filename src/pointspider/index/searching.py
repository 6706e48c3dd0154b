"""Search the rows of an index: embed queries, choose rows by their fields, and find the nearest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from pointspider.core.errors import InputError
from pointspider.core.vectors import nearest_units, unit_rows
from pointspider.index import approximate
from pointspider.index.clouds import load_points, prepare
from pointspider.index.models import Models
from pointspider.index.results import Query, Text, query_name
from pointspider.index.store import TEXT, Store
from pointspider.index.words import put_into_prompt

#: Names of picture files, for queries.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
#: Most rows that are asked of the approximate index.
MOST_APPROXIMATE = 1000
#: Rows that are projected at a time.
CHUNK = 16384


def require_clouds(store: Store) -> None:
    """Refuse an empty index.

    Raises:
        InputError: it has no clouds.
    """
    if not len(store):
        raise InputError(f"{store.directory}: has no clouds; add some with `pointspider index`.")


def embed_queries(
    store: Store, models: Models, queries: Sequence[Query], words: bool, verbatim: bool = False
) -> Float32[np.ndarray, "n D"]:
    """Embed queries; see `pointspider.index.index.Index.embed`."""
    rows = []
    for query in queries:
        if isinstance(query, Text):
            text = query if verbatim else put_into_prompt(query, models.description.prompt)
            rows.append(models.embed_texts([text])[0])
            continue
        if isinstance(query, np.ndarray):
            row = unit_rows(query[None] if query.ndim == 1 else query, "query")
        elif (found := find_id(store, query)) is not None:
            row = store.vectors(np.array([found]))
        elif Path(query).suffix.lower() in PICTURES:
            row = models.embed_pictures([query])
        else:
            points = models.description.points
            row = models.embed_clouds(prepare(load_points(query), points, str(query))[None])
        if row.shape != (1, store.width):
            raise InputError(
                f"{query_name(query)}: has {row.shape[-1]} dimensions, but the index holds "
                f"{models.description.space} with {store.width}."
            )
        rows.append(models.project(row)[0] if words else row[0])
    return np.stack(rows)


def find_id(store: Store, query: str | Path) -> int | None:
    """Row of the cloud whose id is given; None if there is none, or if the query is a file."""
    if Path(query).exists():
        return None
    rows = np.flatnonzero(store.column("id") == str(query).encode(errors="surrogateescape"))
    return int(rows[0]) if len(rows) else None


def nearest_rows(
    store: Store,
    file: approximate.Approximate | None,
    queries: Float32[np.ndarray, "q D"],
    top: int,
    where: Bool[np.ndarray, " rows"] | None = None,
) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
    """Find the rows most similar to unit queries of the space of the index, and their cosines.

    Args:
        store: of the rows.
        file: approximate index of them; None: search exactly.
        queries: unit rows.
        top: number of rows; fewer if fewer match.
        where: rows to search.
    """
    top = min(top, len(store) if where is None else int(where.sum()))
    few = where is not None and where.sum() < approximate.LEAST_ROWS // 2
    if file is None or top > MOST_APPROXIMATE or few:
        return nearest_units(queries, store.blocks, top, _chunk(queries), where)
    return _nearest_approximately(store, file, queries, top, where)


def nearest_projected(
    store: Store,
    models: Models,
    queries: Float32[np.ndarray, "q P"],
    top: int,
    where: Bool[np.ndarray, " rows"] | None = None,
) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
    """Find the rows most similar to unit queries of CLIP's projected space, as `nearest_rows` does."""
    top = min(top, len(store) if where is None else int(where.sum()))
    return nearest_units(queries, _Projected(store.blocks, models), top, _chunk(queries), where)


def _chunk(queries: Float32[np.ndarray, "q D"]) -> int:
    return max(1024, approximate.SIMILARITIES // len(queries))


def _nearest_approximately(
    store: Store,
    file: approximate.Approximate,
    queries: Float32[np.ndarray, "q D"],
    top: int,
    where: Bool[np.ndarray, " rows"] | None,
) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
    """Re-rank the candidates of the approximate index and all rows that it lacks."""
    covered = file.facts.rows
    lacking = np.arange(covered, len(store))
    if where is not None:
        lacking = lacking[where[covered:]]
    indices = np.empty((len(queries), top), dtype=np.int64)
    similarities = np.empty((len(queries), top), dtype=np.float32)
    for number, query in enumerate(queries):
        rows = np.concatenate([file.candidates(query, top, where), lacking])
        if len(rows) < top:
            rows = np.flatnonzero(where) if where is not None else np.arange(len(store))
        found, similarity = nearest_units(query[None], [store.vectors(rows)], top, len(rows))
        indices[number], similarities[number] = rows[found[0]], similarity[0]
    return indices, similarities


@dataclass(frozen=True)
class _Projected:
    """The rows in CLIP's projected space, computed a chunk at a time whenever they are iterated."""

    blocks: Sequence[np.ndarray]
    models: Models

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            for start in range(0, len(block), CHUNK):
                yield self.models.project(block[start : start + CHUNK])


def matching_rows(store: Store, where: Mapping[str, Sequence[str]]) -> Bool[np.ndarray, " rows"]:
    """Rows whose fields have one of the given values.

    Raises:
        InputError: a field does not exist, or no row matches.
    """
    mask = np.ones(len(store), dtype=bool)
    for name, values in where.items():
        if name not in TEXT:
            raise InputError(f"where: '{name}' is not a field; choose from {', '.join(TEXT)}.")
        column = store.column(name)
        mask &= np.isin(column, [value.encode(errors="surrogateescape") for value in values])
        if not mask.any():
            examples = ", ".join(value.decode(errors="replace") for value in np.unique(column)[:8])
            raise InputError(f"where: no cloud has {name}={' or '.join(values)}; there are {examples}, …")
    return mask
