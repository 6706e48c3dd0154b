"""Writing a cloud with its attributes: .npy (points only), .npz and binary .ply."""

from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.core.errors import InputError
from pointspider.core.files import atomic

EXTENSIONS = (".npy", ".npz", ".ply")


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
            np.savez(file, points=cloud.points, **present)
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
    table = np.empty(len(cloud), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    types = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int"}
    properties = [f"property {types[column.dtype.str[1:]]} {name}" for name, column in columns.items()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(cloud)}",
        *properties,
        "end_header",
    ]
    return "\n".join([*header, ""]).encode("ascii") + table.tobytes()
