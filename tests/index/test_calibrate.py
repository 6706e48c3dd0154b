"""The calibrated threshold."""

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.index.calibrate import calibrate_threshold, corrupted_versions, report


def test_one_percent_of_the_objects_reach_the_threshold_with_another_object():
    others = np.random.default_rng(0).uniform(0.5, 0.9, size=1000).astype(np.float32)
    result = calibrate_threshold(others, {"1": np.array([0.95, 0.99]), "5": np.array([0.6, 0.95, 0.7, 0.8])})
    assert result["false_pairs"] == 0.01
    assert np.mean(others >= np.nextafter(np.float32(result["threshold"]), np.float32(0))) > 0.01
    assert result["recall"] == {"1": 1.0, "5": 0.25}
    assert result["versions"] == {"1": 2, "5": 4}
    assert "1.0% of 1000 objects" in report(result)
    assert "1: 100%, 5: 25%" in report(result)


def test_few_objects_let_none_reach_it():
    assert calibrate_threshold(np.linspace(0.1, 0.8, 50), {"1": np.array([0.9])})["false_pairs"] == 0


def test_a_threshold_is_at_most_one():
    result = calibrate_threshold(np.ones(100, np.float32), {"1": np.array([1.0])})
    assert (result["threshold"], result["false_pairs"]) == (1, 1)


def test_too_few_objects_are_refused():
    with pytest.raises(InputError, match="cannot be calibrated on 3 objects"):
        calibrate_threshold(np.ones(3), {})


def test_versions_are_the_same_for_the_same_key():
    points = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    first, second = (list(corrupted_versions(points, "a")) for _ in range(2))
    assert [severity for severity, _ in first] == [s for s in "12345" for _ in range(2)]
    for (_, a), (_, b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    other = list(corrupted_versions(points, "b"))
    assert any(len(a) != len(b) or (a != b).any() for (_, a), (_, b) in zip(first, other, strict=True))
