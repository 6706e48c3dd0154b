"""Corrupted clouds with their attributes, and what the manifest says of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.corruptions.engine import BATCH, corrupt_equal
from pointspider.clouds.export.items import Item, load_item
from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.files import content_hash


@dataclass(frozen=True)
class Export:
    """What to write.

    Attributes:
        levels: (corruption, severity); corruptions joined by "+" are applied one after another.
        seed: of the random draws.
        points: points per cloud: "keep" what the corruption leaves | "same": as many as the input | a number.
        frame: see `corrupt`.
        layout: "folder": OUT/<corruption>_<severity>/<name of the input> | "modelnet40-c":
            data_<corruption>_<severity>.npy and label.npy | "pointcloud-c": <corruption>_<severity - 1>.h5.
        extension: of the files of layout "folder"; "": .npy, or .ply for clouds with attributes.
        format: of the input's files, as for `load_cloud`; None: their content decides.
    """

    levels: tuple[tuple[str, int], ...]
    seed: int = 0
    points: int | Literal["keep", "same"] = "keep"
    frame: Literal["normalize", "keep"] = "normalize"
    layout: Literal["folder", "modelnet40-c", "pointcloud-c"] = "folder"
    extension: str = ""
    format: str | None = None


@dataclass
class Result:
    """A corrupted cloud, or the reason why there is none."""

    key: str
    level: str
    cloud: Cloud | None = None
    reason: str = ""


@dataclass
class Record:
    """What manifest.json says of a cloud."""

    cloud: str
    sha256: str = ""
    points: int = 0
    dropped: int = 0
    label: int | None = None
    counts: dict[str, int] = field(default_factory=dict)


#: Of some items.
Corrupted = tuple[list[Record], list[Result]]


def corrupt_chunk(items: Sequence[Item], options: Export) -> Corrupted:
    """Load a few clouds and corrupt them at every level."""
    records, results, loaded = [], [], []
    for item in items:
        try:
            cloud, dropped = load_item(item, options.seed)
            record = Record(item.key, content_hash(cloud.points), len(cloud), dropped, item.label)
            loaded.append((item, cloud, cloud.normalize(item.key)))
        except InputError as error:
            record = Record(item.key, label=item.label)
            results.append(Result(item.key, "", reason=str(error)))
        records.append(record)
    for name, severity in options.levels:
        for count in sorted({len(cloud) for _, cloud, _ in loaded}):
            same = [entry for entry in loaded if len(entry[1]) == count]
            for start in range(0, len(same), BATCH):
                results += _corrupt_batch(same[start : start + BATCH], name, severity, options)
    counts = {(result.key, result.level): len(result.cloud) for result in results if result.cloud is not None}
    for record in records:
        record.counts = {level: count for (key, level), count in counts.items() if key == record.cloud}
    return records, results


def _corrupt_batch(
    entries: Sequence[tuple[Item, Cloud, Cloud]], name: str, severity: int, options: Export
) -> list[Result]:
    """Corrupt clouds of equally many points; one by one if that fails for one of them."""
    level = f"{name}_{severity}"
    count = len(entries[0][1]) if options.points == "same" else options.points
    try:
        traced = corrupt_equal(
            [clean for _, _, clean in entries],
            [] if name == ORIGINAL else name.split("+"),
            severity,
            options.seed,
            [item.key for item, _, _ in entries],
            count=None if count == "keep" else int(count),
            scales=options.frame == "normalize",
        )
    except InputError as error:
        if len(entries) == 1:
            return [Result(entries[0][0].key, level, reason=str(error))]
        return [result for entry in entries for result in _corrupt_batch([entry], name, severity, options)]
    return [
        Result(item.key, level, _finish(cloud, clean, points.T, origin, options.frame))
        for (item, cloud, clean), points, origin in zip(entries, *traced, strict=True)
    ]


def _finish(
    cloud: Cloud, clean: Cloud, points: Float[np.ndarray, "M 3"], origin: Int[np.ndarray, " M"], frame: str
) -> Cloud:
    """Return corrupted points with the attributes of their origins, in the chosen frame.

    Added points are grey, have label -1, no normal and fields of 0; where all are new, as those that a camera
    sees of a mesh, there are no attributes. Normals are transformed by the inverse transpose of
    the affine map that fits the moves of the points best.
    """
    kept = origin >= 0
    colors, labels, normals, fields = cloud.colors, cloud.labels, cloud.normals, cloud.fields
    if not kept.any():
        colors = labels = normals = None
        fields = {}
    if colors is not None:
        colors = np.where(kept[:, None], colors[origin], np.float32(0.5))
    if labels is not None:
        labels = np.where(kept, labels[origin], -1)
    if normals is not None:
        normals = np.where(kept[:, None], normals[origin] @ _normal_matrix(clean, points, origin), 0)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    fields = {name: np.where(kept, values[origin], values.dtype.type(0)) for name, values in fields.items()}
    if frame == "keep":
        original = cloud.points.astype(np.float64)
        centre = original.mean(axis=0)
        moved = points.astype(np.float64) * np.linalg.norm(original - centre, axis=1).max() + centre
        points = moved.astype(cloud.points.dtype)
    return Cloud(np.ascontiguousarray(points), None, colors, labels, normals, fields)


def _normal_matrix(
    clean: Cloud, points: Float[np.ndarray, "M 3"], origin: Int[np.ndarray, " M"]
) -> Float[np.ndarray, "3 3"]:
    """Return the matrix that rows of normals are multiplied by."""
    before, after = (
        clean.points[origin[origin >= 0]].astype(np.float64),
        points[origin >= 0].astype(np.float64),
    )
    if len(before) < 4:
        return np.eye(3)
    linear = np.linalg.lstsq(np.column_stack([before, np.ones(len(before))]), after, rcond=None)[0][:3]
    return np.linalg.pinv(linear).T
