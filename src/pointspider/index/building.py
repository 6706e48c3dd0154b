"""Add clouds and rows to the store of an index. All of this runs under `pointspider.index.store.writing`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.vectors import unit_rows
from pointspider.index import approximate
from pointspider.index.calibrate import FEWEST_OBJECTS, calibrate_by_corruption
from pointspider.index.clouds import CloudFile, file_state, list_clouds, read_item
from pointspider.index.models import Models
from pointspider.index.results import Report
from pointspider.index.store import Item, Store, encode, keys

#: Clouds that are read, embedded and committed together: what a kill loses at most.
BATCH = 512
#: Commits between merges of small segments.
MERGE_EVERY = 32


def reopen(directory: str | Path) -> Store:
    """Read what another process may have written, and remove what an interrupted one left."""
    store = Store(directory)
    store.clean()
    drop_superseded(store)
    return store


def drop_superseded(store: Store) -> None:
    """Of rows with the same id, keep the last."""
    ids = keys(store.column("id").tolist())
    last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
    superseded = np.ones(len(ids), dtype=bool)
    superseded[last] = False
    store.drop(superseded)


def drop_missing(store: Store) -> None:
    """Remove the clouds whose files no longer exist."""
    paths = store.column("path").tolist()
    missing = {path for path in set(paths) if not Path(path.decode(errors="surrogateescape")).exists()}
    store.drop(np.array([path in missing for path in paths], dtype=bool))


def add_clouds(store: Store, models: Models, clouds: Iterable[str | Path]) -> Report:
    """Embed and commit the clouds that are new or changed, a batch at a time."""
    report = Report()
    todo = list(_changed(store, list_clouds(clouds), report))
    commits = 0
    with tqdm(total=len(todo), desc="index", unit="cloud", disable=None) as bar:
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            if _add_batch(store, models, batch, report):
                commits += 1
            if commits % MERGE_EVERY == MERGE_EVERY - 1:
                store.merge()
            bar.update(len(batch))
    return report


def _changed(store: Store, files: list[CloudFile], report: Report) -> Iterator[tuple[CloudFile, bool]]:
    """Yield the files to embed, and whether the index has them with other content."""
    sizes, times = store.column("size"), store.column("mtime_ns")
    hashes, paths, members = (store.column(name) for name in ("file_hash", "path", "member"))
    places = keys(
        [path + b"\0" + member for path, member in zip(paths.tolist(), members.tolist(), strict=True)]
    )
    rows = dict(zip(places.tolist(), range(len(places)), strict=True))
    ids = set(keys(store.column("id").tolist()).tolist())
    for file, place, name in zip(
        files,
        keys([f.key for f in files]),
        keys([f.id.encode(errors="surrogateescape") for f in files]),
        strict=True,
    ):
        row = rows.get(int(place))
        if row is None:
            if int(name) in ids:
                raise InputError(
                    f"{file.path}: the index has the id '{file.id}' for another file; rename a folder."
                )
            yield file, False
            continue
        state = file.path.stat()
        if [state.st_size, state.st_mtime_ns] == [int(sizes[row]), int(times[row])] or (
            file_state(file.path)["file_hash"].encode() == hashes[row]
        ):
            report.unchanged += 1
        else:
            yield file, True


def _add_batch(store: Store, models: Models, batch: list[tuple[CloudFile, bool]], report: Report) -> bool:
    """Read, embed and commit clouds; True if there were usable ones."""
    clouds, items, updates = [], [], 0
    for file, update in batch:
        try:
            cloud, item = read_item(file, models.description.points)
        except (InputError, OSError) as error:
            report.skipped.append((str(file.path), str(error)))
            continue
        clouds.append(cloud)
        items.append(item)
        updates += update
    if not clouds:
        return False
    store.append(models.embed_clouds(np.stack(clouds)), encode(items))
    report.updated += updates
    report.added += len(items) - updates
    return True


def add_rows(store: Store, batches: Iterable[tuple[Float[np.ndarray, "n D"], Sequence[Item]]]) -> Report:
    """Commit embeddings that were computed elsewhere; see `pointspider.index.index.Index.add_rows`."""
    report = Report()
    vectors: list[np.ndarray] = []  # of the next segment, and their items
    pending: list[Item] = []

    def commit() -> None:
        if pending:
            store.append(np.concatenate(vectors), encode(pending))
            vectors.clear()
            pending.clear()

    known = dict(zip(store.column("id").tolist(), store.column("points_hash").tolist(), strict=True))
    seen: set[str] = set()
    for embeddings, items in batches:
        if embeddings.ndim != 2 or embeddings.shape != (len(items), store.width):
            raise InputError(
                f"{store.directory}: rows must have the shape ({len(items)}, {store.width}), "
                f"not {embeddings.shape}; embed them with the models of the index."
            )
        chosen = []
        for row, item in enumerate(items):
            if item["id"] in seen:
                raise InputError(f"{store.directory}: the id '{item['id']}' occurs twice.")
            seen.add(item["id"])
            old = known.get(item["id"].encode(errors="surrogateescape"))
            if old is not None and old == str(item.get("points_hash", "")).encode():
                report.unchanged += 1
                continue
            report.updated += old is not None
            report.added += old is None
            chosen.append(row)
        if chosen:
            vectors.append(unit_rows(embeddings[chosen], str(store.directory)))
            pending += [items[row] for row in chosen]
        if len(pending) >= BATCH:
            commit()
    commit()
    return report


def finish(store: Store, models: Models, calibrate: bool) -> None:
    """Drop what was replaced, merge segments, and renew the calibration and the approximate index if due."""
    drop_superseded(store)
    store.merge()
    known = (store.calibration or {}).get("rows", 0)
    if calibrate and len(store) >= max(FEWEST_OBJECTS, 2 * known):
        store.set_calibration(calibrate_by_corruption(store, models))
    if len(store) >= approximate.LEAST_ROWS and approximate.is_installed():
        found = approximate.Approximate.open(store)
        if found is None or found.facts.rows < 0.9 * len(store):
            with tqdm(total=len(store), desc="approximate index", unit="cloud", disable=None) as bar:
                approximate.Approximate.build(store, bar.update)
