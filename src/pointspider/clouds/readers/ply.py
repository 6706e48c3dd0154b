"""PLY, ASCII and binary: points, or a mesh if the file has faces or triangle strips.

We read it ourselves: trimesh refuses binary files with triangles and quadrilaterals and unknown types such as
bool; plyfile refuses blank lines, CRLF before binary data and missing lists, and reads faces twenty times
slower.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_fields
from pointspider.clouds.readers.polygons import triangulate, unroll_strips, with_faces
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError

TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8", "float32": "f4", "float64": "f8",
    "bool": "u1",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
POLYGONS = ("vertex_indices", "vertex_index")


@dataclass
class Element:
    """An element of the header.

    Attributes:
        properties: {name: its type}; of a list (type of its length, type of its items).
    """

    name: str
    count: int
    properties: dict[str, str | tuple[str, str]] = field(default_factory=dict)

    @property
    def lists(self) -> list[str]:
        """Names of the properties that are lists."""
        return [name for name, kind in self.properties.items() if isinstance(kind, tuple)]


#: Of an element: {property: values (n,), or of a list (lengths (n,), items)}.
Columns = dict[str, Any]


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud or mesh."""
    data = path.read_bytes()
    order, elements, start = _read_header(data)
    body = _Ascii(data[start:]) if order == "" else _Binary(data, start, order)
    columns: dict[str, Columns] = {}
    for element in elements:
        if element.name in columns:
            raise InputError(f"has two elements '{element.name}'.")
        columns[element.name] = body.read(element)
        if {"vertex", "face"} <= columns.keys():
            break  # nothing else is used
    if "vertex" not in columns:
        raise InputError("has no element 'vertex'.")
    cloud = cloud_from_fields({n: v for n, v in columns["vertex"].items() if not isinstance(v, tuple)})
    return with_faces(cloud, _triangles(columns))


def _triangles(columns: dict[str, Columns]) -> Int[np.ndarray, "F 3"]:
    for element, join in (("face", triangulate), ("tristrips", lambda counts, items: unroll_strips(items))):
        name = next((name for name in POLYGONS if name in columns.get(element, {})), None)
        if name is not None and len(columns[element][name][0]):
            counts, items = columns[element][name]
            return join(counts.astype(np.int64), items.astype(np.int64))
    return np.empty((0, 3), np.int64)


def _read_header(data: bytes) -> tuple[str, list[Element], int]:
    """Return the byte order ("" for ASCII), the elements, and where the body starts."""
    end = data.find(b"end_header")
    if end < 0:
        raise InputError("cannot be read as ply (its header does not end); is it complete?")
    order, elements = None, list[Element]()
    # Latin-1 decodes comments in any encoding; lines may end in LF, CRLF or CR.
    for line in data[:end].decode("latin-1").splitlines():
        match line.lower().split():
            case ["format", name, *_] if name in ORDERS:
                order = ORDERS[name]
            case ["format", name, *_]:
                raise InputError(f"its format '{name}' is unknown.")
            case ["element", name, count]:
                elements.append(Element(name, int(count)))
            case ["property", "list", length, item, name]:
                elements[-1].properties[name] = _type(length, name), _type(item, name)
            case ["property", kind, name]:
                elements[-1].properties[name] = _type(kind, name)
    if order is None:
        raise InputError("cannot be read as ply (its header has no format).")
    start = end + len(b"end_header")
    while order == "" and data[start : start + 1] in (b" ", b"\t"):
        start += 1
    return order, elements, start + (2 if data[start : start + 2] == b"\r\n" else 1)


def _type(name: str, of: str) -> str:
    if name not in TYPES:
        raise InputError(f"the type '{name}' of its property '{of}' is unknown.")
    return TYPES[name]


