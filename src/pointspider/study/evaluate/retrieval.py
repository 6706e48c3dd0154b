"""Ranks by cosine similarity: the rank of the one true match of a query in a gallery.

A query whose match is one of `tied` equal similarities behind `ahead` others counts as the mean over all
orders of the equals. So a constant predictor is at chance, whatever the order of the gallery.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from pointspider.core.errors import InputError
from pointspider.core.vectors import directions

#: Scores that differ by less are equal: above the rounding of cosines in float64, below that in float32.
EQUAL = 1e-9


class Ranks(NamedTuple):
    """The rank of each query's match in its gallery.

    Attributes:
        ahead: number of rows of the gallery that are more similar to the query.
        tied: number of rows that are equally similar, including the match.
    """

    ahead: Int[np.ndarray, " Q"]
    tied: Int[np.ndarray, " Q"]

    def mean(self) -> Float[np.ndarray, " Q"]:
        """The expected rank, from 1, over all orders of the equals."""
        return np.asarray(1 + self.ahead + (self.tied - 1) / 2)

    def within(self, k: int) -> Float[np.ndarray, " Q"]:
        """The probability that the match is among the first `k`."""
        return np.asarray(np.clip((k - self.ahead) / self.tied, 0, 1))


def match_ranks(
    queries: Num[np.ndarray, "Q _"],
    gallery: Num[np.ndarray, "G _"],
    match: Int[np.ndarray, " Q"],
    chunk: int = 1024,
) -> Ranks:
    """Rank every row of `gallery` by its similarity to each query, and find the query's match.

    Args:
        queries: rows of zeros have no direction and are equally similar to everything.
        gallery: likewise.
        match: the row of the gallery that belongs to each query.
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


def score_ranks(scores: Num[np.ndarray, "Q G"], match: Int[np.ndarray, " Q"]) -> Ranks:
    """Rank the column `match` in each row of `scores`, the highest score first."""
    own = np.take_along_axis(scores, match[:, None], axis=1)  # (Q, 1)
    ahead = (scores > own + EQUAL).sum(axis=1)
    return Ranks(ahead, (scores >= own - EQUAL).sum(axis=1) - ahead)
