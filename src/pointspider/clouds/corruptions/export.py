"""Corrupting files: a cloud, a directory of clouds or an array, in the layouts of the benchmarks."""

import logging
import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.corruptions.engine import BATCH, corrupt_equal, full_names
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.names import CLEAN, ORIGINAL
from pointspider.clouds.readers.hdf5 import read_classes
from pointspider.clouds.readers.registry import count_clouds, find_format, load_cloud
from pointspider.clouds.writers import write_cloud
from pointspider.core.errors import InputError
from pointspider.core.files import atomic, content_hash, find_files, read_json, write_json
from pointspider.core.seeding import generator

logger = logging.getLogger(__name__)

#: Files of an input that are not clouds.
OTHERS = ("label.npy", "shape_names.txt", "manifest.json")
#: Points sampled on a mesh.
POOL = 2048
#: Clouds that one process loads at a time.
CHUNK = 2 * BATCH


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
        format: extension of the files of layout "folder"; "": .npy, or .ply for clouds with attributes.
    """

    levels: tuple[tuple[str, int], ...]
    seed: int = 0
    points: int | Literal["keep", "same"] = "keep"
    frame: Literal["normalize", "keep"] = "normalize"
    layout: Literal["folder", "modelnet40-c", "pointcloud-c"] = "folder"
    format: str = ""


class Item(NamedTuple):
    """One cloud of the input.

    Attributes:
        key: its name; with the seed it determines every draw.
        path: its file.
        row: of a file with several clouds, else None.
        label: its class, or None if the input has no classes.
    """

    key: str
    path: Path
    row: int | None
    label: int | None


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


def list_items(source: Path, only: Iterable[str] = ()) -> list[Item]:
    """List the clouds of a file or of all files below a directory; hidden files are skipped.

    Labels are those of an HDF5 file's `label`, of a label.npy beside an array, or the numbers of the sorted
    sub-folders.

    Args:
        source: the file or directory.
        only: names of clouds to select; empty: all.

    Raises:
        InputError: there are no clouds, or a name is not among them.
    """
    if not source.exists():
        raise InputError(f"{source}: does not exist.")
    root = source.parent if source.is_file() else source
    found = [source] if source.is_file() else list(find_files(source))
    names = {path: path.relative_to(root) for path in found if path.name not in OTHERS or len(found) == 1}
    folders = sorted({name.parts[0] for name in names.values() if len(name.parts) > 1})
    items: list[Item] = []
    for path, relative in names.items():
        name = relative.as_posix()
        label = folders.index(relative.parts[0]) if len(relative.parts) > 1 else None
        try:
            count = count_clouds(path)
        except InputError:
            if source.is_file():
                raise
            count = None  # the file is named when it is loaded
        if count is None:
            items.append(Item(name, path, None, label))
            continue
        labels = _row_labels(path, count)
        items += [
            Item(f"{name}/{row:04d}", path, row, label if labels is None else int(labels[row]))
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


def export(
    source: Path,
    target: Path,
    options: Export,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    processes: int = 1,
) -> int:
    """Corrupt the clouds of `source` and write them below `target`, with a manifest.json.

    In layout "folder", files of an earlier run with the same options are kept, and clouds that cannot be read
    or of which a corruption leaves nothing are skipped and named in the manifest.

    Args:
        source: a file or directory, see `list_items`.
        target: a directory; or, for one cloud at one level, a file.
        options: what to write.
        only: names of clouds to select; empty: all.
        force: write files that exist.
        processes: that corrupt clouds at the same time.

    Returns:
        The number of clouds that were skipped.

    Raises:
        InputError: bad input or options, or `target` cannot be written.
    """
    items = list_items(source, only)
    if options.layout != "folder":
        options = replace(options, levels=((CLEAN.corruption, CLEAN.severity), *options.levels))
    if target.suffix and not target.is_dir():
        return _export_one(items, target, options, force)
    _check_target(source, target, options, force)
    results = _corrupt_all(items, options, processes)
    write = _write_folder if options.layout == "folder" else _write_arrays
    records, problems = write(items, target, options, force, results)
    names = [part for name, _ in options.levels for part in name.split("+") if name != ORIGINAL]
    parts = {name: CORRUPTIONS[name] for name in names}
    write_json(
        target / "manifest.json",
        {
            "pointspider": version("pointspider"),
            "options": _summary(options),
            "corruptions": {
                name: {"benchmark": each.benchmark, "source": each.source, "constants": list(each.constants)}
                for name, each in parts.items()
            },
            "clouds": [asdict(record) for record in records],
            "skipped": problems,
        },
    )
    return len(problems)


def _summary(options: Export) -> dict[str, Any]:
    return asdict(options) | {"levels": [list(level) for level in options.levels]}


def _check_target(source: Path, target: Path, options: Export, force: bool) -> None:
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{target}: is inside {source}; choose another directory.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with atomic(target / "manifest.check"):
            pass
        (target / "manifest.check").unlink()
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}).") from error
    manifest = target / "manifest.json"
    if manifest.exists() and not force and read_json(manifest).get("options") != _summary(options):
        raise InputError(f"{target}: has clouds of other options; choose another directory or give --force.")


def _export_one(items: list[Item], target: Path, options: Export, force: bool) -> int:
    if len(items) != 1 or len(options.levels) != 1:
        raise InputError(
            f"{target}: is a file, for one cloud at one severity; give a directory for {len(items)} clouds "
            f"at {len(options.levels)} levels."
        )
    if target.exists() and not force:
        raise InputError(f"{target}: exists; choose another name or give --force.")
    (result,) = _corrupt_chunk(items, options)[1]
    if result.cloud is None:
        raise InputError(f"{items[0].path}: {result.reason}")
    try:
        write_cloud(target, result.cloud)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}).") from error
    return 0


def _corrupt_all(items: list[Item], options: Export, processes: int) -> Iterator[Corrupted]:
    """Yield records and results of the items, chunk by chunk, in order."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    if processes < 2 or len(chunks) < 2:
        yield from (_corrupt_chunk(chunk, options) for chunk in chunks)
        return
    with ProcessPoolExecutor(min(processes, len(chunks)), multiprocessing.get_context("spawn")) as pool:
        pending: deque[Future[Corrupted]] = deque()
        for chunk in chunks:
            pending.append(pool.submit(_corrupt_chunk, chunk, options))
            if len(pending) > 2 * processes:  # so that results never pile up in memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _corrupt_chunk(items: Sequence[Item], options: Export) -> Corrupted:
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


