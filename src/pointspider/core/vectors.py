"""Directions, and nearest neighbours by cosine similarity, computed in chunks."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from pointspider.core.errors import InputError

Rows = Float[np.ndarray, "n D"]
Indices = Int[np.ndarray, "Q k"]
Similarities = Float[np.ndarray, "Q k"]


def directions(values: Num[np.ndarray, "n D"]) -> Rows:
    """Divide each row by its length, in float64; rows of zeros stay zero."""
    values = values.astype(np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Rows = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return unit


def unit_rows(values: Num[np.ndarray, "..."], what: str) -> Rows:
    """Divide each row of a matrix by its length and return float32.

    Args:
        values: (n, D).
        what: what the rows are, for the message.

    Raises:
        InputError: there are no rows, or a row has no direction (it is zero, NaN or inf).
    """
    if values.ndim != 2 or not values.size:
        raise InputError(f"{what}: the shape is {values.shape}, not (rows, width) with at least one of each.")
    broken = np.flatnonzero(~(np.isfinite(values).all(axis=1) & values.any(axis=1)))
    if len(broken):
        raise InputError(
            f"{what}: row {broken[0]} is zero, NaN or inf, so it has no direction. Embed it again."
        )
    return directions(values).astype(np.float32)


def nearest(
    queries: Num[np.ndarray, "..."], gallery: Num[np.ndarray, "..."], k: int, chunk: int = 4096
) -> tuple[Indices, Similarities]:
    """Find the `k` rows of `gallery` with the highest cosine similarity to each query, most similar first.

    Equal similarities are in the order of the gallery.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        k: from 1 to G.
        chunk: rows of either side that are compared at a time; similarities take 4 · chunk² bytes.

    Returns:
        Rows of the gallery (int64) and their similarities (float32).

    Raises:
        InputError: the widths differ, k is out of range, or a row is zero, NaN or inf.
    """
    queries, gallery = unit_rows(queries, "queries"), unit_rows(gallery, "gallery")
    if queries.shape[1] != gallery.shape[1]:
        raise InputError(
            f"queries are {queries.shape[1]} wide but the gallery is {gallery.shape[1]} wide; "
            "embed both with one model and layer."
        )
    if not 1 <= k <= len(gallery):
        raise InputError(f"k: {k} nearest of {len(gallery)} rows; choose 1 to {len(gallery)}.")
    return nearest_units(queries, [gallery], k, chunk)


def nearest_units(
    queries: Float[np.ndarray, "Q D"],
    blocks: Iterable[Float[np.ndarray, "_ D"]],
    k: int,
    chunk: int = 4096,
    where: Bool[np.ndarray, " G"] | None = None,
) -> tuple[Indices, Similarities]:
    """Find the nearest rows as `nearest` does, but of rows that have unit length and are in several arrays.

    Args:
        queries: of unit length.
        blocks: the gallery, G rows in all; may be memory-mapped.
        k: from 1 to G, or to the number of rows where `where` is true.
        chunk: rows of either side that are compared at a time.
        where: rows of the gallery to search; None: all.
    """
    indices = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), chunk):
        part = slice(start, start + chunk)
        indices[part], similarities[part] = _nearest(queries[part], blocks, k, chunk, where)
    return indices, similarities


def _nearest(
    queries: Rows,
    blocks: Iterable[Float[np.ndarray, "_ D"]],
    k: int,
    chunk: int,
    where: Bool[np.ndarray, " G"] | None,
) -> tuple[Indices, Similarities]:
    """Find the neighbours of a chunk of queries: merge the best so far with each chunk of the gallery."""
    rows = columns = np.zeros(0, dtype=np.int64)  # of the candidates: query and gallery row
    values = np.zeros(0, dtype=np.float32)  # and similarity
    start = 0
    for block in blocks:
        for first in range(0, len(block), chunk):
            part = block[first : first + chunk]
            similarity = queries @ part.T  # (Q, chunk)
            if where is not None:
                similarity[:, ~where[start : start + len(part)]] = -np.inf
            best = min(k, len(part))
            # Everything at least as similar as the k-th: ties stay in and are resolved in the merge.
            kth = np.partition(similarity, -best, axis=1)[:, -best, None]
            new_rows, new_columns = np.nonzero(similarity >= np.maximum(kth, np.finfo(np.float32).min))
            rows = np.concatenate([rows, new_rows])
            columns = np.concatenate([columns, new_columns + start])
            values = np.concatenate([values, similarity[new_rows, new_columns]])
            order = np.lexsort((columns, -values, rows))
            rank = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])  # within its query
            order = order[rank < k]
            rows, columns, values = rows[order], columns[order], values[order]
            start += len(part)
    return columns.reshape(-1, k), values.reshape(-1, k)
