"""Intervals and tests for accuracies, repeated draws, and models that are evaluated on the same clouds."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from scipy.special import bdtr, stdtrit  # scipy.stats, which has them too, takes half a second to import

#: The level of every interval in the tables.
CONFIDENCE = 0.95
#: Fewer values have no interval: Student's t for two is 12.7 standard errors, which says nothing.
MINIMUM = 3


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927, without continuity correction).

    Args:
        successes, n: counts; fractional if n is an effective number, see `clustered_interval`.

    Raises:
        ValueError: not 0 <= successes <= n, or n = 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} is no proportion")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and n one end is exact; rounding would miss it.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return low, high


def clustered_interval(
    hits: Num[np.ndarray, " n"] | Bool[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"]
) -> tuple[float, float]:
    """The Wilson interval of a proportion whose trials come in clusters, at their effective number.

    Clouds of one object are similar: a hundred of them say less than a hundred clouds of different objects.
    The effective number of trials is n divided by the design effect, the variance between clusters over that
    of independent trials (L. Kish, Survey Sampling, 1965; E. L. Korn and B. I. Graubard, Survey Methodology
    24, 1998). It is at most n, and equals n if every cluster has one trial. If all trials agree, the variance
    is unknown and each cluster counts once.

    Args:
        hits: 1 or True where the trial succeeded.
        clusters: the cluster of each trial, of any type that sorts.

    Raises:
        ValueError: no trials.
    """
    hits = np.asarray(hits, dtype=np.float64)
    n, share = len(hits), hits.mean() if len(hits) else 0.0
    _, members = np.unique(clusters, return_inverse=True)
    groups = int(members.max()) + 1 if n else 0
    deviations = hits - share
    independent = (deviations**2).sum() * n / max(n - 1, 1)
    if groups < 2 or independent == 0:
        effective = float(groups)
    else:
        between = (np.bincount(members, deviations) ** 2).sum() * groups / (groups - 1)
        effective = n / max(between / independent, 1.0)
    return wilson_interval(share * effective, effective)


def difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two independent proportions, each (successes, n).

    From their Wilson intervals (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10).

    Raises:
        ValueError: see `wilson_interval`.
    """
    (low_1, high_1), (low_2, high_2) = wilson_interval(*first), wilson_interval(*second)
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    difference = share_1 - share_2
    below = np.hypot(share_1 - low_1, high_2 - share_2)
    above = np.hypot(high_1 - share_1, share_2 - low_2)
    return float(difference - below), float(difference + above)


class Spread(NamedTuple):
    """Mean, sample standard deviation, and the mean's 95 % interval (Student's t)."""

    mean: float
    deviation: float
    low: float
    high: float


def spread(values: Num[np.ndarray, "..."]) -> Spread:
    """Mean and spread of repeated draws or seeds, (n,).

    One value has no deviation and fewer than `MINIMUM` have no interval: NaN.

    Raises:
        ValueError: no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"a spread needs at least one value in one dimension, not {values.shape}")
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Spread(mean, np.nan, np.nan, np.nan)
    deviation = float(values.std(ddof=1))
    if n < MINIMUM:
        return Spread(mean, deviation, np.nan, np.nan)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation / np.sqrt(n)
    return Spread(mean, deviation, mean - half, mean + half)


def spread_of_shares(values: Num[np.ndarray, "..."]) -> Spread:
    """`spread` of shares, whose interval is clipped to 0 and 1."""
    known = spread(values)
    return known._replace(low=float(np.clip(known.low, 0, 1)), high=float(np.clip(known.high, 0, 1)))


class Paired(NamedTuple):
    """Trials on which only the first, or only the second of two models succeeds, and the exact p-value."""

    ahead: int
    behind: int
    p: float


def exact_mcnemar(
    first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"], clusters: Shaped[np.ndarray, " n"]
) -> Paired:
    """McNemar's exact test of whether two models are equally good on the same trials.

    Only trials on which they differ count (Q. McNemar, Psychometrika 12, 1947); under equality each is a fair
    coin, so the p-value is two-sided binomial. A cluster with several trials counts once, for the model with
    more hits in it (a sign test), since its trials are not independent.

    Args:
        first, second: the hits of each model.
        clusters: the cluster of each trial; all different for McNemar's original test.

    Raises:
        ValueError: there are no trials.
    """
    if not len(first):
        raise ValueError("paired trials: there are none")
    _, members = np.unique(clusters, return_inverse=True)
    lead = np.bincount(members, first.astype(np.float64) - second)
    ahead, behind = int((lead > 0).sum()), int((lead < 0).sum())
    return Paired(ahead, behind, min(1.0, 2 * float(bdtr(min(ahead, behind), ahead + behind, 0.5))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""
    values: Float[np.ndarray, " n"] = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    factors = np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return [float(value) for value in corrected]
