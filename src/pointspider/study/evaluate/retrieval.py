"""Ranks by cosine similarity: where the one true match of a query comes in a gallery.

Equal similarities share their ranks fairly: a query whose match is one of `tied` equals behind `ahead` others
counts as the mean over all orders of the equals. So a predictor that says the same of every cloud comes out
at chance, whatever the order of the gallery.
"""

from typing import NamedTuple

import numpy as np

from pointspider.core.errors import InputError
from pointspider.core.vectors import directions

#: Scores nearer than this are equal: above the rounding of cosines in float64, below that in float32.
EQUAL = 1e-9


class Ranks(NamedTuple):
    """Of each query's match in its gallery.

    Attributes:
        ahead: (Q,) int, rows of the gallery that are more similar to the query.
        tied: (Q,) int, rows that are as similar, the match included.
    """

    ahead: np.ndarray
    tied: np.ndarray

    def mean(self) -> np.ndarray:
        """(Q,) float, the rank from 1 that is expected of a random order of equals."""
        return 1 + self.ahead + (self.tied - 1) / 2

    def within(self, k: int) -> np.ndarray:
        """(Q,) float from 0 to 1, the probability that the match is among the first `k`."""
        return np.clip((k - self.ahead) / self.tied, 0, 1)


def match_ranks(queries: np.ndarray, gallery: np.ndarray, match: np.ndarray, chunk: int = 1024) -> Ranks:
    """Rank every row of `gallery` by its similarity to each query, and find the query's match.

    Args:
        queries: (Q, D). A row of zeros has no direction and is equally similar to everything.
        gallery: (G, D), likewise.
        match: (Q,) int, the row of the gallery that belongs to each query.
        chunk: queries compared at a time; similarities take 8 · chunk · G bytes.

    Raises:
        InputError: the widths differ.
    """
    if queries.shape[1] != gallery.shape[1]:
        raise InputError(
            f"queries are {queries.shape[1]} wide but the gallery is {gallery.shape[1]} wide; embed both "
            "with one model and layer."
        )
    queries, gallery = directions(queries), directions(gallery)
    ahead, tied = np.empty(len(queries), dtype=np.int64), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), chunk):
        part = slice(start, start + chunk)
        ahead[part], tied[part] = score_ranks(queries[part] @ gallery.T, match[part])
    return Ranks(ahead, tied)


def score_ranks(scores: np.ndarray, match: np.ndarray) -> Ranks:
    """Ranks of the columns `match`, (Q,) int, in the rows of `scores`, (Q, G), the highest score first."""
    own = np.take_along_axis(scores, match[:, None], axis=1)  # (Q, 1)
    ahead = (scores > own + EQUAL).sum(axis=1)
    return Ranks(ahead, (scores >= own - EQUAL).sum(axis=1) - ahead)
