"""An index of clouds: build it, add to it, search it by cloud, picture and words, and find duplicates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.vectors import nearest_units, unit_rows
from pointspider.index import approximate
from pointspider.index.calibrate import FEWEST_OBJECTS, calibrate_threshold, corrupted_versions
from pointspider.index.clouds import (
    CloudFile,
    file_state,
    list_clouds,
    load_points,
    prepare,
    read_item,
    require_paths,
)
from pointspider.index.duplicates import (
    MOMENTS_TOLERANCE,
    Group,
    complete_groups,
    component_groups,
    exact_groups,
    near_pairs,
    pair_groups,
)
from pointspider.index.models import Description, Models
from pointspider.index.store import TEXT, Item, Store, encode, keys, writing

#: Clouds that are read, embedded and committed together: what a kill loses at most.
BATCH = 512
#: Commits between merges of small segments.
MERGE_EVERY = 32
#: Objects that the calibration corrupts.
CALIBRATION_OBJECTS = 200
#: Most similar rows among which the most similar other object is looked for; the others are copies.
OTHERS = 16
#: Bytes of similarities that are in memory at a time, divided by 4.
SIMILARITIES = 2**24
#: Names of picture files, for queries.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Text(str):
    """Words to search for, where a plain string is a path."""


#: A cloud file, a picture file, words, or a row of the index's width.
Query = str | Path | Text | np.ndarray


@dataclass
class Report:
    """Result of adding clouds.

    Attributes:
        added, updated, unchanged: numbers of clouds.
        skipped: paths that could not be used, and why.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = (f"{getattr(self, name)} {name}" for name in ("added", "updated", "unchanged"))
        return f"{', '.join(counts)}, {len(self.skipped)} skipped"


@dataclass(frozen=True)
class Hit:
    """A cloud that a search found.

    Attributes:
        rank: from 1.
        similarity: cosine.
        row: in the index.
        item: its fields, see `pointspider.index.store`.
    """

    rank: int
    similarity: float
    row: int
    item: Item

    @property
    def id(self) -> str:
        """Unique name in the index."""
        return str(self.item["id"])

    @property
    def stale(self) -> bool:
        """True if the file was changed or removed since it was indexed."""
        if not self.item["size"]:
            return False
        try:
            state = Path(self.item["path"]).stat()
        except OSError:
            return True
        return (state.st_size, state.st_mtime_ns) != (self.item["size"], self.item["mtime_ns"])


@dataclass(frozen=True)
class Result:
    """The answer to one query.

    Attributes:
        query: its name.
        hits: the most similar first.
    """

    query: str
    hits: list[Hit]


@dataclass(frozen=True)
class Duplicates:
    """Groups of duplicates.

    Attributes:
        groups: with rows of the index.
        threshold: of the pairs; None for exact duplicates.
        calibration: that the threshold comes from, or None.
    """

    groups: list[Group]
    threshold: float | None
    calibration: Mapping[str, Any] | None

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


