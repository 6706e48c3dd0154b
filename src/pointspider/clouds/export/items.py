"""Which clouds and which levels are exported."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.corruptions.engine import full_names
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.readers.hdf5 import read_classes
from pointspider.clouds.readers.registry import FORMATS, count_clouds, find_format, load_cloud
from pointspider.core.errors import InputError
from pointspider.core.files import find_files
from pointspider.core.seeding import generator

#: Files of an input that are not clouds.
OTHERS = ("label.npy", "shape_names.txt", "manifest.json")
#: Points sampled on a mesh.
POOL = 2048


class Item(NamedTuple):
    """One cloud of the input.

    Attributes:
        key: its name; with the seed it determines every draw.
        path: its file.
        row: of a file with several clouds, else None.
        label: its class, or None if the input has no classes.
        format: of the file, as for `load_cloud`; by default its content decides.
    """

    key: str
    path: Path
    row: int | None
    label: int | None
    format: str | None = None


def list_items(source: Path, only: Iterable[str] = (), format: str | None = None) -> list[Item]:
    """List the clouds of a file or of all files below a directory; hidden files are skipped.

    Labels are those of an HDF5 file's `label`, of a label.npy beside an array, or the numbers of the sorted
    sub-folders.

    Args:
        source: the file or directory.
        only: names of clouds to select; empty: all.
        format: of all files, as for `load_cloud`; by default their content decides.

    Raises:
        InputError: there are no clouds, the format does not exist, or a name is not among them.
    """
    if not source.exists():
        raise InputError(f"{source}: does not exist.")
    if format is not None:
        FORMATS.find(format, "--format")
    root = source.parent if source.is_file() else source
    found = [source] if source.is_file() else list(find_files(source))
    names = {path: path.relative_to(root) for path in found if path.name not in OTHERS or len(found) == 1}
    folders = sorted({name.parts[0] for name in names.values() if len(name.parts) > 1})
    items: list[Item] = []
    for path, relative in names.items():
        name = relative.as_posix()
        label = folders.index(relative.parts[0]) if len(relative.parts) > 1 else None
        try:
            count = count_clouds(path, format)
        except InputError:
            if source.is_file():
                raise
            count = None  # the file is named when it is loaded
        if count is None:
            items.append(Item(name, path, None, label, format))
            continue
        labels = _row_labels(path, count)
        items += [
            Item(f"{name}/{row:04d}", path, row, label if labels is None else int(labels[row]), format)
            for row in range(count)
        ]
    if unknown := sorted(set(only) - {item.key for item in items}):
        raise InputError(
            f"{source}: has no cloud '{unknown[0]}'; the first is '{items[0].key if items else ''}'."
        )
    if not items:
        raise InputError(f"{source}: has no clouds.")
    return [item for item in items if not only or item.key in set(only)]


def _row_labels(path: Path, count: int) -> Int[np.ndarray, " n"] | None:
    if find_format(path) == "h5":
        return read_classes(path)
    beside = path.with_name("label.npy")
    if beside.is_file() and path.suffix == ".npy":
        labels = np.lib.format.open_memmap(beside, mode="r").ravel()
        if len(labels) != count:
            raise InputError(f"{beside}: has {len(labels)} labels, but {path.name} has {count} clouds.")
        return labels.astype(np.int64)
    return None


def select_levels(corruptions: str, severities: Iterable[int]) -> tuple[tuple[str, int], ...]:
    """Return the levels of names separated by commas; "all" and names of benchmarks are groups of names.

    Raises:
        InputError: a name or severity does not exist.
    """
    names: list[str] = []
    for name in corruptions.split(","):
        group = [known for known, each in CORRUPTIONS.items() if name in ("all", each.benchmark)]
        if name == "all":
            group = [known for known in group if CORRUPTIONS[known].benchmark != "points"]
        names += group or ["+".join(full_names(name))]
    chosen = list(dict.fromkeys((name, severity) for name in names for severity in severities))
    for name, severity in chosen:
        limit = min(len(CORRUPTIONS[part].constants) for part in name.split("+"))
        if severity not in range(1, limit + 1):
            raise InputError(f"{severity} is not a severity of '{name}'; choose from 1 to {limit}.")
    return tuple(chosen)


def load_item(item: Item, seed: int) -> tuple[Cloud, int]:
    """Load a cloud without its NaN and inf points, and their number; a mesh is sampled."""
    cloud = load_cloud(item.path, format=item.format, row=item.row)
    if cloud.mesh is not None:
        cloud = cloud.sample_mesh(POOL, generator(seed, item.key, "surface"))
    finite = np.isfinite(cloud.points).all(axis=1)
    return (cloud, 0) if finite.all() else (cloud.take(np.flatnonzero(finite)), int((~finite).sum()))
