"""Files of an index: memory-mapped unit rows, their items, and a manifest that lists them.

    index.json              format, models, calibration, and the segments with their checksums
    000000.vectors.npy      rows of a segment, (n, width) float32 of unit length
    000000.items.npy        their items, (n,) of `ITEM`
    index.lock              held by the process that writes

Every file is written under a temporary name and renamed. A segment exists once index.json lists it, so an
index is usable after the writer was killed at any time; the next writer deletes files that index.json does
not list.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Bool, Float32, Int, Int64, Shaped, UInt64

from pointspider.core.errors import InputError
from pointspider.core.files import atomic, read_json, sha256, write_json

FORMAT = 1
#: Segments are merged up to this many bytes of rows.
SEGMENT_BYTES = 2**28
#: Text fields of an item, stored as UTF-8; `np.save` pads them to the longest text of the segment.
TEXT = ("id", "class", "object", "corruption", "severity", "path", "member", "file_hash", "points_hash")
#: Other fields: the file's size and modification time, points of the cloud, and its `shape_moments`.
NUMBERS = {"size": "<i8", "mtime_ns": "<i8", "points": "<i8", "moments": "(9,)<f8"}

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Segment:
    """One pair of files.

    Attributes:
        name: of its files, without extension.
        rows: number of rows.
        vectors_sha256, items_sha256: of the files.
    """

    name: str
    rows: int
    vectors_sha256: str
    items_sha256: str


class Store:
    """Rows and items of an index, in the order in which they were added.

    Attributes:
        directory: of the files.
        width: of the rows.
        models: description of the models that computed the rows (JSON).
        calibration: of the threshold for duplicates (JSON), or None.
        generation: number of times that rows were removed, which renumbers the rows.
        segments: of the rows, in order.
    """

    def __init__(self, directory: str | Path):
        """Open an index. Reads index.json and maps the rows; reads no rows.

        Each file is compared with its checksum when it is first used.

        Raises:
            InputError: the directory is not an index, or index.json or a file that it lists is damaged.
        """
        self.directory = Path(directory)
        path = self.directory / "index.json"
        if not path.is_file():
            raise InputError(
                f"{self.directory}: not an index (it has no index.json). Build it with `pointspider index`; "
                "if that was interrupted before its first rows, run it again."
            )
        manifest = read_json(path)
        if not isinstance(manifest, dict) or manifest.pop("sha256", None) != json_digest(manifest):
            raise InputError(f"{path}: does not match its checksum. Build the index again.")
        if manifest["format"] != FORMAT:
            raise InputError(
                f"{path}: format {manifest['format']}; this version reads format {FORMAT}. Build the index "
                "again."
            )
        self.width: int = manifest["width"]
        self.models: dict[str, Any] = manifest["models"]
        self.calibration: dict[str, Any] | None = manifest["calibration"]
        self.generation: int = manifest["generation"]
        self.segments = [Segment(**segment) for segment in manifest["segments"]]
        self._maps = {
            "vectors": [
                self._map(segment, "vectors", (segment.rows, self.width)) for segment in self.segments
            ],
            "items": [self._map(segment, "items", (segment.rows,)) for segment in self.segments],
        }
        #: Checksums of the files that match them.
        self._verified: set[str] = getattr(self, "_verified", set())

    @classmethod
    def create(cls, directory: str | Path, width: int, models: Mapping[str, Any]) -> "Store":
        """Create an empty index in a directory that does not exist or is empty, except for a lock.

        Raises:
            InputError: the directory contains something else.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in directory.iterdir() if not _ours(path.name)]
        if others:
            raise InputError(
                f"{directory}: contains {others[0]} and is not an index; give another directory."
            )
        _write_manifest(directory, width, models, None, 0, [])
        return cls(directory)

    def __len__(self) -> int:
        return sum(segment.rows for segment in self.segments)

    def _map(self, segment: Segment, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self.directory / f"{segment.name}.{kind}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # a damaged header raises almost any
            raise InputError(f"{path}: missing or damaged ({error}). Build the index again.") from error
        if array.shape != shape:
            raise InputError(f"{path}: the shape is {array.shape}, not {shape}. Build the index again.")
        return cast(np.ndarray, array)

    # ------------------------------------------------------------------------------------- reading

    @property
    def blocks(self) -> list[Float32[np.ndarray, "n D"]]:
        """The memory-mapped rows of each segment."""
        return self._verify("vectors")

    @cached_property
    def starts(self) -> Int64[np.ndarray, " segments+1"]:
        """First row of each segment, and the number of rows."""
        return np.cumsum([0, *(segment.rows for segment in self.segments)], dtype=np.int64)

    def vectors(self, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n D"]:
        """Read some rows."""
        result = np.empty((len(rows), self.width), dtype=np.float32)
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(owner):
            chosen = owner == number
            result[chosen] = self.blocks[number][rows[chosen] - self.starts[number]]
        return result

    def column(self, field: str) -> Shaped[np.ndarray, "rows ..."]:
        """Read a field of all items; text as bytes."""
        if not self.segments:
            return np.zeros(0, dtype="S1")
        return np.concatenate([items[field] for items in self._verify("items")])

    def item(self, row: int) -> dict[str, Any]:
        """Read the item of a row."""
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return decode(self._verify("items")[number][row - self.starts[number]])

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            InputError: a file does not match.
        """
        self._verified.clear()
        for kind in self._maps:
            self._verify(kind)

    def _verify(self, kind: str) -> list[np.ndarray]:
        """Return the memory-mapped arrays of a kind of file, each compared with its checksum once."""
        for segment in self.segments:
            expected = segment.vectors_sha256 if kind == "vectors" else segment.items_sha256
            if expected not in self._verified:
                path = self.directory / f"{segment.name}.{kind}.npy"
                if sha256(path) != expected:
                    raise InputError(
                        f"{path}: is damaged, it does not match its checksum. Delete {self.directory} and "
                        "build the index again."
                    )
                self._verified.add(expected)
        return self._maps[kind]

    # ------------------------------------------------------------------------------------- writing

    def append(self, vectors: Float32[np.ndarray, "n D"], items: Shaped[np.ndarray, " n"]) -> None:
        """Add rows as a new segment. Only under `writing`."""
        self._commit([*self.segments, self._write([vectors], [items])])

    def set_calibration(self, calibration: Mapping[str, Any] | None) -> None:
        """Store the calibration. Only under `writing`."""
        self.calibration = None if calibration is None else dict(calibration)
        self._commit(self.segments)

    def drop(self, rows: Bool[np.ndarray, " rows"]) -> None:
        """Remove the rows where `rows` is true. Only under `writing`."""
        segments = []
        for number, segment in enumerate(self.segments):
            kept = ~rows[self.starts[number] : self.starts[number + 1]]
            if kept.all():
                segments.append(segment)
            elif kept.any():
                vectors, items = self.blocks[number], self._verify("items")[number]
                segments.append(self._write([vectors[kept]], [items[kept]]))
        if segments != self.segments:
            self.generation += 1
            self._commit(segments)

    def merge(self) -> None:
        """Merge neighbouring segments up to `SEGMENT_BYTES`. Only under `writing`."""
        limit = max(1, SEGMENT_BYTES // (4 * self.width))
        groups: list[list[int]] = []
        for number, segment in enumerate(self.segments):
            if groups and sum(self.segments[i].rows for i in groups[-1]) + segment.rows <= limit:
                groups[-1].append(number)
            else:
                groups.append([number])
        if len(groups) < len(self.segments):
            self._commit([self._merge(group) for group in groups])

    def _merge(self, group: list[int]) -> Segment:
        if len(group) == 1:
            return self.segments[group[0]]
        vectors, items = self.blocks, self._verify("items")
        return self._write([vectors[number] for number in group], [items[number] for number in group])

    def _write(self, vectors: list[np.ndarray], items: list[np.ndarray]) -> Segment:
        used = {int(path.name[:6]) for path in self.directory.glob("[0-9]*.npy")}
        name = f"{max(used, default=-1) + 1:06d}"
        rows = sum(map(len, vectors))
        merged = np.concatenate(items)
        digests = [
            _write_npy(self.directory / f"{name}.vectors.npy", (rows, self.width), vectors),
            _write_npy(self.directory / f"{name}.items.npy", (rows,), [merged]),
        ]
        self._verified.update(digests)
        return Segment(name, rows, *digests)

    def _commit(self, segments: list[Segment]) -> None:
        _write_manifest(self.directory, self.width, self.models, self.calibration, self.generation, segments)
        self._maps = {}
        self.__dict__.pop("starts", None)
        self.__init__(self.directory)  # type: ignore[misc]  # reads what was written
        self.clean()

    def clean(self) -> None:
        """Delete the files of an interrupted writer. Only under `writing`."""
        listed = {segment.name for segment in self.segments}
        for path in self.directory.iterdir():
            segment = re.fullmatch(r"(\d{6})\.\w+\.npy", path.name)
            if path.name.endswith(".tmp") or (segment and segment[1] not in listed):
                path.unlink(missing_ok=True)


@contextmanager
def writing(directory: str | Path) -> Iterator[None]:
    """Hold the lock of an index. The system releases it when the process ends, however it ends.

    Raises:
        InputError: another process holds it.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(Path(directory) / "index.lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(
            f"{directory}: another process is writing this index; wait until it has finished."
        ) from error


def encode(items: Sequence[Item]) -> Shaped[np.ndarray, " n"]:
    """Pack items as records. Missing text is empty, missing numbers are 0."""
    columns = {
        field: np.array([os.fsencode(str(item.get(field, ""))) for item in items], dtype=bytes)
        for field in TEXT
    }
    types = [(field, f"S{max(1, column.dtype.itemsize)}") for field, column in columns.items()]
    records = np.zeros(len(items), dtype=[*types, *NUMBERS.items()])
    for field, column in columns.items():
        records[field] = column
    for field in NUMBERS:
        for row, item in enumerate(items):
            if field in item:
                records[field][row] = item[field]
    return records


def decode(record: np.void) -> dict[str, Any]:
    """Unpack a record as an item."""
    item: dict[str, Any] = {field: os.fsdecode(record[field]) for field in TEXT}
    item.update({field: record[field].tolist() for field in NUMBERS})
    return item


def keys(texts: list[bytes]) -> UInt64[np.ndarray, " n"]:
    """Hash texts to 64 bits."""
    digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8")


def _write_npy(path: Path, shape: tuple[int, ...], parts: list[np.ndarray]) -> str:
    """Write arrays one after the other as one .npy file, and return its SHA-256."""
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(parts[0].dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
        return sha256(temporary)


def _write_manifest(
    directory: Path,
    width: int,
    models: Mapping[str, Any],
    calibration: Mapping[str, Any] | None,
    generation: int,
    segments: list[Segment],
) -> None:
    manifest = {
        "format": FORMAT,
        "width": width,
        "models": models,
        "calibration": calibration,
        "generation": generation,
        "segments": [asdict(segment) for segment in segments],
    }
    write_json(directory / "index.json", {**manifest, "sha256": json_digest(manifest)})


def json_digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a mapping that JSON can hold."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _ours(name: str) -> bool:
    return (
        name in ("index.lock", "skipped.csv")
        or name.endswith(".tmp")
        or re.fullmatch(r"\d{6}\.\w+\.npy", name) is not None
    )
