"""Search and de-duplicate point clouds in the image space, without rendering them.

The selected mapper takes the point-cloud embeddings of a collection there once; clouds and images are then
compared by cosine similarity. Everything runs in chunks: the memory used does not grow with the square of the
collection.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pointspider.core.errors import InputError
from pointspider.study.evaluate.retrieval import directions


def nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, chunk: int = 4096
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` rows of `gallery` of highest cosine similarity to each query, the most similar first.

    Equal similarities are in the gallery's order.

    Args:
        queries: (Q, D) float32.
        gallery: (G, D) float32.
        k: from 1 to G.
        chunk: rows of either side compared at a time; similarities take 4 · chunk² bytes.

    Returns:
        Rows of the gallery, (Q, k) int64, and their similarities, (Q, k) float32.

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
    indices = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), chunk):
        part = slice(start, start + chunk)
        indices[part], similarities[part] = _nearest(queries[part], gallery, k, chunk)
    return indices, similarities


def duplicates(embeddings: np.ndarray, threshold: float, chunk: int = 4096) -> list[np.ndarray]:
    """Groups of rows that are joined by cosine similarities of `threshold` or more.

    Groups are connected components: two rows of one group may be less similar than the threshold if others
    lie between them.

    Args:
        embeddings: (N, D) float32.
        threshold: above 0 up to 1. Equal rows can fall short of 1 by float32 rounding, about 1e-6.
        chunk: rows compared at a time; similarities take 4 · chunk² bytes.

    Returns:
        The groups of two rows or more, each an ascending (n,) int64, in the order of their first rows.

    Raises:
        InputError: the threshold is out of range, or a row is zero, NaN or inf.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold: {threshold} is no cosine similarity above 0 up to 1.")
    embeddings = unit_rows(embeddings, "embeddings")
    n = len(embeddings)
    group = np.arange(n)
    for row in range(0, n, chunk):
        for column in range(row, n, chunk):
            similarity = embeddings[row : row + chunk] @ embeddings[column : column + chunk].T
            pairs = np.argwhere(similarity >= threshold) + np.array([row, column])  # (P, 2)
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            if len(pairs):
                group = _join(group, pairs)
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((members for members in groups if len(members) > 1), key=lambda members: members[0])


def unit_rows(values: np.ndarray, what: str) -> np.ndarray:
    """`values`, (n, D), each row divided by its length, float32.

    Raises:
        InputError: naming `what`: no rows, or a row without a direction (zero, NaN or inf).
    """
    if values.ndim != 2 or not values.size:
        raise InputError(f"{what}: the shape is {values.shape}, not (rows, width) with at least one of each.")
    broken = np.flatnonzero(~(np.isfinite(values).all(axis=1) & values.any(axis=1)))
    if len(broken):
        raise InputError(
            f"{what}: row {broken[0]} is zero, NaN or inf, so it has no direction. Embed it again."
        )
    return directions(values).astype(np.float32)


def _nearest(queries: np.ndarray, gallery: np.ndarray, k: int, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` for unit rows and few queries: the best `k` so far, merged with one chunk after the other."""
    rows = columns = np.zeros(0, dtype=np.int64)  # of the candidates: query, gallery row
    values = np.zeros(0, dtype=np.float32)  # and similarity
    for start in range(0, len(gallery), chunk):
        similarity = queries @ gallery[start : start + chunk].T  # (Q, chunk)
        kept = min(k, similarity.shape[1])
        # Everything as similar as the k-th or more: ties stay in, and are settled in the merge.
        kth = np.partition(similarity, -kept, axis=1)[:, -kept, None]
        new_rows, new_columns = np.nonzero(similarity >= kth)
        rows = np.concatenate([rows, new_rows])
        columns = np.concatenate([columns, new_columns + start])
        values = np.concatenate([values, similarity[new_rows, new_columns]])
        order = np.lexsort((columns, -values, rows))
        rank = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])  # within its query
        rows, columns, values = (candidates[order[rank < k]] for candidates in (rows, columns, values))
    return columns.reshape(-1, k), values.reshape(-1, k)


def _join(group: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """`group`, (N,) numbers, with the groups of each of `pairs`, (P, 2) rows, made one."""
    links = group[pairs]
    n = len(group)
    graph = coo_array((np.ones(len(links), dtype=bool), (links[:, 0], links[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1][group]
