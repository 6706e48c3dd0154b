"""A threshold for near duplicates, from duplicates that are known: an object and its corrupted versions.

A false pair is an object and the most similar other object. The threshold is the smallest one that at most
1 % of the objects reach with that other object. Its recall is the share of corrupted versions that reach it
with their object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from tqdm import tqdm

from pointspider.clouds.corruptions.engine import corrupt
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.core.vectors import nearest_units
from pointspider.index.approximate import SIMILARITIES
from pointspider.index.clouds import load_points, prepare
from pointspider.index.duplicates import MOMENTS_TOLERANCE
from pointspider.index.models import Models
from pointspider.index.store import Store

#: Severities, and corruptions that are drawn for a cloud at each of them.
SEVERITIES, DRAWS = range(1, 6), 2

#: Share of false pairs.
FALSE_PAIRS = 0.01
#: Fewest objects from which a share of 1 % can be estimated.
FEWEST_OBJECTS = 20
#: Objects that are corrupted.
CALIBRATION_OBJECTS = 200
#: Versions that are embedded, or rows that are read, at a time.
CHUNK = 512
#: Most similar rows among which the most similar other object is looked for; the others are copies.
OTHERS = 16


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


def calibrate_by_corruption(store: Store, models: Models) -> dict[str, Any] | None:
    """Calibrate the threshold on corrupted versions of some clouds; None if there are too few."""
    rng = generator(0, "calibration", len(store))
    chosen = np.sort(rng.choice(len(store), min(CALIBRATION_OBJECTS, len(store)), replace=False))
    points = models.description.points
    objects, severities, clouds = [], [], []
    for position, row in enumerate(tqdm(chosen, "calibrate", unit="cloud", disable=None, leave=False)):
        item = store.item(int(row))
        try:
            values = prepare(load_points(item["path"], item["member"]), points, item["path"])
            versions = list(corrupted_versions(values, item["id"]))
        except (InputError, OSError):
            continue
        for severity, version in versions:
            objects.append(position)
            severities.append(severity)
            clouds.append(prepare(version, points, item["path"]))
    if not clouds:
        return None
    embedded = np.concatenate(
        [models.embed_clouds(np.stack(clouds[i : i + CHUNK])) for i in range(0, len(clouds), CHUNK)]
    )
    similarities = _cosines(store, chosen[objects], embedded)
    return _calibrate(store, chosen, similarities, np.array(severities))


def calibrate_by_versions(store: Store) -> dict[str, Any] | None:
    """Calibrate the threshold on the corrupted versions in the index; None if there are too few.

    Items need `object` and `severity`; a severity of 0 is the clean cloud.
    """
    classes, objects, severities = (store.column(name) for name in ("class", "object", "severity"))
    names = [b"/".join(pair) for pair in zip(classes.tolist(), objects.tolist(), strict=True)]
    clean = {name: row for row, name in enumerate(names) if severities[row] == b"0"}
    if not clean:
        return None
    versions = np.array(
        [row for row, name in enumerate(names) if severities[row] != b"0" and name in clean], dtype=np.int64
    )
    originals = np.array([clean[names[row]] for row in versions], dtype=np.int64)
    similarities = np.concatenate(
        [
            np.zeros(0, np.float32),
            *(
                _cosines(store, originals[i : i + CHUNK], store.vectors(versions[i : i + CHUNK]))
                for i in range(0, len(versions), CHUNK)
            ),
        ]
    )
    labels = np.array([severities[row].decode() for row in versions], dtype=str)
    chosen = np.array(sorted(clean.values()), dtype=np.int64)
    return _calibrate(store, chosen, similarities, labels, severities == b"0")


def similarity_to_others(
    store: Store, rows: Int64[np.ndarray, " n"], where: Bool[np.ndarray, " rows"] | None = None
) -> Float32[np.ndarray, " found"]:
    """Similarity of rows to the most similar row that is no copy of them.

    Args:
        store: of the rows.
        rows: whose similarity to compute.
        where: rows to compare them with; None: all.
    """
    k = min(OTHERS, len(store) if where is None else int(where.sum()))
    found, similarities = nearest_units(
        store.vectors(rows), store.blocks, k, max(1, SIMILARITIES // max(len(rows), 1)), where
    )
    moments, points = store.column("moments"), store.column("points")
    copy = (np.abs(moments[found] - moments[rows][:, None]) <= MOMENTS_TOLERANCE).all(axis=2)
    copy &= (points[found] == points[rows][:, None]) & (points[rows] > 0)[:, None]
    copy |= found == rows[:, None]
    best = np.where(copy, -np.inf, similarities).max(axis=1)
    others: np.ndarray = best[np.isfinite(best)]
    return others


def _cosines(
    store: Store, rows: Int64[np.ndarray, " n"], vectors: Float32[np.ndarray, "n D"]
) -> Float32[np.ndarray, " n"]:
    cosines: np.ndarray = np.einsum("ij,ij->i", vectors, store.vectors(rows))
    return cosines


def _calibrate(
    store: Store,
    objects: Int64[np.ndarray, " objects"],
    similarities: Float[np.ndarray, " versions"],
    severities: np.ndarray,
    where: Bool[np.ndarray, " rows"] | None = None,
) -> dict[str, Any] | None:
    others = similarity_to_others(store, objects, where)
    versions = {str(severity): similarities[severities == severity] for severity in np.unique(severities)}
    try:
        return {**calibrate_threshold(others, versions), "rows": len(store)}
    except InputError:
        return None
