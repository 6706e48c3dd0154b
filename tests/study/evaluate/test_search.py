"""Search of test clouds by each path, against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from pointspider.core.errors import InputError
from pointspider.study.evaluate.search import (
    GRID,
    PRECISION,
    Path,
    duplicate_records,
    rank_measures,
    search_records,
)

RENDERS, RIDGE, CONSTANT = Path("renders", "tiny"), Path("mapped", "ridge"), Path("mapped", "constant")


def test_average_precision_is_that_of_scikit_learn_with_and_without_ties():
    rng = np.random.default_rng(0)
    scores, relevant = rng.normal(size=(200, 30)).round(1), rng.random((200, 30)) < 0.1
    found = rank_measures(scores, relevant)["ap"]
    expected = [
        average_precision_score(wanted, values) if wanted.any() else np.nan
        for wanted, values in zip(relevant, scores, strict=True)
    ]
    np.testing.assert_allclose(found, expected)
    assert np.isnan(found).any()


def test_equal_similarities_count_against_the_query():
    scores = np.array([[0.9, 0.9, 0.5, 0.1]])
    measures = rank_measures(scores, np.array([[True, False, False, False]]))
    assert (measures["ap"][0], measures["r1"][0], measures["r5"][0]) == (0.5, 0, 1)


def test_excluded_columns_are_never_found():
    scores = np.array([[-np.inf, 0.2, 0.1, -np.inf]])
    measures = rank_measures(scores, np.array([[False, False, True, False]]))
    assert (measures["ap"][0], measures["r1"][0]) == (0.5, 0)


def test_records_follow_the_definition_query_by_query(searched):
    manifest, paths = searched
    records = search_records(manifest, {RENDERS: paths[RENDERS]}, chunk=7)
    unit = paths[RENDERS] / np.linalg.norm(paths[RENDERS], axis=1, keepdims=True)
    clean = np.flatnonzero(manifest["corruption"] == "original")
    for query, row in records.iterrows():
        cosines = unit[clean] @ unit[query]
        same = manifest["object"].iloc[clean].to_numpy() == row["object"]
        classes = manifest["class"].iloc[clean].to_numpy() == row["class"]
        assert row["class_ap"] == pytest.approx(average_precision_score(classes[~same], cosines[~same]))
        if row["corruption"] == "original":
            assert np.isnan(row["object_ap"])
            assert np.isnan(row["object_r1"])
        else:
            assert row["object_r1"] == same[cosines.argmax()]


def test_a_constant_finds_nothing(searched):
    records = search_records(*searched)
    own = records[records["model"] == "constant"]
    assert own[["class_r1", "class_r5", "object_r1", "object_r5"]].fillna(0).to_numpy().max() == 0
    assert own["object_ap"].dropna().unique() == pytest.approx(1 / 8)


def test_a_query_without_another_object_of_its_class_does_not_count(searched):
    manifest, paths = searched
    chosen = (manifest["object"] != "0001").to_numpy()
    records = search_records(manifest[chosen], {RENDERS: paths[RENDERS][chosen]})
    assert records["class_ap"].isna().sum() == 3
    assert records["object_ap"].isna().sum() == 7


def test_duplicates_are_measured_over_all_pairs(searched):
    manifest, paths = searched
    measures, curves = duplicate_records(manifest, {RENDERS: paths[RENDERS]})
    unit = paths[RENDERS] / np.linalg.norm(paths[RENDERS], axis=1, keepdims=True)
    clean, strong = (np.flatnonzero(manifest["severity"] == severity) for severity in (0, 5))
    scores, true = (unit[strong] @ unit[clean].T).ravel(), np.eye(8, dtype=bool).ravel()
    own = measures[measures["severity"] == 5].set_index("measure")
    assert own.loc["duplicate_ap", "value"] == pytest.approx(average_precision_score(true, scores))
    thresholds = [t for t in scores if true[scores >= t].mean() >= PRECISION]
    recall = (scores[true] >= min(thresholds)).mean() if thresholds else 0
    assert own.loc["duplicate_recall", "value"] == pytest.approx(recall)
    assert own.loc["duplicate_recall", "low"] <= recall <= own.loc["duplicate_recall", "high"]
    curve = curves[curves["severity"] == 5]
    np.testing.assert_allclose(curve["recall"], GRID)
    best = [
        max(true[scores >= t].mean() for t in scores[true] if (scores[true] >= t).mean() >= r - 1e-9)
        for r in GRID
    ]
    np.testing.assert_allclose(curve["precision"], best)


def test_embeddings_must_match_the_clouds(searched):
    manifest, paths = searched
    with pytest.raises(InputError, match="path 'renders': 23 embeddings of 24 clouds"):
        search_records(manifest, {RENDERS: paths[RENDERS][1:]})
    with pytest.raises(InputError, match="each object needs one clean cloud"):
        search_records(pd.concat([manifest, manifest]), {RENDERS: np.tile(paths[RENDERS], (2, 1))})
