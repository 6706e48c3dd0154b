"""A threshold for near duplicates, from duplicates that are known: an object and its corrupted versions.

A false pair is an object and the most similar other object. The threshold is the smallest one that at most
1 % of the objects reach with that other object. Its recall is the share of corrupted versions that reach it
with their object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from pointspider.clouds.corruptions.engine import corrupt
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Severities, and corruptions that are drawn for a cloud at each of them.
SEVERITIES, DRAWS = range(1, 6), 2

#: Share of false pairs.
FALSE_PAIRS = 0.01
#: Fewest objects from which a share of 1 % can be estimated.
FEWEST_OBJECTS = 20


def calibrate_threshold(
    others: Float[np.ndarray, " objects"], versions: Mapping[str, Float[np.ndarray, " _"]]
) -> dict[str, Any]:
    """Choose the threshold.

    Args:
        others: similarity of each object to the most similar other object.
        versions: similarities of corrupted versions to their objects, by severity.

    Returns:
        JSON: `threshold`; `false_pairs`, the share of `others` that reaches it (above 1 % only if more have a
        similarity of 1); `objects`, their number; `recall` and `versions`, share and number by severity.

    Raises:
        InputError: there are fewer than `FEWEST_OBJECTS` objects.
    """
    if len(others) < FEWEST_OBJECTS:
        raise InputError(
            f"threshold: cannot be calibrated on {len(others)} objects; at least {FEWEST_OBJECTS} are "
            "needed. "
            "Give a number, such as --threshold 0.99."
        )
    highest = np.sort(others.astype(np.float64))[::-1]
    allowed = int(FALSE_PAIRS * len(others))
    threshold = min(1.0, float(np.nextafter(np.float32(highest[allowed]), np.float32(2))))
    return {
        "threshold": threshold,
        "false_pairs": float(np.mean(others >= threshold)),
        "objects": len(others),
        "recall": {
            severity: float(np.mean(values >= threshold)) for severity, values in sorted(versions.items())
        },
        "versions": {severity: len(values) for severity, values in sorted(versions.items())},
    }


def report(calibration: Mapping[str, Any]) -> str:
    """Describe a calibration in a sentence."""
    recall = ", ".join(f"{severity}: {share:.0%}" for severity, share in calibration["recall"].items())
    return (
        f"threshold {calibration['threshold']:.4f}: {calibration['false_pairs']:.1%} of "
        f"{calibration['objects']} "
        f"objects reach it with another object; of their corrupted versions, by severity {recall} are found"
    )


def corrupted_versions(
    points: Float[np.ndarray, "N 3"], key: str
) -> Iterator[tuple[str, Float32[np.ndarray, "M 3"]]]:
    """Yield `DRAWS` versions of a cloud at each severity, of ModelNet40-C's corruptions that need no mesh.

    Args:
        points: the cloud, y up.
        key: name of the cloud, which determines the corruptions and their draws.
    """
    rng = generator(0, "calibration", key)
    names = [n for n, c in CORRUPTIONS.items() if c.benchmark == "modelnet40-c" and not c.needs_mesh]
    for severity in SEVERITIES:
        for name in rng.choice(names, DRAWS, replace=False):
            corrupted, _ = corrupt(points, str(name), severity, key=key)
            yield str(severity), corrupted.astype(np.float32)
