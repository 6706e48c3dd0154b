"""Duplicates among unit rows and among items: similar pairs, groups of them, and copies.

Pairs above a threshold are found exactly, in chunks. Groups are complete-link by default: every pair of a
group reaches the threshold, so that a group does not chain dissimilar clouds.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64, Shaped

from pointspider.core.errors import InputError

#: More pairs than this are refused: the threshold is too low to tell duplicates apart.
MOST_PAIRS = 20_000_000
#: Rounding of float32 similarities; a bound must exceed the threshold by this to exclude a pair.
ROUNDING = 2e-6
#: Largest difference of shape moments of a cloud and its scaled or moved copy, stored as float32.
MOMENTS_TOLERANCE = 2e-5
#: Rows from which the leading directions are estimated.
SAMPLE = 4096


@dataclass(frozen=True)
class Pairs:
    """Pairs of similar rows.

    Attributes:
        rows: the two rows of each pair, the smaller first.
        similarities: their cosines.
    """

    rows: Int64[np.ndarray, "pairs 2"]
    similarities: Float32[np.ndarray, " pairs"]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Group:
    """Rows that duplicate each other.

    Attributes:
        rows: ascending, at least two.
        weakest: smallest similarity of two of them.
        kind: near, identical (the same points in any order) or copy (scaled or moved).
    """

    rows: Int64[np.ndarray, " n"]
    weakest: float
    kind: str = "near"


def near_pairs(
    blocks: Sequence[Float32[np.ndarray, "_ D"]],
    threshold: float,
    between: tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None = None,
    chunk: int = 4096,
    progress: Callable[[int], object] = lambda rows: None,
) -> Pairs:
    """Find all pairs of unit rows with a cosine of at least `threshold`.

    Rows are rotated so that a few leading columns hold almost all of their length. The product of these
    columns, plus the product of the lengths of the rests, bounds the cosine (Cauchy-Schwarz). Only pairs
    whose bound reaches the threshold are computed in full, so the result is exact.

    Args:
        blocks: n rows of unit length in all; may be memory-mapped.
        threshold: above 0 up to 1.
        between: only pairs with one row where the first is true and one where the second is.
        chunk: rows compared at a time; similarities take 4 · chunk² bytes.
        progress: called with the number of rows that were compared with all later ones.

    Raises:
        InputError: the threshold is out of range, or there are more than `MOST_PAIRS` pairs.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold: {threshold} is not a cosine similarity above 0 up to 1.")
    n = sum(map(len, blocks))
    bounds = _bounds(blocks, threshold, chunk)
    rows, similarities, count = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    for first in range(0, n, chunk):
        for second in range(first, n, chunk):
            if between is not None and not _meet(between, first, second, chunk):
                continue
            bound = bounds[first : first + chunk] @ bounds[second : second + chunk].T
            flat = np.flatnonzero(bound >= threshold - ROUNDING)
            pairs = np.stack(np.divmod(flat, bound.shape[1]), axis=1) + np.array([first, second])
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            if between is not None:
                a, b = between
                left, right = pairs.T
                pairs = pairs[(a[left] & b[right]) | (b[left] & a[right])]
            exact = _cosines(blocks, pairs, chunk)
            reached = exact >= threshold
            rows.append(pairs[reached])
            similarities.append(exact[reached])
            count += int(reached.sum())
            if count > MOST_PAIRS:
                raise InputError(
                    f"threshold: {threshold:.4f} gives more than {MOST_PAIRS:,} pairs among {n:,} clouds; "
                    "raise it."
                )
        progress(min(chunk, n - first))
    return Pairs(np.concatenate(rows), np.concatenate(similarities))


def _meet(between: tuple[np.ndarray, np.ndarray], first: int, second: int, chunk: int) -> bool:
    """True if two chunks contain rows of both sides."""
    a, b = ((side[first : first + chunk].any(), side[second : second + chunk].any()) for side in between)
    return bool((a[0] and b[1]) or (b[0] and a[1]))


def _bounds(blocks: Sequence[np.ndarray], threshold: float, chunk: int) -> Float32[np.ndarray, "n columns"]:
    """Columns whose products bound the cosines; the rows themselves where few directions do not suffice."""
    n, width = sum(map(len, blocks)), blocks[0].shape[1]
    step = -(-n // SAMPLE)
    sample = np.concatenate([block[::step] for block in blocks]).astype(np.float64)
    values, vectors = np.linalg.eigh(sample.T @ sample / len(sample))
    rest = 1 - np.cumsum(values[::-1])  # mean squared length outside of the leading directions
    columns = int(np.searchsorted(-rest, -(1 - threshold) / 4)) + 1
    columns = -(-columns // 32) * 32
    if columns > 0.75 * width:
        return np.concatenate(blocks)
    basis = vectors[:, ::-1][:, :columns].astype(np.float32)
    bounds = np.empty((n, columns + 1), dtype=np.float32)
    start = 0
    for block in blocks:
        for first in range(0, len(block), chunk):
            part = block[first : first + chunk] @ basis
            rest = np.sqrt(np.maximum(1 - (part.astype(np.float64) ** 2).sum(axis=1) + ROUNDING, 0))
            bounds[start : start + len(part), :-1] = part
            bounds[start : start + len(part), -1] = rest
            start += len(part)
    return bounds


def _cosines(
    blocks: Sequence[np.ndarray], pairs: Int[np.ndarray, "p 2"], chunk: int
) -> Float32[np.ndarray, " p"]:
    """Cosines of pairs of rows."""
    cosines = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), chunk):
        left, right = (take(blocks, column) for column in pairs[start : start + chunk].T)
        cosines[start : start + chunk] = np.minimum(np.einsum("ij,ij->i", left, right), 1)
    return cosines


