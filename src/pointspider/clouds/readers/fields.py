"""From named columns, as PLY, PCD and structured arrays have them, to a cloud."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Num

from pointspider.clouds.cloud import Cloud
from pointspider.core.errors import InputError

COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
#: A cloud has fewer columns or more points: 3 to 12 rows of more columns are the transposed array of PyTorch.
COLUMNS = 12
LABELS = ("label", "labels", "class", "classification", "scalar_label", "scalar_classification", "semantic")


def cloud_from_fields(fields: Mapping[str, Num[np.ndarray, " N"]]) -> Cloud:
    """Return the cloud of named columns, in any case; those of unknown names become its fields.

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
    used = {"x", "y", "z", *(color or ()), *(normal or ())}
    return Cloud(
        _columns(lower, ("x", "y", "z")),
        colors=scale_colors(np.column_stack([lower[name] for name in color])) if color else None,
        labels=label.astype(np.int64) if label is not None else None,
        normals=_columns(lower, normal) if normal else None,
        fields={n: column for n, column in lower.items() if n not in used and column.dtype.kind in "fiub"},
    )


def cloud_from_columns(table: Num[np.ndarray, "N C"]) -> Cloud:
    """Return the cloud of unnamed columns: x, y, z, and perhaps colours and normals.

    Three columns after x, y, z are normals if all have length 1, colours if all are from 0 to 1 or whole
    numbers from 0 to 255. So are the three after those, and the three after an intensity (x, y, z, i, r, g,
    b). Other columns are ignored.

    Raises:
        InputError: points are columns.
    """
    if 3 <= len(table) <= COLUMNS < table.shape[1]:
        raise InputError(f"its array is {table.shape}; points are rows, (N, 3): transpose it.")
    points = table[:, :3] if table.dtype.kind == "f" else table[:, :3].astype(np.float64)
    found: dict[str, Float[np.ndarray, "N 3"]] = {}
    for first in (3, 4, 6):
        columns = table[:, first : first + 3].astype(np.float64)
        if columns.shape != points.shape or len(columns) < 2 or (first == 4 and found):
            continue
        if np.allclose(np.linalg.norm(columns, axis=1), 1, atol=1e-2):
            found.setdefault("normals", columns)
        elif columns.min() >= 0 and (columns.max() <= 1 or _are_bytes(columns)):
            found.setdefault("colors", scale_colors(columns))
    return Cloud(points, colors=found.get("colors"), normals=found.get("normals"))


def _are_bytes(columns: Float[np.ndarray, "N 3"]) -> bool:
    return bool(columns.max() <= 255 and (columns % 1 == 0).all())


def scale_colors(colors: Num[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Bring colours to the range 0 to 1: integers by their type's maximum, floats above 1 by 255."""
    if colors.dtype.kind in "iub":
        limit = np.iinfo(colors.dtype).max if colors.dtype.itemsize <= 2 else 255
        return (colors / limit).astype(np.float32)
    return (colors / (255 if colors.size and np.nanmax(colors) > 1 else 1)).astype(np.float32)


def _columns(fields: Mapping[str, Num[np.ndarray, " N"]], names: tuple[str, ...]) -> Float[np.ndarray, "N 3"]:
    stacked = np.column_stack([fields[name] for name in names])
    return stacked if stacked.dtype.kind == "f" else stacked.astype(np.float64)
