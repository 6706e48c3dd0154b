"""Cloud files of an index: find them, read them, and describe each by an item."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

from pointspider.clouds.cloud import Cloud, validate_points
from pointspider.clouds.readers.registry import count_clouds, extensions, load_cloud
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Points sampled on a mesh, as in ModelNet40's HDF5 files.
POOL = 2048


@dataclass(frozen=True)
class CloudFile:
    """A cloud to index.

    Attributes:
        path: of the file, absolute.
        member: row in a file of several clouds, as text; "" if the file is one cloud.
        id: unique name in the index: the path below the folder's parent, with "/" and the member.
        class_name: name of the folder that contains the file.
    """

    path: Path
    member: str
    id: str
    class_name: str

    @property
    def key(self) -> bytes:
        """Path and member, which identify the cloud on this machine."""
        return f"{self.path}\0{self.member}".encode(errors="surrogateescape")


def list_clouds(roots: Iterable[str | Path]) -> list[CloudFile]:
    """List the clouds of files and folders, in the order of their paths; hidden files are skipped.

    Raises:
        InputError: a path does not exist, a folder has no clouds, or two different files have the same id.
    """
    clouds: dict[bytes, CloudFile] = {}
    folders = [Path(root).absolute() for root in roots]
    require_paths(folders)
    for root in folders:
        if root.is_dir():
            paths = [path for path in sorted(root.rglob("*")) if _is_cloud(path, root)]
            if not paths:
                raise InputError(f"{root}: has no clouds; they are {', '.join(extensions())}.")
        else:
            paths = [root]
        base = root.parent
        for path in paths:
            name = path.relative_to(base).as_posix()
            for member in _members(path):
                cloud = CloudFile(path, member, f"{name}/{member}" if member else name, path.parent.name)
                clouds.setdefault(cloud.key, cloud)
    ids: dict[str, CloudFile] = {}
    for cloud in clouds.values():
        if (other := ids.setdefault(cloud.id, cloud)) is not cloud:
            raise InputError(
                f"{cloud.path} and {other.path} would both have the id '{cloud.id}'; rename a folder."
            )
    return list(clouds.values())


def require_paths(paths: Iterable[Path]) -> None:
    """Check that files and folders exist.

    Raises:
        InputError: one does not.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: does not exist.")


def _is_cloud(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() in extensions() and not hidden and path.is_file()


def _members(path: Path) -> list[str]:
    """Rows of a file of several clouds; [""] for other files, also for damaged ones."""
    try:
        count = count_clouds(path)
    except InputError:
        count = None
    return [""] if count is None else [f"{row:04d}" for row in range(count)]


def load_points(path: str | Path, member: str = "") -> Float[np.ndarray, "N 3"]:
    """Read the points of a file as it stores them; a mesh is sampled.

    Raises:
        InputError: the file cannot be read or is not a usable cloud.
    """
    what = f"{path} row {member}" if member else str(path)
    cloud = load_cloud(path, row=int(member) if member else None)
    points = cloud.mesh.sample(POOL, generator(0, "surface")) if cloud.mesh else cloud.points
    validate_points(points, what)
    return points


def read_item(cloud: CloudFile, points: int) -> tuple[Float32[np.ndarray, "{points} 3"], dict[str, Any]]:
    """Read a cloud and its description.

    Args:
        cloud: to read.
        points: number of points to return, see `prepare`.

    Raises:
        InputError: the file cannot be read or is not a usable cloud.
    """
    values = load_points(cloud.path, cloud.member)
    prepared = prepare(values, points, str(cloud.path))
    item = {
        "id": cloud.id,
        "class": cloud.class_name,
        "path": cloud.path,
        "member": cloud.member,
        **file_state(cloud.path),
        **describe(values),
    }
    return prepared, item


def file_state(path: Path) -> dict[str, Any]:
    """Size, modification time and SHA-256 of a file."""
    state = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "file_hash": digest}


def describe(values: Float[np.ndarray, "N 3"]) -> dict[str, Any]:
    """Number of points, a hash that does not depend on their order, and `shape_moments`."""
    ordered = sort_points(values.astype(np.float32))
    return {
        "points": len(values),
        "points_hash": hashlib.sha256(ordered.tobytes()).hexdigest(),
        "moments": shape_moments(values),
    }


def prepare(values: Float[np.ndarray, "N 3"], points: int, what: str) -> Float32[np.ndarray, "{points} 3"]:
    """Sample a cloud and normalise it: centred on the mean, maximum radius 1.

    The points are sorted first, and which of them are sampled depends on their number alone. So copies of a
    cloud that are reordered, scaled or moved give the same points.

    Args:
        values: the cloud.
        points: to sample, without repetition if the cloud has enough.
        what: the file, for the message.

    Raises:
        InputError: all sampled points coincide, or floating point cannot scale the coordinates.
    """
    ordered = sort_points(values.astype(np.float64))
    rng = generator(0, "index", len(values), points)
    if len(values) > points:
        ordered = ordered[rng.choice(len(values), points, replace=False)]
    elif len(values) < points:
        ordered = np.concatenate([ordered, ordered[rng.integers(len(values), size=points - len(values))]])
    return Cloud(ordered).normalize(what).points


def sort_points(values: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Sort points by x, then y, then z. -0 becomes 0."""
    values = values + 0.0
    ordered: np.ndarray = values[np.lexsort(values.T[::-1])]
    return ordered


def shape_moments(values: Float[np.ndarray, "N 3"]) -> Float64[np.ndarray, " 9"]:
    """Second moments (xx, yy, zz, xy, xz, yz) and third moments (xxx, yyy, zzz) of the normalised points.

    They do not change if the cloud is scaled, moved or reordered.
    """
    x, y, z = Cloud(values).normalize("cloud").points.astype(np.float64).T
    products = (x * x, y * y, z * z, x * y, x * z, y * z, x**3, y**3, z**3)
    return np.array([product.mean() for product in products])
