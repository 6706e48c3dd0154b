"""Measure how well each path from a cloud to an embedding finds similar clouds (Table V).

A path turns every test cloud into an embedding: of its render, by a CLIP (`renders`); of its points, by the
point encoder (`points`); or of its points, mapped to the CLIP's space by a predictor (`mapped`). Clouds are
compared within a path, by cosine similarity. Two searches are measured:

    object   the query is a corrupted cloud, the gallery all clean test clouds; the clean cloud of its object
             is relevant
    class    the query is any test cloud, the gallery all clean test clouds of other objects; those of its
             class are relevant. Without one, the query does not count.

Of each query, ap is the average precision, and r<k> whether a relevant cloud is among the first k. Equal
similarities count against the query: the precision at a relevant cloud includes everything as similar, so a
constant embedding finds nothing.

Duplicates are a clean cloud and the corrupted clouds of its object, among all pairs of a clean and a
corrupted cloud.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Num

from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.vectors import directions
from pointspider.study.evaluate.alignment import OBJECT
from pointspider.study.evaluate.retrieval import EQUAL
from pointspider.study.evaluate.statistics import clustered_interval

SEARCHES = ("class", "object")
#: The k of r<k>.
RECALLED = (1, 5, 10)
#: The share of true pairs among the pairs that `duplicate_recall` requires.
PRECISION = 0.9
#: The recalls at which the precision of duplicates is given.
GRID = np.linspace(0.02, 1, 50)


class Path(NamedTuple):
    """A path from clouds to embeddings.

    Attributes:
        path: renders, points or mapped.
        model: the CLIP, the point encoder or the predictor.
    """

    path: str
    model: str


def search_records(
    manifest: pd.DataFrame, embeddings: Mapping[Path, Num[np.ndarray, "n _"]], chunk: int = 1024
) -> pd.DataFrame:
    """Measure every query of every path.

    Args:
        manifest: n test clouds with class, object, corruption and severity, each object clean once.
        embeddings: n rows of each path.
        chunk: queries that are compared at a time.

    Returns:
        A row per path and cloud: path, model, class, object, corruption, severity, and class_ap, class_r<k>,
        object_ap, object_r<k>, which are NaN where the query does not count.

    Raises:
        InputError: a path has another number of rows, or an object is not clean exactly once.
    """
    clean = _clean_rows(manifest)
    objects = manifest.groupby(OBJECT, sort=False).ngroup().to_numpy()
    classes = manifest.groupby("class", sort=False).ngroup().to_numpy()
    corrupted = (manifest["corruption"] != ORIGINAL).to_numpy()
    columns = ["class", "object", "corruption", "severity"]
    parts = []
    for (path, model), values in embeddings.items():
        if len(values) != len(manifest):
            raise InputError(f"path '{path}': {len(values)} embeddings of {len(manifest)} clouds.")
        unit = directions(values)
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, len(unit), chunk):
            rows = slice(start, start + chunk)
            scores = unit[rows] @ unit[clean].T
            same = objects[rows, None] == objects[clean]
            relevant = {
                "class": (classes[rows, None] == classes[clean]) & ~same,
                "object": same & corrupted[rows, None],
            }
            for search in SEARCHES:
                candidates = np.where(same, -np.inf, scores) if search == "class" else scores
                for measure, value in rank_measures(candidates, relevant[search]).items():
                    found.setdefault(f"{search}_{measure}", []).append(value)
        measured = {name: np.concatenate(value) for name, value in found.items()}
        rows_of_path = manifest[columns].reset_index(drop=True).assign(**measured)
        parts.append(pd.concat({(path, model): rows_of_path}, names=["path", "model"]).droplevel(2))
    return pd.concat(parts).reset_index()


def rank_measures(
    scores: Float[np.ndarray, "Q G"], relevant: Bool[np.ndarray, "Q G"]
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return ap and r<k> of each query; NaN for queries without a relevant column.

    Args:
        scores: -inf excludes a column of a query.
        relevant: the columns to find.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked, hits = np.take_along_axis(scores, order, axis=1), np.take_along_axis(relevant, order, axis=1)
    last = _last_of_equals(ranked)
    counts = np.take_along_axis(hits.cumsum(axis=1), last, axis=1)
    total = hits.sum(axis=1)
    none = total == 0
    precision = (hits * counts / (last + 1)).sum(axis=1) / np.maximum(total, 1)
    first = np.where(hits, last, scores.shape[1]).min(axis=1)
    measures = {"ap": precision, **{f"r{k}": (first < k).astype(np.float64) for k in RECALLED}}
    return {name: np.where(none, np.nan, value) for name, value in measures.items()}


def duplicate_records(
    manifest: pd.DataFrame, embeddings: Mapping[Path, Num[np.ndarray, "n _"]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure how well a threshold on the similarity separates duplicates from other pairs.

    Args:
        manifest, embeddings: see `search_records`.

    Returns:
        Two frames with path, model and severity, where 0 stands for all severities. The first has measure,
        n, value, low and high: `duplicate_ap`, the average precision over all pairs, and
        `duplicate_recall`, the largest share of duplicates that a threshold finds with a precision of at
        least `PRECISION`, whose interval counts each object's pairs with their effective number; n is the
        number of duplicates. The second has recall (`GRID`) and precision: the highest of any threshold that
        finds at least that share of duplicates.

    Raises:
        InputError: see `search_records`.
    """
    clean = _clean_rows(manifest)
    objects = manifest.groupby(OBJECT, sort=False).ngroup().to_numpy()
    severities = manifest["severity"].where(manifest["corruption"] != ORIGINAL, 0).to_numpy()
    measures: list[list[object]] = []
    curves: list[list[object]] = []
    for (path, model), values in embeddings.items():
        unit = directions(values)
        for severity in (0, *sorted(set(severities) - {0})):
            rows = np.flatnonzero(severities == severity if severity else severities > 0)
            scores = (unit[rows] @ unit[clean].T).ravel()
            duplicate = (objects[rows, None] == objects[clean]).ravel()
            order = np.argsort(-scores, kind="stable")
            ranked, hits = scores[order], duplicate[order]
            last = _last_of_equals(ranked[None])[0]
            counts = hits.cumsum()[last]
            precision, recall = counts / (last + 1), counts / max(hits.sum(), 1)
            key = [path, model, severity]
            total = int(hits.sum())
            measures.append([*key, "duplicate_ap", total, (hits * precision).sum() / total, np.nan, np.nan])
            good = precision >= PRECISION
            threshold = ranked[good][-1] if good.any() else np.inf
            own = (unit[rows] * unit[clean[_position(objects[rows], objects[clean])]]).sum(axis=1)
            found = own >= threshold - EQUAL
            measures.append(
                [*key, "duplicate_recall", total, found.mean(), *clustered_interval(found, objects[rows])]
            )
            best = np.maximum.accumulate(precision[::-1])[::-1]
            at = np.searchsorted(recall, GRID - 1e-12)
            curves += [[*key, r, p] for r, p in zip(GRID.round(2), best[at], strict=True)]
    columns = ["path", "model", "severity"]
    return (
        pd.DataFrame(measures, columns=[*columns, "measure", "n", "value", "low", "high"]),
        pd.DataFrame(curves, columns=[*columns, "recall", "precision"]),
    )


def _clean_rows(manifest: pd.DataFrame) -> np.ndarray:
    """The rows of the clean clouds."""
    clean = np.flatnonzero(manifest["corruption"] == ORIGINAL)
    names = manifest.iloc[clean][OBJECT]
    if names.duplicated().any() or len(names) != len(manifest[OBJECT].drop_duplicates()):
        raise InputError("test clouds: each object needs one clean cloud. Draw the manifests again.")
    return clean


def _position(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Where each value is in `of`, whose values are distinct."""
    order = np.argsort(of)
    return np.asarray(order[np.searchsorted(of[order], values)])


def _last_of_equals(ranked: Float[np.ndarray, "Q G"]) -> np.ndarray:
    """Position of the last value that equals each value; rows are sorted, the highest first."""
    width = ranked.shape[1]
    with np.errstate(invalid="ignore"):  # -inf - -inf
        ends = np.diff(ranked, axis=1) < -EQUAL
    ends = np.concatenate([ends, np.ones((len(ranked), 1), dtype=bool)], axis=1)
    position = np.where(ends, np.arange(width), width)
    return np.minimum.accumulate(position[:, ::-1], axis=1)[:, ::-1]
