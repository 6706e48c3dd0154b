"""From named columns, as PLY, PCD and structured arrays have them, to a cloud."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Num

from pointspider.clouds.cloud import Cloud
from pointspider.core.errors import InputError

COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
LABELS = ("label", "labels", "class", "classification", "scalar_label", "scalar_classification", "semantic")


def cloud_from_fields(fields: Mapping[str, Num[np.ndarray, " N"]]) -> Cloud:
    """Return the cloud of named columns; names in any case, unknown ones are ignored.

    Raises:
        InputError: x, y or z is missing.
    """
    lower = {name.lower(): np.asarray(column) for name, column in fields.items()}
    if not {"x", "y", "z"} <= lower.keys():
        raise InputError(f"has no coordinates x, y, z; it has {', '.join(fields) or 'nothing'}.")
    color, normal = (
        next((names for names in known if lower.keys() >= set(names)), None) for known in (COLORS, NORMALS)
    )
    label = next((lower[name] for name in LABELS if name in lower), None)
    return Cloud(
        _columns(lower, ("x", "y", "z")),
        colors=scale_colors(np.column_stack([lower[name] for name in color])) if color else None,
        labels=label.astype(np.int64) if label is not None else None,
        normals=_columns(lower, normal) if normal else None,
    )


def scale_colors(colors: Num[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Bring colours to the range 0 to 1: integers by their type's maximum, floats above 1 by 255."""
    if colors.dtype.kind in "iub":
        limit = np.iinfo(colors.dtype).max if colors.dtype.itemsize <= 2 else 255
        return (colors / limit).astype(np.float32)
    return (colors / (255 if colors.size and np.nanmax(colors) > 1 else 1)).astype(np.float32)


def _columns(fields: Mapping[str, Num[np.ndarray, " N"]], names: tuple[str, ...]) -> Float[np.ndarray, "N 3"]:
    stacked = np.column_stack([fields[name] for name in names])
    return stacked if stacked.dtype.kind == "f" else stacked.astype(np.float64)