def load_item(item: Item, seed: int) -> tuple[Cloud, int]:
    """Load a cloud without its NaN and inf points, and their number; a mesh is sampled."""
    cloud = load_cloud(item.path, row=item.row)
    if cloud.mesh is not None:
        cloud = Cloud(cloud.mesh.sample(POOL, generator(seed, item.key, "surface")), cloud.mesh)
    finite = np.isfinite(cloud.points).all(axis=1)
    return (cloud, 0) if finite.all() else (cloud.take(np.flatnonzero(finite)), int((~finite).sum()))


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

    Added points are grey, have label -1 and no normal. Normals are transformed by the inverse transpose of
    the affine map that fits the moves of the points best.
    """
    kept = origin >= 0
    colors, labels, normals = cloud.colors, cloud.labels, cloud.normals
    if colors is not None:
        colors = np.where(kept[:, None], colors[origin], np.float32(0.5))
    if labels is not None:
        labels = np.where(kept, labels[origin], -1)
    if normals is not None:
        normals = np.where(kept[:, None], normals[origin] @ _normal_matrix(clean, points, origin), 0)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    if frame == "keep":
        original = cloud.points.astype(np.float64)
        centre = original.mean(axis=0)
        moved = points.astype(np.float64) * np.linalg.norm(original - centre, axis=1).max() + centre
        points = moved.astype(cloud.points.dtype)
    return Cloud(np.ascontiguousarray(points), None, colors, labels, normals)


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


def _write_folder(
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
            suffix = options.format or (".npy" if all(values is None for values in attributes) else ".ply")
            stem = Path(result.key).with_suffix("")
            path = target / result.level / (f"{stem if stems[stem] == 1 else result.key}{suffix}")
            if force or not path.exists():
                write_cloud(path, result.cloud)
    return records, problems


def _write_arrays(
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
