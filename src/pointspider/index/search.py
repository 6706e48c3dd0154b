"""Search and de-duplicate point clouds in the image space, without rendering them.

The selected mapper takes the point-cloud embeddings of a collection there once; clouds and images are then
compared by cosine similarity. Everything runs in chunks: the memory used does not grow with the square of the
collection.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pointspider.core.errors import InputError
from pointspider.core.vectors import unit_rows


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


def _join(group: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """`group`, (N,) numbers, with the groups of each of `pairs`, (P, 2) rows, made one."""
    links = group[pairs]
    n = len(group)
    graph = coo_array((np.ones(len(links), dtype=bool), (links[:, 0], links[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1][group]
