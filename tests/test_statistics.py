"""Intervals against scipy."""

import numpy as np
import pytest
from scipy import stats

from pointspider.evaluate.statistics import spread, wilson_interval


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


def test_spread_equals_scipy():
    values = np.random.default_rng(0).normal(0.4, 0.1, size=7)
    got = spread(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))
    assert got.mean == pytest.approx(values.mean())
    assert got.deviation == pytest.approx(stats.tstd(values))


def test_spread_of_one_value_and_of_equal_values():
    one = spread([0.3])
    assert one.mean == 0.3
    assert np.isnan([one.deviation, one.low, one.high]).all()
    assert spread([0.5, 0.5, 0.5]) == (0.5, 0.0, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one value"):
        spread([])
