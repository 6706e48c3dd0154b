"""Files of renders, in one of two layouts.

    png      <class>/<level>/<object>.png
    shards   <class>/00000.h5, 00001.h5, …   `SHARD` encoded PNGs each, in the order of <class>/index.h5

Both hold the same PNGs. Millions of small files are slow to list, copy and hash, so many clouds need shards.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pointspider.core.errors import InputError
from pointspider.core.files import Group, decode_png, encode_png, read_hdf5, read_png, write_hdf5, write_png

Image = UInt8[np.ndarray, "H W 3"]
#: Writes the render of a cloud id.
Write = Callable[[str, Image], None]
#: Renders per shard: 10 to 20 MB at 224².
SHARD = 1024
INDEX = "index.h5"


@contextmanager
def _png_writer(directory: Path) -> Iterator[Write]:
    """Write renders of one class to `<directory>/<level>/<object>.png`."""
    yield lambda cloud_id, image: write_png(directory / f"{cloud_id.split('/', 1)[1]}.png", image)


@contextmanager
def _shard_writer(directory: Path) -> Iterator[Write]:
    """Write renders of one class to shards, and their index last."""
    ids: list[str] = []
    pending: list[bytes] = []

    def flush() -> None:
        sizes = np.array([len(png) for png in pending])
        start = len(ids) - len(pending)
        groups = {
            "renders": Group({"cloud_id": np.array(ids[start:], dtype=object), "bytes": sizes}, {}),
            "content": Group({"png": np.frombuffer(b"".join(pending), np.uint8)}, {}),
        }
        write_hdf5(_shard(directory, start // SHARD), groups.items())
        pending.clear()

    def write(cloud_id: str, image: Image) -> None:
        ids.append(cloud_id)
        pending.append(encode_png(image))
        if len(pending) == SHARD:
            flush()

    yield write
    if pending:
        flush()
    index = Group({"cloud_id": np.array(ids, dtype=object)}, {"shard": SHARD})
    write_hdf5(directory / INDEX, [("renders", index)])


#: How the renders of a class are written: {`render.layout`: a function of its directory}.
LAYOUTS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    "png": _png_writer,
    "shards": _shard_writer,
}


def read_renders(directory: str | Path, cloud_ids: Iterable[str]) -> UInt8[np.ndarray, "n H W 3"]:
    """Read the renders of `cloud_ids` below `directory`, in either layout.

    Raises:
        InputError: one is missing or broken; the message names the directory of its class, which is rendered
            again once it is deleted.
    """
    cloud_ids = list(cloud_ids)
    found: dict[str, Image] = {}
    for name, ids in groupby(sorted(cloud_ids), key=lambda cloud_id: cloud_id.split("/")[0]):
        folder = Path(directory) / name
        read = _read_shards if (folder / INDEX).exists() else _read_files
        try:
            found |= read(folder, list(ids))
        except InputError as error:
            # A shard alone is not rendered again
            reason = str(error).removesuffix(" Delete it and run again.")
            raise InputError(f"{reason} Delete the directory {folder} and run again.") from error
    return np.stack([found[cloud_id] for cloud_id in cloud_ids])


def _read_files(folder: Path, cloud_ids: list[str]) -> dict[str, Image]:
    return {cloud_id: read_png(folder.parent / f"{cloud_id}.png") for cloud_id in cloud_ids}


def _read_shards(folder: Path, cloud_ids: list[str]) -> dict[str, Image]:
    """Read each shard that holds any of `cloud_ids` once."""
    index = read_hdf5(folder / INDEX)["renders"]
    rows = {cloud_id: row for row, cloud_id in enumerate(index.arrays["cloud_id"].tolist())}
    missing = [cloud_id for cloud_id in cloud_ids if cloud_id not in rows]
    if missing:
        raise InputError(f"{folder / INDEX}: has no render of {missing[0]}.")
    numbers = {cloud_id: rows[cloud_id] // int(index.attributes["shard"]) for cloud_id in cloud_ids}
    found = {}
    for number in sorted(set(numbers.values())):
        path = _shard(folder, number)
        groups = read_hdf5(path)
        renders, content = groups["renders"].arrays, groups["content"].arrays["png"].tobytes()
        ends = np.cumsum(renders["bytes"])
        spans = zip(renders["cloud_id"].tolist(), ends - renders["bytes"], ends, strict=True)
        for cloud_id, start, end in spans:
            if numbers.get(cloud_id) == number:
                found[cloud_id] = decode_png(content[start:end])
    return found


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.h5"
