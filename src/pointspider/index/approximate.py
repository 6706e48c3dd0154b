"""Approximate search of large indices with faiss: an inverted file of compressed rows, then exact re-ranking.

The file is derived from the rows and can be deleted. Rows that were added after it was written are searched
exactly.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from pointspider.core.errors import InputError
from pointspider.core.files import atomic, read_json, sha256, write_json
from pointspider.index.store import Store, json_digest

#: Rows from which an index is searched approximately, if faiss is installed.
LEAST_ROWS = 100_000
#: Compression by number of rows, up to which it is used. See benchmarks/search.md.
KINDS = ((500_000, "SQ8"), (2**63, "RaBitQ"))
#: Candidates per query that are re-ranked exactly, for every compression: none, scalars of 8 bits, products
#: of codebooks, and signs.
CANDIDATES = {"Flat": 20, "SQ8": 100, "PQ": 400, "RaBitQ": 400}
#: Recall of the ten nearest rows that the number of searched lists is chosen for, on `TRIALS` rows.
RECALL, TRIALS = 0.97, 100
#: Rows per list from which the lists are trained.
SAMPLES = 30
#: Rows that are added at a time.
CHUNK = 16384
#: Similarities of queries and rows that are in memory at a time, 4 bytes each.
SIMILARITIES = 2**24


@dataclass(frozen=True)
class Facts:
    """Description of the file, in approximate.json.

    Attributes:
        kind: of compression, one of `CANDIDATES`.
        rows, generation: of the store when the file was written.
        lists: of the inverted file.
        probes: lists that a query searches.
        recall: of ten nearest rows with these.
        checksum: of approximate.faiss.
    """

    kind: str
    rows: int
    generation: int
    lists: int
    probes: int
    recall: float
    checksum: str


def is_installed() -> bool:
    """True if faiss can be imported."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        return False
    return True


class Approximate:
    """Searches the file of a store.

    Attributes:
        facts: of the file.
    """

    def __init__(self, store: Store, facts: Facts, index: Any):
        self._store, self.facts, self._index = store, facts, index

    @classmethod
    def open(cls, store: Store) -> "Approximate | None":
        """Open the file of a store; None if there is none, it is out of date, or faiss is not installed."""
        path = store.directory / "approximate.json"
        if not path.is_file() or not is_installed():
            return None
        import faiss

        content = read_json(path)
        if not isinstance(content, dict) or content.pop("sha256", None) != json_digest(content):
            raise InputError(
                f"{path}: is damaged, it does not match its checksum. Delete it and index again."
            )
        facts = Facts(**content)
        if facts.generation != store.generation or facts.rows > len(store):
            return None
        data = store.directory / "approximate.faiss"
        if not data.is_file() or sha256(data) != facts.checksum:
            raise InputError(
                f"{data}: is damaged, it does not match its checksum. Delete {path} and index again."
            )
        return cls(store, facts, faiss.read_index(str(data), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY))

    @classmethod
    def build(
        cls,
        store: Store,
        progress: Callable[[int], object] = lambda rows: None,
        kind: str | None = None,
    ) -> "Approximate":
        """Write the file of a store. Only under `pointspider.index.store.writing`.

        Args:
            store: of at least a few thousand rows.
            progress: called with numbers of rows that were added.
            kind: of compression, one of `CANDIDATES`; None: by the number of rows, see `KINDS`.
        """
        import faiss

        n, width = len(store), store.width
        kind = kind or next(kind for most, kind in KINDS if n <= most)
        lists = int(min(2 * np.sqrt(n), n / SAMPLES))
        sample = store.vectors(np.linspace(0, n - 1, SAMPLES * lists).astype(np.int64))
        clusters = faiss.Kmeans(
            width, lists, niter=5, spherical=True, seed=1, min_points_per_centroid=SAMPLES
        )
        clusters.train(sample)
        centres = faiss.IndexFlatIP(width)
        centres.add(clusters.centroids)
        index = _empty_index(kind, centres, lists)
        index.train(sample)
        for block in store.blocks:
            for start in range(0, len(block), CHUNK):
                part = np.array(block[start : start + CHUNK])
                index.add(part)
                progress(len(part))
        approximate = cls(store, Facts(kind, n, store.generation, lists, lists, 1.0, ""), index)
        probes, recall = approximate._choose_probes()
        path = store.directory / "approximate.faiss"
        with atomic(path) as temporary:
            faiss.write_index(index, str(temporary))
        facts = Facts(kind, n, store.generation, lists, probes, recall, sha256(path))
        content = asdict(facts)
        write_json(store.directory / "approximate.json", {**content, "sha256": json_digest(content)})
        return cls(store, facts, index)

    def _choose_probes(self) -> tuple[int, float]:
        """Smallest power of two of lists with a recall of at least `RECALL`, and that recall."""
        from pointspider.core.vectors import nearest_units

        rows = np.linspace(0, len(self._store) - 1, TRIALS).astype(np.int64)
        queries = self._store.vectors(rows)
        expected, _ = nearest_units(queries, self._store.blocks, 10, SIMILARITIES // TRIALS)
        probes, recall = 1, 0.0
        while recall < RECALL and probes < self.facts.lists:
            probes = min(2 * probes, self.facts.lists)
            found = [self.candidates(query, 10, None, probes) for query in queries]
            best = [
                f[np.argsort(-(self._store.vectors(f) @ q))[:10]] for f, q in zip(found, queries, strict=True)
            ]
            hits = [len(np.intersect1d(*both)) for both in zip(best, expected, strict=True)]
            recall = sum(hits) / expected.size
        return probes, recall

    def candidates(
        self,
        query: Float32[np.ndarray, " D"],
        k: int,
        where: Bool[np.ndarray, " rows"] | None = None,
        probes: int | None = None,
    ) -> Int64[np.ndarray, " found"]:
        """Return rows that probably contain the `k` nearest of the file's rows."""
        import faiss

        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # threads cost more than they save on one query
        selector = None if where is None else faiss.IDSelectorBitmap(np.packbits(where, bitorder="little"))
        parameters = faiss.SearchParametersIVF(nprobe=probes or self.facts.probes, sel=selector)
        count = max(CANDIDATES[self.facts.kind], 4 * k)
        try:
            found: np.ndarray = self._index.search(query[None], count, params=parameters)[1][0]
        finally:
            faiss.omp_set_num_threads(threads)
        return np.sort(found[found >= 0])


def _empty_index(kind: str, centres: Any, lists: int) -> Any:
    """An inverted file without rows."""
    import faiss

    width, product = centres.d, faiss.METRIC_INNER_PRODUCT
    if kind == "Flat":
        return faiss.IndexIVFFlat(centres, width, lists, product)
    if kind == "SQ8":
        return faiss.IndexIVFScalarQuantizer(
            centres, width, lists, faiss.ScalarQuantizer.QT_8bit, product, True
        )
    if kind == "RaBitQ":
        return faiss.IndexIVFRaBitQ(centres, width, lists, product)
    pieces = max(p for p in range(1, min(width, 128) + 1) if width % p == 0)
    return faiss.IndexIVFPQ(centres, width, lists, pieces, 8, product)
