"""An index of clouds: build it, add to it, search it by cloud, picture and words, and find duplicates."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from pointspider.core.errors import InputError
from pointspider.core.vectors import unit_rows
from pointspider.index import approximate, building, deduplicating, searching, zero_shot
from pointspider.index.calibrate import calibrate_by_versions, similarity_to_others
from pointspider.index.clouds import require_paths
from pointspider.index.duplicates import Group
from pointspider.index.models import Description, Models
from pointspider.index.results import Duplicates, Hit, Query, Report, Result, Text, query_name
from pointspider.index.store import Item, Store, writing


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
            self._reopen()
            report = building.add_clouds(self.store, self.models, clouds)
            if prune:
                building.drop_missing(self.store)
            building.finish(self.store, self.models, calibrate)
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
            self._reopen()
            report = building.add_rows(self.store, batches)
            building.finish(self.store, self.models, calibrate=False)
        return report

    def calibrate_by_versions(self) -> None:
        """Calibrate the threshold on the corrupted versions that the index itself contains.

        Items need `object` and `severity`; a severity of 0 is the clean cloud.
        """
        with writing(self.store.directory):
            self.store.set_calibration(calibrate_by_versions(self.store))

    def _reopen(self) -> None:
        self.store = building.reopen(self.store.directory)
        self.__dict__.pop("_approximate", None)

    @cached_property
    def _approximate(self) -> approximate.Approximate | None:
        return approximate.Approximate.open(self.store) if len(self) >= approximate.LEAST_ROWS else None

    def search(
        self,
        queries: Sequence[Query],
        *,
        minus: Sequence[Query] = (),
        weight: float = 0.5,
        together: bool = False,
        verbatim: bool = False,
        where: Mapping[str, Sequence[str]] | None = None,
        top: int = 5,
        min_similarity: float | None = None,
    ) -> list[Result]:
        """Find the most similar clouds.

        Args:
            queries: cloud files, picture files, ids of clouds in the index, `Text`, or rows.
            minus: what the clouds should not resemble: their mean direction is subtracted.
            weight: of what is subtracted.
            together: one query of the mean direction, instead of one result for each.
            verbatim: embed words as they are, instead of in the prompt of the index; see
                `pointspider.index.words.put_into_prompt`.
            where: fields of the items and the values to accept, such as {"class": ["chair"]}.
            top: number of clouds; fewer if fewer match.
            min_similarity: leave out less similar clouds.

        Raises:
            InputError: a query cannot be read or compared with the index, the index is empty, no cloud
                matches `where`, or `top` is below 1.
        """
        searching.require_clouds(self.store)
        if top < 1:
            raise InputError(f"top: {top} clouds cannot be found; give 1 or more.")
        if not queries:
            raise InputError("search: give a cloud, a picture or a text.")
        words = any(isinstance(query, Text) for query in (*queries, *minus))
        vectors = self.embed([*queries, *minus], words, verbatim)
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

    def embed(
        self, queries: Sequence[Query], words: bool = False, verbatim: bool = False
    ) -> Float32[np.ndarray, "n D"]:
        """Embed queries as unit rows of the space of the index; with `words`, of CLIP's projected space.

        Args:
            queries, verbatim: see `search`.
            words: needed if a query is `Text`.
        """
        return searching.embed_queries(self.store, self.models, queries, words, verbatim)

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
        if words and self.models.description.layer == "pooled":
            return searching.nearest_projected(self.store, self.models, queries, top, where)
        return searching.nearest_rows(self.store, self._approximate, queries, top, where)

    def matching(self, where: Mapping[str, Sequence[str]]) -> Bool[np.ndarray, " rows"]:
        """Rows whose fields have one of the given values.

        Raises:
            InputError: a field does not exist, or no row matches.
        """
        return searching.matching_rows(self.store, where)

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
        if exact:
            return deduplicating.exact_duplicates(self.store, between)
        return deduplicating.near_duplicates(self.store, threshold, groups, between)

    def kept(self, group: Group, keep: str = "first") -> int:
        """Row of the cloud of a group to keep: the first, or the one with the most points."""
        if keep == "most-points":
            return int(max(group.rows, key=lambda row: self.store.item(int(row))["points"]))
        return int(group.rows[0])

    def similarity_to_others(self, count: int = 2000) -> Float32[np.ndarray, " found"]:
        """Similarity of up to `count` evenly spaced clouds to the most similar other one, copies excluded."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        return similarity_to_others(self.store, rows)

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
        words = zero_shot.embed_labels(self.models, labels)
        similarities = self.embed(clouds, words=True) @ words.T
        return similarities, zero_shot.shares(self.store, self.models, similarities, labels, words)
