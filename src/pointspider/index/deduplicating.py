"""Find the duplicates of an index: by the points of its clouds, or by the similarity of its rows."""

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.index.duplicates import (
    complete_groups,
    component_groups,
    exact_groups,
    near_pairs,
    pair_groups,
)
from pointspider.index.results import Duplicates
from pointspider.index.searching import matching_rows, require_clouds
from pointspider.index.store import Store


def exact_duplicates(store: Store, between: tuple[str, str] | None) -> Duplicates:
    """Group clouds with the same points, and scaled or moved copies."""
    require_clouds(store)
    found = exact_groups(store.column("points_hash"), store.column("points"), store.column("moments"))
    if between:
        sides = [part(store, name) for name in between]
        found = [group for group in found if all(side[group.rows].any() for side in sides)]
    return Duplicates(found, None, None)


def near_duplicates(
    store: Store, threshold: float | str, groups: str, between: tuple[str, str] | None
) -> Duplicates:
    """Group rows whose cosine reaches the threshold; see `pointspider.index.index.Index.duplicates`."""
    require_clouds(store)
    if groups not in ("complete", "components", "pairs"):
        raise InputError(f"groups: '{groups}' does not exist; choose complete, components or pairs.")
    sides = (part(store, between[0]), part(store, between[1])) if between else None
    calibration = None
    if threshold == "auto":
        calibration = store.calibration
        if calibration is None:
            raise InputError(
                f"{store.directory}: has no calibrated threshold (it needs 20 objects and their files). "
                "Give a number, such as --threshold 0.99."
            )
        threshold = calibration["threshold"]
    try:
        value = float(threshold)
    except ValueError as error:
        raise InputError(f"threshold: '{threshold}' is neither auto nor a number.") from error
    with tqdm(total=len(store), desc="compare", unit="cloud", disable=None, leave=False) as bar:
        pairs = near_pairs(store.blocks, value, sides, progress=bar.update)
    if groups == "pairs" or between:
        found = pair_groups(pairs)
    elif groups == "components":
        found = component_groups(pairs, store.blocks)
    else:
        found = complete_groups(pairs)
    return Duplicates(found, value, calibration)


def part(store: Store, name: str) -> Bool[np.ndarray, " rows"]:
    """Rows of a part of the index: a folder in the ids, or field=value.

    Raises:
        InputError: the part has no rows.
    """
    if "=" in name:
        key, value = name.split("=", 1)
        return matching_rows(store, {key: [value]})
    folder = name.strip("/").encode()
    rows = [b"/" + folder + b"/" in b"/" + identity for identity in store.column("id").tolist()]
    mask = np.array(rows, dtype=bool)
    if not mask.any():
        raise InputError(f"between: no id has the folder '{name}'; give a folder or field=value.")
    return mask