class Index:
    """An index in a directory. See `pointspider.index.store` for the files.

        index = Index.build("chairs.index", ["clouds/"], Models.of("pointnet", "pointnet.safetensors"))
        for result in index.search(["chair.npy"]):
            for hit in result.hits:
                print(hit.similarity, hit.id)

    Attributes:
        store: rows and items.
        models: that computed the rows; loaded when they are first needed.
    """

    def __init__(self, store: Store, models: Models | None = None):
        self.store = store
        self.models = models or Models(Description.from_json(store.models))

    @classmethod
    def open(cls, directory: str | Path, models: Models | None = None) -> "Index":
        """Open an index to read it. Maps the rows, and loads no model.

        Args:
            directory: of the index.
            models: to use in place of the paths in the index, for example after they were moved.

        Raises:
            InputError: the directory is not an index, a file is damaged, or the models are others than the
                index was built with.
        """
        store = Store(directory)
        if models:
            Description.from_json(store.models).require_equal(models.description, str(directory))
        return cls(store, models)

    @classmethod
    def build(
        cls,
        directory: str | Path,
        clouds: Iterable[str | Path],
        models: Models | None = None,
        calibrate: bool = True,
    ) -> "Index":
        """Build an index of cloud files, or add them to an existing one. Continues where it was interrupted.

        Args:
            directory: of the index.
            clouds: files and folders.
            models: needed to create an index.
            calibrate: find the threshold for near duplicates, by embedding corrupted versions of some clouds.

        Raises:
            InputError: what `open` and `add` raise; another process writes the index.
        """
        paths = [Path(path) for path in clouds]
        require_paths(paths)
        index = cls.create(directory, models)
        index.add(paths, calibrate=calibrate)
        return index

    @classmethod
    def create(cls, directory: str | Path, models: Models | None = None) -> "Index":
        """Open an index, or create an empty one in a new directory.

        Raises:
            InputError: there is no index and no models are given; what `open` raises.
        """
        if (Path(directory) / "index.json").is_file():
            return cls.open(directory, models)
        if models is None:
            raise InputError(f"{directory}: is not an index yet; give the models to build one.")
        with writing(directory):
            store = Store.create(directory, models.width, models.description.to_json())
        return cls(store, models)

    def __len__(self) -> int:
        return len(self.store)

    # -------------------------------------------------------------------------------------- adding

    def add(self, clouds: Iterable[str | Path], *, calibrate: bool = True, prune: bool = False) -> Report:
        """Add cloud files. Files that have not changed are not embedded again.

        Args:
            clouds: files and folders. Damaged and unusable files are skipped and reported.
            calibrate: see `build`.
            prune: remove the clouds of the index whose files no longer exist.

        Raises:
            InputError: another process writes the index; two clouds have the same id; a path does not exist.
        """
        with writing(self.store.directory):
            self._refresh()
            report = Report()
            files = list_clouds(clouds)
            todo = list(self._changed(files, report))
            commits = 0
            with tqdm(total=len(todo), desc="index", unit="cloud", disable=None) as bar:
                for start in range(0, len(todo), BATCH):
                    batch = todo[start : start + BATCH]
                    if self._add_batch(batch, report):
                        commits += 1
                    if commits % MERGE_EVERY == MERGE_EVERY - 1:
                        self.store.merge()
                    bar.update(len(batch))
            if prune:
                paths = self.store.column("path").tolist()
                missing = {
                    path for path in set(paths) if not Path(path.decode(errors="surrogateescape")).exists()
                }
                self.store.drop(np.array([path in missing for path in paths], dtype=bool))
            self._finish(calibrate)
        return report

    def add_rows(self, batches: Iterable[tuple[Float[np.ndarray, "n D"], Sequence[Item]]]) -> Report:
        """Add embeddings that were computed elsewhere by the models of the index.

        Args:
            batches: embeddings in the space of the index, and their items; `id` is needed. A row whose id and
                `points_hash` are in the index is skipped, one with another hash replaces it.

        Raises:
            InputError: another process writes the index; an id occurs twice; an embedding has another width
                or no direction.
        """
        with writing(self.store.directory):
            self._refresh()
            report = Report()
            known = dict(
                zip(self.store.column("id").tolist(), self.store.column("points_hash").tolist(), strict=True)
            )
            seen: set[str] = set()
            for embeddings, items in batches:
                if embeddings.ndim != 2 or embeddings.shape != (len(items), self.store.width):
                    raise InputError(
                        f"{self.store.directory}: rows must have the shape ({len(items)}, "
                        f"{self.store.width}), "
                        f"not {embeddings.shape}; embed them with the models of the index."
                    )
                chosen = []
                for row, item in enumerate(items):
                    if item["id"] in seen:
                        raise InputError(f"{self.store.directory}: the id '{item['id']}' occurs twice.")
                    seen.add(item["id"])
                    old = known.get(item["id"].encode(errors="surrogateescape"))
                    if old is not None and old == str(item.get("points_hash", "")).encode():
                        report.unchanged += 1
                        continue
                    report.updated += old is not None
                    report.added += old is None
                    chosen.append(row)
                if chosen:
                    rows = unit_rows(embeddings[chosen], str(self.store.directory))
                    self.store.append(rows, encode([items[row] for row in chosen]))
            self._finish(False)
        return report

    def _refresh(self) -> None:
        """Read what another process may have written, and remove what an interrupted one left."""
        self.store = Store(self.store.directory)
        self.__dict__.pop("_approximate", None)
        self.store.clean()
        self._drop_superseded()

    def _drop_superseded(self) -> None:
        """Of rows with the same id, keep the last."""
        ids = keys(self.store.column("id").tolist())
        last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
        superseded = np.ones(len(ids), dtype=bool)
        superseded[last] = False
        self.store.drop(superseded)

    def _changed(self, files: list[CloudFile], report: Report) -> Iterator[tuple[CloudFile, bool]]:
        """Yield the files to embed, and whether the index has them with other content."""
        sizes, times = self.store.column("size"), self.store.column("mtime_ns")
        hashes, paths, members = (self.store.column(name) for name in ("file_hash", "path", "member"))
        places = keys(
            [path + b"\0" + member for path, member in zip(paths.tolist(), members.tolist(), strict=True)]
        )
        rows = dict(zip(places.tolist(), range(len(places)), strict=True))
        ids = set(keys(self.store.column("id").tolist()).tolist())
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

    def _add_batch(self, batch: list[tuple[CloudFile, bool]], report: Report) -> bool:
        """Read, embed and commit clouds; True if there were usable ones."""
        clouds, items, updates = [], [], 0
        for file, update in batch:
            try:
                cloud, item = read_item(file, self.models.description.points)
            except (InputError, OSError) as error:
                report.skipped.append((str(file.path), str(error)))
                continue
            clouds.append(cloud)
            items.append(item)
            updates += update
        if not clouds:
            return False
        self.store.append(self.models.embed_clouds(np.stack(clouds)), encode(items))
        report.updated += updates
        report.added += len(items) - updates
        return True

    def _finish(self, calibrate: bool) -> None:
        self._drop_superseded()
        self.store.merge()
        known = (self.store.calibration or {}).get("rows", 0)
        if calibrate and len(self) >= max(FEWEST_OBJECTS, 2 * known):
            self.store.set_calibration(self._calibrate_by_corruption())
        if len(self) >= approximate.LEAST_ROWS and approximate.is_installed():
            found = approximate.Approximate.open(self.store)
            if found is None or found.facts.rows < 0.9 * len(self):
                with tqdm(total=len(self), desc="approximate index", unit="cloud", disable=None) as bar:
                    approximate.Approximate.build(self.store, bar.update)

    # --------------------------------------------------------------------------------- calibration

    def _calibrate_by_corruption(self) -> dict[str, Any] | None:
        """Calibrate the threshold on corrupted versions of some clouds; None if there are too few."""
        from pointspider.core.seeding import generator

        rng = generator(0, "calibration", len(self))
        chosen = np.sort(rng.choice(len(self), min(CALIBRATION_OBJECTS, len(self)), replace=False))
        points = self.models.description.points
        objects, severities, clouds = [], [], []
        for position, row in enumerate(tqdm(chosen, "calibrate", unit="cloud", disable=None, leave=False)):
            item = self.store.item(int(row))
            try:
                values = prepare(load_points(item["path"], item["member"]), points, item["path"])
                versions = list(corrupted_versions(values, item["id"]))
            except (InputError, OSError):
                continue
            for severity, version in versions:
                objects.append(position)
                severities.append(severity)
                clouds.append(prepare(version, points, item["path"]))
        if not clouds:
            return None
        embedded = np.concatenate(
            [self.models.embed_clouds(np.stack(clouds[i : i + BATCH])) for i in range(0, len(clouds), BATCH)]
        )
        own = self.store.vectors(chosen[objects])
        return self._calibration(chosen, np.einsum("ij,ij->i", embedded, own), np.array(severities))

    def calibrate_by_versions(self) -> None:
        """Calibrate the threshold on the corrupted versions that the index itself contains.

        Items need `object` and `severity`; a severity of 0 is the clean cloud.
        """
        classes, objects, severities = (self.store.column(name) for name in ("class", "object", "severity"))
        names = [b"/".join(pair) for pair in zip(classes.tolist(), objects.tolist(), strict=True)]
        clean = {name: row for row, name in enumerate(names) if severities[row] == b"0"}
        versions = np.array(
            [row for row, name in enumerate(names) if severities[row] != b"0" and name in clean]
        )
        own = np.array([clean[names[row]] for row in versions], dtype=np.int64)
        similarities = np.concatenate(
            [
                np.einsum(
                    "ij,ij->i",
                    self.store.vectors(versions[i : i + 4096]),
                    self.store.vectors(own[i : i + 4096]),
                )
                for i in range(0, len(versions), 4096)
            ]
        )
        labels = np.array([severities[row].decode() for row in versions])
        chosen = np.array(sorted(clean.values()), dtype=np.int64)
        with writing(self.store.directory):
            self.store.set_calibration(self._calibration(chosen, similarities, labels, severities == b"0"))

    def _calibration(
        self,
        objects: Int64[np.ndarray, " objects"],
        similarities: Float[np.ndarray, " versions"],
        severities: np.ndarray,
        where: Bool[np.ndarray, " rows"] | None = None,
    ) -> dict[str, Any] | None:
        others = self._similarity_to_others(objects, where)
        versions = {severity: similarities[severities == severity] for severity in np.unique(severities)}
        try:
            return {
                **calibrate_threshold(others, {str(k): v for k, v in versions.items()}),
                "rows": len(self),
            }
        except InputError:
            return None

    def _similarity_to_others(
        self, rows: Int64[np.ndarray, " n"], where: Bool[np.ndarray, " rows"] | None
    ) -> Float32[np.ndarray, " found"]:
        """Similarity of rows to the most similar row that is no copy of them."""
        k = min(OTHERS, len(self) if where is None else int(where.sum()))
        found, similarities = nearest_units(
            self.store.vectors(rows), self.store.blocks, k, max(1, SIMILARITIES // max(len(rows), 1)), where
        )
        moments, points = self.store.column("moments"), self.store.column("points")
        copy = (np.abs(moments[found] - moments[rows][:, None]) <= MOMENTS_TOLERANCE).all(axis=2)
        copy &= (points[found] == points[rows][:, None]) & (points[rows] > 0)[:, None]
        copy |= found == rows[:, None]
        best = np.where(copy, -np.inf, similarities).max(axis=1)
        kept: np.ndarray = best[np.isfinite(best)]
        return kept

    # ------------------------------------------------------------------------------------- search

    def search(
        self,
        queries: Sequence[Query],
        *,
        minus: Sequence[Query] = (),
        weight: float = 0.5,
        together: bool = False,
        where: Mapping[str, Sequence[str]] | None = None,
        top: int = 5,
        min_similarity: float | None = None,
    ) -> list[Result]:
        """Find the most similar clouds.

        Args:
            queries: cloud files, picture files, `Text`, or rows.
            minus: what the clouds should not resemble: their mean direction is subtracted.
            weight: of what is subtracted.
            together: one query of the mean direction, instead of one result for each.
            where: fields of the items and the values to accept, such as {"class": ["chair"]}.
            top: number of clouds; fewer if fewer match.
            min_similarity: leave out less similar clouds.

        Raises:
            InputError: a query cannot be read or compared with the index, the index is empty, no cloud
                matches `where`, or `top` is below 1.
        """
        if not len(self):
            raise InputError(f"{self.store.directory}: has no clouds; add some with `pointspider index`.")
        if top < 1:
            raise InputError(f"top: {top} clouds cannot be found; give 1 or more.")
        if not queries:
            raise InputError("search: give a cloud, a picture or a text.")
        words = any(isinstance(query, Text) for query in (*queries, *minus))
        vectors = self.embed([*queries, *minus], words)
        wanted, unwanted = vectors[: len(queries)], vectors[len(queries) :]
        names = [query_name(query) for query in queries]
        if together:
            wanted, names = wanted.mean(axis=0, keepdims=True), [" + ".join(names)]
        if len(unwanted):
            wanted = wanted - weight * unwanted.mean(axis=0)
        mask = self.matching(where) if where else None
        rows, similarities = self.nearest(unit_rows(wanted, "query"), top, mask, words)
        return [
            Result(
                name,
                [
                    Hit(rank, float(similarity), int(row), self.store.item(int(row)))
                    for rank, (row, similarity) in enumerate(zip(found, values, strict=True), 1)
                    if min_similarity is None or similarity >= min_similarity
                ],
            )
            for name, found, values in zip(names, rows, similarities, strict=True)
        ]

    def embed(self, queries: Sequence[Query], words: bool = False) -> Float32[np.ndarray, "n D"]:
        """Embed queries as unit rows of the space of the index; with `words`, of CLIP's projected space."""
        rows = []
        for query in queries:
            if isinstance(query, Text):
                rows.append(self.models.embed_texts([query])[0])
                continue
            if isinstance(query, np.ndarray):
                row = unit_rows(query[None] if query.ndim == 1 else query, "query")
            elif Path(query).suffix.lower() in PICTURES:
                row = self.models.embed_pictures([query])
            else:
                points = self.models.description.points
                row = self.models.embed_clouds(prepare(load_points(query), points, str(query))[None])
            if row.shape != (1, self.store.width):
                raise InputError(
                    f"{query_name(query)}: has {row.shape[-1]} dimensions, but the index holds "
                    f"{self.models.description.space} with {self.store.width}."
                )
            rows.append(self.models.project(row)[0] if words else row[0])
        return np.stack(rows)

    def nearest(
        self,
        queries: Float32[np.ndarray, "q D"],
        top: int,
        where: Bool[np.ndarray, " rows"] | None = None,
        words: bool = False,
    ) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
        """Find the rows most similar to unit queries, and their cosines.

        Args:
            queries: of the space of the index, or with `words` of CLIP's projected space.
            top: number of rows; fewer if fewer match.
            where: rows to search.
            words: compare in CLIP's projected space.
        """
        top = min(top, len(self) if where is None else int(where.sum()))
        chunk = max(1024, SIMILARITIES // len(queries))
        if words and self.models.description.layer == "pooled":
            return nearest_units(queries, _Projected(self.store.blocks, self.models), top, chunk, where)
        file = self._approximate
        if file is None or top > 1000 or (where is not None and where.sum() < approximate.LEAST_ROWS // 2):
            return nearest_units(queries, self.store.blocks, top, chunk, where)
        return self._nearest_approximately(file, queries, top, where)

    @cached_property
    def _approximate(self) -> "approximate.Approximate | None":
        return approximate.Approximate.open(self.store) if len(self) >= approximate.LEAST_ROWS else None

    def _nearest_approximately(
        self,
        file: "approximate.Approximate",
        queries: Float32[np.ndarray, "q D"],
        top: int,
        where: Bool[np.ndarray, " rows"] | None,
    ) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
        """Re-rank the candidates of the approximate index and all rows that it lacks."""
        covered = file.facts.rows
        lacking = np.arange(covered, len(self))
        if where is not None:
            lacking = lacking[where[covered:]]
        indices = np.empty((len(queries), top), dtype=np.int64)
        similarities = np.empty((len(queries), top), dtype=np.float32)
        for number, query in enumerate(queries):
            rows = np.concatenate([file.candidates(query, top, where), lacking])
            if len(rows) < top:
                rows = np.flatnonzero(where) if where is not None else np.arange(len(self))
            found, similarity = nearest_units(query[None], [self.store.vectors(rows)], top, len(rows))
            indices[number], similarities[number] = rows[found[0]], similarity[0]
        return indices, similarities

    def matching(self, where: Mapping[str, Sequence[str]]) -> Bool[np.ndarray, " rows"]:
        """Rows whose fields have one of the given values.

        Raises:
            InputError: a field does not exist, or no row matches.
        """
        mask = np.ones(len(self), dtype=bool)
        for name, values in where.items():
            if name not in TEXT:
                raise InputError(f"where: '{name}' is not a field; choose from {', '.join(TEXT)}.")
            column = self.store.column(name)
            mask &= np.isin(column, [value.encode(errors="surrogateescape") for value in values])
            if not mask.any():
                examples = ", ".join(value.decode(errors="replace") for value in np.unique(column)[:8])
                raise InputError(f"where: no cloud has {name}={' or '.join(values)}; there are {examples}, …")
        return mask

    # --------------------------------------------------------------------------------- duplicates

    def duplicates(
        self,
        threshold: float | str = "auto",
        *,
        exact: bool = False,
        groups: str = "complete",
        between: tuple[str, str] | None = None,
    ) -> Duplicates:
        """Find duplicates. Deletes nothing.

        Args:
            threshold: smallest cosine of two duplicates; "auto": the calibrated one.
            exact: find clouds with the same points, and scaled or moved copies, instead of similar ones.
            groups: complete (every pair reaches the threshold), components, or pairs.
            between: only pairs of a cloud of one part and one of the other. A part is a folder in the id, or
                field=value.

        Raises:
            InputError: the index is empty or not calibrated, the threshold is out of range, a part has no
                clouds, or there are too many pairs.
        """
        if not len(self):
            raise InputError(f"{self.store.directory}: has no clouds; add some with `pointspider index`.")
        if groups not in ("complete", "components", "pairs"):
            raise InputError(f"groups: '{groups}' does not exist; choose complete, components or pairs.")
        sides = (self._part(between[0]), self._part(between[1])) if between else None
        if exact:
            found = exact_groups(
                self.store.column("points_hash"), self.store.column("points"), self.store.column("moments")
            )
            if sides:
                found = [g for g in found if all(side[g.rows].any() for side in sides)]
            return Duplicates(found, None, None)
        calibration = None
        if threshold == "auto":
            calibration = self.store.calibration
            if calibration is None:
                raise InputError(
                    f"{self.store.directory}: has no calibrated threshold (it needs 20 objects and their "
                    "files). "
                    "Give a number, such as --threshold 0.99."
                )
            threshold = calibration["threshold"]
        try:
            value = float(threshold)
        except ValueError as error:
            raise InputError(f"threshold: '{threshold}' is neither auto nor a number.") from error
        with tqdm(total=len(self), desc="compare", unit="cloud", disable=None, leave=False) as bar:
            pairs = near_pairs(self.store.blocks, value, sides, progress=bar.update)
        if groups == "pairs" or between:
            return Duplicates(pair_groups(pairs), value, calibration)
        if groups == "components":
            return Duplicates(component_groups(pairs, self.store.blocks), value, calibration)
        return Duplicates(complete_groups(pairs), value, calibration)

    def _part(self, name: str) -> Bool[np.ndarray, " rows"]:
        if "=" in name:
            key, value = name.split("=", 1)
            return self.matching({key: [value]})
        folder = name.strip("/").encode()
        rows = [b"/" + folder + b"/" in b"/" + identity for identity in self.store.column("id").tolist()]
        mask = np.array(rows, dtype=bool)
        if not mask.any():
            raise InputError(f"between: no id has the folder '{name}'; give a folder or field=value.")
        return mask

    def kept(self, group: Group, keep: str = "first") -> int:
        """Row of the cloud of a group to keep: the first, or the one with the most points."""
        if keep == "most-points":
            return int(max(group.rows, key=lambda row: self.store.item(int(row))["points"]))
        return int(group.rows[0])

    def similarity_to_others(self, count: int = 2000) -> Float32[np.ndarray, " found"]:
        """Similarity of up to `count` evenly spaced clouds to the most similar other one, copies excluded."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        return self._similarity_to_others(rows, None)

    # ----------------------------------------------------------------------------------- classify

    def classify(
        self, clouds: Sequence[Query], labels: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "clouds labels"], Float[np.ndarray, "clouds labels"] | None]:
        """Compare clouds or pictures with the words of labels, zero-shot.

        Args:
            clouds: as for `search`.
            labels: at least two; underscores are read as spaces.

        Returns:
            Cosines in CLIP's projected space, and the shares of the labels: a softmax whose temperature is
            fitted on the clouds of the index, if all labels are classes of the index; else None.

        Raises:
            InputError: there are fewer than two labels or a label occurs twice; what `search` raises.
        """
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise InputError("labels: give two or more different ones, separated by commas.")
        prompt = self.models.description.prompt
        texts = [Text(prompt.replace("{class}", label.replace("_", " "))) for label in labels]
        words = self.embed(texts, words=True)
        similarities = self.embed(clouds, words=True) @ words.T
        classes = self.store.column("class")
        numbers = {label.encode(): number for number, label in enumerate(labels)}
        rows = np.flatnonzero(np.isin(classes, list(numbers)))
        if len(set(classes[rows].tolist())) < len(labels):
            return similarities, None
        rows = rows[:: -(-len(rows) // 2000)]
        truth = np.array([numbers[value] for value in classes[rows].tolist()])
        known = self.models.project(self.store.vectors(rows)) @ words.T
        return similarities, softmax(similarities * fit_scale(known, truth))


@dataclass(frozen=True)
class _Projected:
    """The rows in CLIP's projected space, computed a chunk at a time whenever they are iterated."""

    blocks: Sequence[np.ndarray]
    models: Models

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            for start in range(0, len(block), 16384):
                yield self.models.project(block[start : start + 16384])


def fit_scale(similarities: Float[np.ndarray, "n labels"], truth: Int64[np.ndarray, " n"]) -> float:
    """The factor on cosines for which their softmax gives the true labels the highest likelihood."""
    from scipy.optimize import minimize_scalar

    def loss(log_scale: float) -> float:
        shares = softmax(similarities * np.exp(log_scale))
        return -float(np.log(np.maximum(shares[np.arange(len(truth)), truth], 1e-30)).mean())

    # From almost equal shares to CLIP's largest scale, 100, and beyond it
    return float(np.exp(minimize_scalar(loss, bounds=(-3, 7), method="bounded").x))


def softmax(values: Float[np.ndarray, "n labels"]) -> Float[np.ndarray, "n labels"]:
    """Softmax of each row."""
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def query_name(query: Query) -> str:
    """Name of a query, for output and messages."""
    return "vector" if isinstance(query, np.ndarray) else str(query)