class _Ascii:
    """The elements of an ASCII file, a line for each of their rows."""

    def __init__(self, body: bytes):
        self._lines = [line for line in body.decode("latin-1").splitlines() if line.strip()]

    def read(self, element: Element) -> Columns:
        lines, self._lines = self._lines[: element.count], self._lines[element.count :]
        if len(lines) < element.count:
            raise InputError(f"has {len(lines)} rows of {element.count} of '{element.name}'; is it complete?")
        names = list(element.properties)
        if not element.lists:
            table = np.array(" ".join(lines).split(), dtype=np.float64)
            if len(table) != element.count * len(names):  # more values in a row than properties, or fewer
                table = np.array([line.split()[: len(names)] for line in lines], dtype=np.float64)
            table = table.reshape(element.count, len(names))
            kinds = map(str, element.properties.values())
            return {
                name: column if kind.startswith("f") else column.astype(kind)
                for name, kind, column in zip(names, kinds, table.T, strict=True)
            }
        found: dict[str, list[float]] = {name: [] for name in names}
        lengths: dict[str, list[int]] = {name: [] for name in element.lists}
        for line in lines:
            values, at = line.split(), 0
            for name in names:
                if name in lengths:  # a list that a row lacks is empty
                    length = int(values[at]) if at < len(values) else 0
                    if length < 0:
                        raise InputError(f"a list of '{element.name}' has the length {length}.")
                    if at + length >= len(values) > at:
                        raise InputError(f"a row of '{element.name}' is too short: {line.strip()[:40]}")
                    lengths[name].append(length)
                    found[name] += map(float, values[at + 1 : at + 1 + length])
                    at += 1 + length
                else:
                    found[name].append(float(values[at]))
                    at += 1
        return {
            name: (np.array(lengths[name]), np.array(values)) if name in lengths else np.array(values)
            for name, values in found.items()
        }


class _Binary:
    """The elements of a binary file."""

    def __init__(self, data: bytes, start: int, order: str):
        self._data, self._at, self._order = data, start, order

    def read(self, element: Element) -> Columns:
        rows = self._read_equal(element) if element.count else None
        if rows is None:
            return self._read_unequal(element)
        return {
            name: (rows[f"#{name}"], rows[name].reshape(-1)) if name in element.lists else rows[name]
            for name in element.properties
        }

    def _read_equal(self, element: Element) -> Shaped[np.ndarray, " n"] | None:
        """Read rows whose lists are as long as those of the first row; None if some are not."""
        dtype, at = [], self._at
        for name, kind in element.properties.items():
            if isinstance(kind, tuple):
                length = int(np.frombuffer(self._data, self._order + kind[0], 1, at)[0])
                dtype += [(f"#{name}", self._order + kind[0]), (name, self._order + kind[1], (length,))]
                at += np.dtype(kind[0]).itemsize + length * np.dtype(kind[1]).itemsize
            else:
                dtype.append((name, self._order + kind))
                at += np.dtype(kind).itemsize
        size = element.count * (at - self._at)
        if len(self._data) - self._at < size:
            if element.lists:
                return None
            raise InputError(f"ends within its elements '{element.name}'; is it complete?")
        rows = np.frombuffer(self._data, np.dtype(dtype), element.count, self._at)
        if any((rows[f"#{name}"] != rows[f"#{name}"][0]).any() for name in element.lists):
            return None
        self._at += size
        return rows

    def _read_unequal(self, element: Element) -> Columns:
        """Read row by row."""
        found: dict[str, list[bytes]] = {name: [] for name in element.properties}
        lengths: dict[str, list[int]] = {name: [] for name in element.lists}
        data, at = self._data, self._at
        kinds = {
            name: (struct.Struct(self._order + np.dtype(kind[0]).char), np.dtype(kind[1]).itemsize)
            if isinstance(kind, tuple)
            else (None, np.dtype(kind).itemsize)
            for name, kind in element.properties.items()
        }
        for _ in range(element.count):
            for name, (counter, size) in kinds.items():
                if counter is not None:
                    if at + counter.size > len(data):
                        raise InputError(f"ends within its elements '{element.name}'; is it complete?")
                    (length,) = counter.unpack_from(data, at)
                    if length < 0:
                        raise InputError(f"a list of '{element.name}' has the length {length}.")
                    at += counter.size
                    lengths[name].append(length)
                    size *= length
                found[name].append(data[at : at + size])
                at += size
        if at > len(data):
            raise InputError(f"ends within its elements '{element.name}'; is it complete?")
        self._at = at
        columns: Columns = {}
        for name, kind in element.properties.items():
            item = kind[1] if isinstance(kind, tuple) else kind
            values = np.frombuffer(b"".join(found[name]), self._order + item)
            columns[name] = (np.array(lengths[name]), values) if name in lengths else values
        return columns


FORMATS.add("ply", Format((".ply",), read, lambda head, size: head.lstrip()[:3].lower() == b"ply"))
