"""Exporting: checks, processes, and the manifest."""

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pointspider.clouds.corruptions.engine import BATCH
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.export.clouds import Corrupted, Export, corrupt_chunk
from pointspider.clouds.export.items import Item, list_items
from pointspider.clouds.export.layouts import write_arrays, write_folder
from pointspider.clouds.names import CLEAN, ORIGINAL
from pointspider.clouds.writers import write_cloud
from pointspider.core.errors import InputError
from pointspider.core.files import atomic, read_json, write_json

#: Clouds that one process loads at a time.
CHUNK = 2 * BATCH


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
    items = list_items(source, only, options.format)
    if options.layout != "folder":
        options = replace(options, levels=((CLEAN.corruption, CLEAN.severity), *options.levels))
    if target.suffix and not target.is_dir():
        return _export_one(items, target, options, force)
    _check_target(source, target, options, force)
    results = _corrupt_all(items, options, processes)
    write = write_folder if options.layout == "folder" else write_arrays
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
    (result,) = corrupt_chunk(items, options)[1]
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
        yield from (corrupt_chunk(chunk, options) for chunk in chunks)
        return
    with ProcessPoolExecutor(min(processes, len(chunks)), multiprocessing.get_context("spawn")) as pool:
        pending: deque[Future[Corrupted]] = deque()
        for chunk in chunks:
            pending.append(pool.submit(corrupt_chunk, chunk, options))
            if len(pending) > 2 * processes:  # so that results never pile up in memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
