"""The layouts of the output: folders, or the arrays of a benchmark."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from pointspider.clouds.export.clouds import Corrupted, Export, Record
from pointspider.clouds.export.items import Item
from pointspider.clouds.names import ORIGINAL
from pointspider.clouds.writers import write_cloud
from pointspider.core.errors import InputError
from pointspider.core.files import atomic


def write_folder(
    items: list[Item],
    target: Path,
    options: Export,
    force: bool,
    results: Iterable[Corrupted],
) -> tuple[list[Record], list[dict[str, str]]]:
    stems = Counter(Path(item.key).with_suffix("") for item in items)
    records, problems = [], []
    for chunk, corrupted in results:
        records += chunk
        for result in corrupted:
            if result.cloud is None:
                problems.append({"cloud": result.key, "level": result.level, "reason": result.reason})
                continue
            attributes = (result.cloud.colors, result.cloud.labels, result.cloud.normals)
            suffix = options.extension or (".npy" if all(values is None for values in attributes) else ".ply")
            stem = Path(result.key).with_suffix("")
            path = target / result.level / (f"{stem if stems[stem] == 1 else result.key}{suffix}")
            if force or not path.exists():
                write_cloud(path, result.cloud)
    return records, problems


def write_arrays(
    items: list[Item],
    target: Path,
    options: Export,
    force: bool,
    results: Iterable[Corrupted],
) -> tuple[list[Record], list[dict[str, str]]]:
    """Write one array per level, in the order of the items."""
    if any(item.label is None for item in items):
        raise InputError(f"layout {options.layout} needs labels: sub-folders, or a file with labels.")
    records: list[Record] = []
    arrays: dict[str, Any] = {}
    at = 0
    with ExitStack() as stack:
        for chunk, corrupted in results:
            records += [replace(record, counts={}) for record in chunk]  # the arrays have one number each
            for level in dict.fromkeys(result.level for result in corrupted):
                same = {result.key: result for result in corrupted if result.level == level}
                clouds = [same[record.cloud].cloud for record in chunk if record.cloud in same]
                bad = next((result for result in same.values() if result.cloud is None), None)
                if bad is not None:
                    raise InputError(f"{bad.key}: {bad.reason}")
                points = [cloud.points for cloud in clouds if cloud is not None]
                if len({len(each) for each in points}) > 1 or (
                    level in arrays and arrays[level].shape[1] != len(points[0])
                ):
                    raise InputError(
                        f"{level}: clouds differ in their number of points; give one with --points."
                    )
                if level not in arrays:
                    arrays[level] = _open_array(stack, target, level, (len(items), *points[0].shape), options)
                arrays[level][at : at + len(points)] = np.stack(points)
            at += len(chunk)
        labels = np.array([item.label for item in items])[:, None]
        _write_labels(arrays, target, labels, options)
    return records, []


def _open_array(stack: ExitStack, target: Path, level: str, shape: tuple[int, ...], options: Export) -> Any:
    """Create the file of a level; returns something with a shape that slices are assigned to."""
    name, _, severity = level.rpartition("_")
    short = name.rpartition("/")[2]
    if options.layout == "modelnet40-c":
        # The release stores distortion in double precision and everything else in single.
        dtype = np.float64 if short == "distortion" else np.float32
        stem = "data_original" if name == ORIGINAL else f"data_{short}_{severity}"
        path = stack.enter_context(atomic(target / f"{stem}.npy"))
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    import h5py

    stem = "clean" if name == ORIGINAL else f"{short}_{int(severity) - 1}"
    file = stack.enter_context(h5py.File(stack.enter_context(atomic(target / f"{stem}.h5")), "w"))
    return file.create_dataset("data", shape, np.float32)


def _write_labels(
    arrays: dict[str, Any], target: Path, labels: Int[np.ndarray, "n 1"], options: Export
) -> None:
    if options.layout == "modelnet40-c":
        for array in arrays.values():
            array.flush()
        with atomic(target / "label.npy") as temporary, temporary.open("wb") as file:
            np.save(file, labels.astype(np.uint8 if labels.max() < 256 else np.int64))
    else:
        for array in arrays.values():
            array.file.create_dataset("label", data=labels.astype(np.int64))
