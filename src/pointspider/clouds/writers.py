"""Writing a cloud with its attributes: .npy (points only), .npz and binary .ply."""

from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.core.errors import InputError
from pointspider.core.files import atomic

EXTENSIONS = (".npy", ".npz", ".ply")
#: Of PLY, by NumPy's names.
TYPES = {
    "i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint",
    "f4": "float", "f8": "double",
}  # fmt: skip


def write_cloud(path: Path, cloud: Cloud) -> None:
    """Write a cloud; the extension chooses the format. A mesh is not written.

    Raises:
        InputError: the extension is not one of EXTENSIONS.
    """
    if path.suffix not in EXTENSIONS:
        raise InputError(f"{path}: clouds are written as {', '.join(EXTENSIONS)}.")
    attributes = {"colors": cloud.colors, "labels": cloud.labels, "normals": cloud.normals}
    with atomic(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, cloud.points)
        elif path.suffix == ".npz":
            present: dict[str, Any] = {name: a for name, a in attributes.items() if a is not None}
            np.savez(file, **{**cloud.fields, "points": cloud.points, **present})
        else:
            file.write(_ply(cloud))


def _ply(cloud: Cloud) -> bytes:
    real = cloud.points.dtype.newbyteorder("<")
    columns = {name: cloud.points[:, axis].astype(real) for axis, name in enumerate("xyz")}
    if cloud.normals is not None:
        columns |= {f"n{name}": cloud.normals[:, axis].astype("<f4") for axis, name in enumerate("xyz")}
    if cloud.colors is not None:
        colors = np.round(255 * np.clip(cloud.colors, 0, 1)).astype("u1")
        columns |= {name: colors[:, axis] for axis, name in enumerate(("red", "green", "blue"))}
    if cloud.labels is not None:
        columns["label"] = cloud.labels.astype("<i4")
    for name, values in cloud.fields.items():
        columns.setdefault("_".join(name.split()), values.astype(_ply_type(values.dtype)))
    table = np.empty(len(cloud), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    properties = [f"property {TYPES[column.dtype.str[1:]]} {name}" for name, column in columns.items()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(cloud)}",
        *properties,
        "end_header",
    ]
    return "\n".join([*header, ""]).encode() + table.tobytes()


def _ply_type(dtype: np.dtype[Any]) -> str:
    """The type of a property. PLY has none for 64-bit integers, so they become real numbers."""
    known = {"f2": "<f4", "b1": "u1", "i8": "<f8", "u8": "<f8"}
    return known.get(dtype.str[1:], dtype.newbyteorder("<").str)
