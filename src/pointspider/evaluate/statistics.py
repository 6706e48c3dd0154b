"""Intervals: of one accuracy, and of the mean of repeated draws."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

#: Of every interval in the tables.
CONFIDENCE = 0.95


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927, without continuity correction).

    Raises:
        ValueError: not 0 <= successes <= n, or n = 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} is no proportion")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and n one end is exact; rounding would leave it a hair beside.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return low, high


class Spread(NamedTuple):
    """Mean, sample standard deviation, and the mean's 95 % interval (Student's t)."""

    mean: float
    deviation: float
    low: float
    high: float


def spread(values: np.ndarray) -> Spread:
    """Mean and spread of repeated draws or seeds, (n,); with one value only the mean is known, the rest NaN.

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
    half = float(student.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / np.sqrt(n)
    return Spread(mean, deviation, mean - half, mean + half)
