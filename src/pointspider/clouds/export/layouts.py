"""The layouts of the output: folders, or the arrays of a benchmark."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

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
            suffix = options.extension or (".ply" if result.cloud.has_attributes else ".npy")
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
    arrays: dict[str, _NpyFile | _Hdf5File] = {}
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
                arrays[level].append(np.stack(points))
        labels = np.array([item.label for item in items])[:, None]
        _write_labels(arrays.values(), target, labels, options)
    return records, []


class _NpyFile:
    """An array in a .npy file that is written piece by piece: mapped, it would count as memory in use."""

    def __init__(self, path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
        self.shape, self._dtype = shape, np.dtype(dtype)
        self.file = path.open("wb")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, rows: Float[np.ndarray, "n M 3"]) -> None:
        self.file.write(np.ascontiguousarray(rows, self._dtype).tobytes())


class _Hdf5File:
    """An array `data` in an HDF5 file that is written piece by piece."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        import h5py

        self.shape, self._at = shape, 0
        self.file = h5py.File(path, "w")
        self._data = self.file.create_dataset("data", shape, np.float32)

    def append(self, rows: Float[np.ndarray, "n M 3"]) -> None:
        self._data[self._at : self._at + len(rows)] = rows
        self._at += len(rows)


def _open_array(
    stack: ExitStack, target: Path, level: str, shape: tuple[int, ...], options: Export
) -> _NpyFile | _Hdf5File:
    """Create the file of a level."""
    name, _, severity = level.rpartition("_")
    short = name.rpartition("/")[2]
    array: _NpyFile | _Hdf5File
    if options.layout == "modelnet40-c":
        # The release stores distortion in double precision and everything else in single.
        dtype = np.float64 if short == "distortion" else np.float32
        stem = "data_original" if name == ORIGINAL else f"data_{short}_{severity}"
        array = _NpyFile(stack.enter_context(atomic(target / f"{stem}.npy")), dtype, shape)
    else:
        stem = "clean" if name == ORIGINAL else f"{short}_{int(severity) - 1}"
        array = _Hdf5File(stack.enter_context(atomic(target / f"{stem}.h5")), shape)
    stack.enter_context(array.file)
    return array


def _write_labels(
    arrays: Iterable[_NpyFile | _Hdf5File], target: Path, labels: Int[np.ndarray, "n 1"], options: Export
) -> None:
    if options.layout == "modelnet40-c":
        with atomic(target / "label.npy") as temporary, temporary.open("wb") as file:
            np.save(file, labels.astype(np.uint8 if labels.max() < 256 else np.int64))
        return
    for array in arrays:
        if isinstance(array, _Hdf5File):
            array.file.create_dataset("label", data=labels.astype(np.int64))
