"""PCD of the Point Cloud Library: ASCII, binary and compressed; read by pypcd4."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_fields
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.sizes import check_size

#: Bytes in which the header ends.
HEADER = 4096


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    from pypcd4.pypcd4 import PointCloud

    data = path.read_bytes()
    if b"\nDATA ascii" in data[:HEADER].replace(b"\r", b""):
        data = b"\n".join(line.strip() for line in data.splitlines())  # pypcd4 reads blanks as columns
    _check_header(data, path)
    stream: Any = io.BytesIO(data)
    cloud = PointCloud.from_fileobj(stream)
    fields = {name: cloud.numpy((name,))[:, 0] for name in cloud.fields}
    packed = fields.pop("rgb", fields.pop("rgba", None))
    if packed is not None:  # three bytes in the bits of a number
        floats = packed.dtype.kind == "f"
        bits = packed.astype(np.float32).view(np.uint32) if floats else packed.astype(np.uint32)
        channels = {"red": bits >> 16, "green": bits >> 8, "blue": bits}
        fields |= {name: (channel & 255).astype(np.uint8) for name, channel in channels.items()}
    return cloud_from_fields(fields)


def _check_header(data: bytes, path: Path) -> None:
    """Check the number of values and their size after decompression; pypcd4 allocates as many."""
    from pypcd4.pypcd4 import Encoding, MetaData

    stream, lines = io.BytesIO(data), list[str]()
    for row in stream:  # the lines that pypcd4 takes for the header
        line = row.decode().strip()
        if line and not line.startswith("#"):
            lines.append(line)
            if line.startswith("DATA") or len(lines) >= 10:
                break
    header = MetaData.parse_header(lines)
    check_size(sum(map(abs, header.count)) * max(header.points, 1), path)
    if header.data == Encoding.BINARY_COMPRESSED:
        check_size(int.from_bytes(stream.read(8)[4:], "little"), path)


FORMATS.add("pcd", Format((".pcd",), read, lambda head, size: b"VERSION" in head and b"FIELDS" in head))
