"""Intervals and tests against scipy, published examples and simulation."""

import numpy as np
import pytest
from scipy import stats

from pointspider.study.evaluate.statistics import (
    clustered_interval,
    difference_interval,
    exact_mcnemar,
    holm,
    spread,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "n"), [(12, 40), (0, 40), (40, 40), (1, 1), (0, 1), (1234, 2468)])
def test_wilson_equals_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_the_papers_table_2():
    low, high = wilson_interval(12, 40)  # 0.300
    assert (round(low, 2), round(high, 2)) == (0.18, 0.45)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_no_proportion(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(successes, n)


def test_clusters_of_one_give_the_wilson_interval():
    hits = np.random.default_rng(0).random(40) < 0.3
    expected = wilson_interval(int(hits.sum()), 40)
    assert clustered_interval(hits, np.arange(40)) == pytest.approx(expected)
    assert clustered_interval(hits, np.array([f"chair/{k:04d}" for k in range(40)])) == pytest.approx(
        expected
    )


def test_trials_that_repeat_others_add_nothing():
    hits = np.random.default_rng(1).random(40) < 0.3
    repeated = clustered_interval(np.repeat(hits, 12), np.repeat(np.arange(40), 12))
    assert repeated == pytest.approx(wilson_interval(int(hits.sum()), 40), abs=2e-3)


def test_trials_that_all_agree_count_once_per_cluster():
    assert clustered_interval(np.ones(60, bool), np.repeat(np.arange(5), 12)) == wilson_interval(5, 5)
    assert clustered_interval(np.zeros(60, bool), np.repeat(np.arange(5), 12)) == wilson_interval(0, 5)
    low, high = clustered_interval(np.array([1, 0, 1]), np.array([7, 7, 7]))  # one cluster
    assert 0 < low < 0.3 < 0.9 < high < 1


def test_clustered_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(60), 10)
    covered, wilson = [], []
    for _ in range(400):
        objects = rng.beta(1, 1, 60)  # each object is easy or hard; 0.5 on the whole
        hits = rng.random(600) < np.repeat(objects, 10)
        for kept, (low, high) in (
            (covered, clustered_interval(hits, clusters)),
            (wilson, wilson_interval(int(hits.sum()), 600)),
        ):
            kept.append(low <= 0.5 <= high)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert np.mean(wilson) < 0.8  # what independence would have claimed


def test_the_difference_of_newcombes_example():
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, Table II, method 10)."""
    assert difference_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_difference_turns_its_sign_with_its_order():
    low, high = difference_interval((12, 40), (9, 40))
    assert difference_interval((9, 40), (12, 40)) == pytest.approx((-high, -low))
    assert difference_interval((0, 40), (0, 40)) == pytest.approx((-0.0876, 0.0876), abs=1e-4)


def test_spread_equals_scipy():
    values = np.random.default_rng(0).normal(0.4, 0.1, size=7)
    got = spread(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))
    assert got.mean == pytest.approx(values.mean())
    assert got.deviation == pytest.approx(stats.tstd(values))


def test_spread_of_one_value_and_of_equal_values():
    one = spread(np.array([0.3]))
    assert one.mean == 0.3
    assert np.isnan([one.deviation, one.low, one.high]).all()
    two = spread(np.array([0.3, 0.5]))
    assert two.deviation == pytest.approx(0.2 / 2**0.5)
    assert np.isnan([two.low, two.high]).all(), "fewer than three values have no interval"
    assert spread(np.full(3, 0.5)) == (0.5, 0.0, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one value"):
        spread(np.array([]))


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_equals_scipys_binomial_test(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 200)) < [[0.6], [0.5]]
    ahead, behind = (first & ~second).sum(), (second & ~first).sum()
    expected = stats.binomtest(ahead, ahead + behind, 0.5).pvalue
    assert exact_mcnemar(first, second, np.arange(200)) == (ahead, behind, pytest.approx(expected))


def test_models_that_never_differ_are_equally_good():
    hits = np.array([True, False, True])
    assert exact_mcnemar(hits, hits, np.arange(3)) == (0, 0, 1.0)
    assert exact_mcnemar(hits, ~hits, np.arange(3)) == (2, 1, 1.0)


def test_a_cluster_counts_once():
    first = np.array([1, 1, 1, 0, 0, 1], bool)
    second = np.array([0, 0, 1, 1, 1, 0], bool)
    assert exact_mcnemar(first, second, np.array(list("aabbcc"))) == (1, 1, 1.0)  # c: one each
    with pytest.raises(ValueError, match="there are none"):
        exact_mcnemar(first[:0], second[:0], np.arange(0))


def test_equal_models_are_rarely_told_apart_though_their_clouds_are_clustered():
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(40), 12)
    p_objects, p_clouds = [], []
    for _ in range(300):
        first, second = (rng.random(480) < np.repeat(rng.beta(0.5, 0.5, 40), 12) for _ in range(2))
        p_objects.append(exact_mcnemar(first, second, clusters).p)
        p_clouds.append(exact_mcnemar(first, second, np.arange(480)).p)
    assert np.mean(np.array(p_objects) < 0.05) <= 0.06
    assert np.mean(np.array(p_clouds) < 0.05) > 0.3  # what independence would have claimed


def test_holm_equals_its_definition():
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.001]) == pytest.approx([0.9, 0.002])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    p_values = np.random.default_rng(4).random(12) ** 3
    ranked = np.sort(p_values)
    rejected = [  # step down at each level until one does not pass
        next((k for k in range(12) if ranked[k] * (12 - k) > level), 12) for level in (0.01, 0.05, 0.3)
    ]
    corrected = np.array(holm(p_values.tolist()))
    assert [(corrected <= level).sum() for level in (0.01, 0.05, 0.3)] == rejected
