"""PCD of the Point Cloud Library: ASCII, binary and compressed; read by pypcd4."""

import io
import re
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
    lines = re.findall(rb"^(COUNT|POINTS)((?:\s+\d+)+)\s*$", data[:HEADER], re.MULTILINE)
    totals = {name: sum(map(int, values.split())) for name, values in lines}
    check_size(totals.get(b"COUNT", 1) * max(totals.get(b"POINTS", 1), 1), path)
    if body := re.search(rb"^DATA binary_compressed\r?\n....(....)", data[:HEADER], re.MULTILINE | re.DOTALL):
        check_size(int.from_bytes(body[1], "little"), path)


FORMATS.add("pcd", Format((".pcd",), read, lambda head, size: b"VERSION" in head and b"FIELDS" in head))