def take(blocks: Sequence[Float[np.ndarray, "_ D"]], rows: Int[np.ndarray, " p"]) -> Float[np.ndarray, "p D"]:
    """Gather rows from several arrays that follow each other."""
    result = np.empty((len(rows), blocks[0].shape[1]), dtype=blocks[0].dtype)
    start = 0
    for block in blocks:
        inside = (rows >= start) & (rows < start + len(block))
        if inside.any():
            result[inside] = block[rows[inside] - start]
        start += len(block)
    return result


def complete_groups(pairs: Pairs) -> list[Group]:
    """Complete-link agglomerative clustering, cut at the threshold of the pairs.

    The two groups whose least similar rows are most similar are merged first; groups with a pair below the
    threshold are never merged.
    """
    groups = {int(row): [int(row)] for row in np.unique(pairs.rows)}
    links: dict[int, dict[int, tuple[int, float]]] = {row: {} for row in groups}
    heap = []
    for (a, b), similarity in zip(pairs.rows.tolist(), pairs.similarities.tolist(), strict=True):
        links[a][b] = links[b][a] = (1, similarity)
        heap.append((-similarity, a, b))
    heapq.heapify(heap)
    weakest: dict[int, float] = {}
    while heap:
        negative, a, b = heapq.heappop(heap)
        if (
            a not in groups
            or b not in groups
            or links[a].get(b) != (len(groups[a]) * len(groups[b]), -negative)
        ):
            continue
        # Merge the smaller number of links into the larger
        if len(links[a]) < len(links[b]):
            a, b = b, a
        weakest[a] = min(-negative, weakest.pop(a, 1.0), weakest.pop(b, 1.0))
        groups[a] += groups.pop(b)
        del links[a][b]
        for other, (count, similarity) in links.pop(b).items():
            if other == a:
                continue
            del links[other][b]
            if other in links[a]:
                count, similarity = count + links[a][other][0], min(similarity, links[a][other][1])
            links[a][other] = links[other][a] = (count, similarity)
        for other, (count, similarity) in links[a].items():
            if count == len(groups[a]) * len(groups[other]):
                heapq.heappush(heap, (-similarity, a, other))
    return _sorted(Group(np.array(sorted(groups[row])), weakest[row]) for row in weakest)


def component_groups(pairs: Pairs, blocks: Sequence[Float32[np.ndarray, "_ D"]]) -> list[Group]:
    """Connected components of the pairs; their weakest pair may be below the threshold."""
    return _sorted(
        Group(rows, _weakest(take(blocks, rows))) for rows in _components(pairs.rows, sum(map(len, blocks)))
    )


def pair_groups(pairs: Pairs) -> list[Group]:
    """Every pair as a group, the most similar first."""
    order = np.argsort(-pairs.similarities, kind="stable")
    return [Group(pairs.rows[i], float(pairs.similarities[i])) for i in order]


def exact_groups(
    hashes: Shaped[np.ndarray, " n"], points: Int[np.ndarray, " n"], moments: Float[np.ndarray, "n 9"]
) -> list[Group]:
    """Group clouds that have the same points, and clouds that are scaled or moved copies of each other.

    Args:
        hashes: of the sorted points; empty where unknown.
        points: number of points.
        moments: see `pointspider.index.clouds.shape_moments`.

    Returns:
        Groups of kind identical or copy. Copies are clouds with the same number of points and, up to
        rounding, the same moments; a group of copies may contain identical clouds.
    """
    from scipy.spatial import cKDTree  # half a second, which a search does not need

    groups = []
    known = np.flatnonzero(hashes != b"")
    _, inverse = np.unique(hashes[known], return_inverse=True)
    for rows in _split(known, inverse):
        groups.append(Group(rows, 1.0, "identical"))
    described = np.flatnonzero(points > 0)
    same = np.zeros((0, 2), dtype=np.int64)
    for number in np.unique(points[described]):
        rows = described[points[described] == number]
        # One cloud of each set of equal moments represents it, so that many copies do not give many pairs
        keys = np.round(moments[rows], 12)
        first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)[1:]
        chain = np.stack([rows[first][inverse.ravel()], rows], axis=1)
        close = cKDTree(moments[rows[first]]).query_pairs(MOMENTS_TOLERANCE, p=np.inf, output_type="ndarray")
        same = np.concatenate([same, chain, rows[first][close].reshape(-1, 2)])
    for rows in _components(same, len(hashes)):
        if len(set(hashes[rows].tolist())) > 1:
            groups.append(Group(rows, 1.0, "copy"))
    return _sorted(groups)


def _components(pairs: Int[np.ndarray, "p 2"], n: int) -> list[Int64[np.ndarray, " members"]]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return list(_split(np.arange(n), connected_components(graph, directed=False)[1]))


def _split(
    rows: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]
) -> Iterator[Int64[np.ndarray, " members"]]:
    """Yield the rows of each label that has two or more."""
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(members) > 1:
            yield np.sort(rows[members])


def _weakest(rows: Float32[np.ndarray, "m D"], chunk: int = 4096) -> float:
    """Smallest cosine of two rows."""
    return min(float((rows[i : i + chunk] @ rows.T).min()) for i in range(0, len(rows), chunk))


def _sorted(groups: Iterator[Group] | list[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: int(group.rows[0]))
