"""A user's own clouds: one sub-folder per class, one file per object (or, in HDF5, one row).

.npy   (N, 3 or more) numbers: the first three columns
.ply   ASCII or binary: points, or a mesh if the file has faces
.off   a mesh
.h5    dataset `data`: (n, P, 3) as in ModelNet40's HDF5 files, each row an object <stem>_<row>, or one (P, 3)

Coordinates are taken as y up. Every cloud is centred on its mean and scaled to maximum radius 1, and its mesh
with it. The pool of a mesh is POOL points drawn evenly over its area, and the mesh is kept for ray casting.
A cloud of points is the pool itself, whatever its size: `corruptions.sample` draws from it, with repetition
where it has too few points.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import trimesh

from pointspider.clouds.names import Variant
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.study.cloud_files import validate_points
from pointspider.study.manifests import assign_roles

#: Points sampled on a mesh, as in ModelNet40's HDF5 files.
POOL = 2048
EXTENSIONS = (".npy", ".ply", ".off", ".h5")


class FolderSource:
    """See the module and `sources.Source`."""

    def __init__(
        self,
        directory: str | Path,
        classes: Sequence[str],
        evaluation_objects: int | None,
        encoder_objects: int,
        seed: int,
    ):
        """List the objects; files are read when their points are asked for.

        Args:
            directory: has a sub-folder per class.
            classes: the sub-folders to use.
            evaluation_objects, encoder_objects, seed: see `sampling.assign_roles`.

        Raises:
            InputError: a class has no or too few clouds; a file has an unknown extension or an unusable name;
                two files make the same object; an HDF5 file cannot be read.
        """
        self.directory = Path(directory)
        self.classes = tuple(sorted(classes))
        self.seed = seed
        self._files = {name: _list_objects(self.directory / name) for name in self.classes}
        self._objects = assign_roles(self._files, evaluation_objects, encoder_objects, seed)

    def __str__(self) -> str:
        return str(self.directory)

    def objects(self) -> pd.DataFrame:
        return self._objects.copy()

    def load(
        self, class_name: str, object_names: Sequence[str]
    ) -> list[tuple[np.ndarray, trimesh.Trimesh | None]]:
        return [
            load_object(*self._files[class_name][name], generator(self.seed, class_name, name, "surface"))
            for name in object_names
        ]

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> None:
        return None


def load_object(
    path: Path, row: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, trimesh.Trimesh | None]:
    """Read one object, normalised.

    Args:
        path: a file of one of EXTENSIONS.
        row: of an HDF5 file that holds several objects; None: the file is one object.
        rng: draws the points of a mesh.

    Returns:
        The pool, (P, 3) float32, and the mesh in the same coordinates, if the file has one.

    Raises:
        InputError: the file is missing, unreadable, empty, of the wrong kind or shape, or `validate_points`
            refuses it.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: clouds are {', '.join(EXTENSIONS)}; convert it.")
    points, mesh = reader(path, row)
    if mesh is not None:
        points = trimesh.sample.sample_surface(mesh, POOL, seed=rng)[0]
    validate_points(points, str(path) if row is None else f"{path} row {row}")
    points = points.astype(np.float64)
    centre = points.mean(axis=0)
    radius = np.linalg.norm(points - centre, axis=1).max()
    if mesh is not None:
        mesh = trimesh.Trimesh((mesh.vertices - centre) / radius, mesh.faces, process=False)
    return ((points - centre) / radius).astype(np.float32), mesh


def _list_objects(folder: Path) -> dict[str, tuple[Path, int | None]]:
    """{object: (file, row of an HDF5 file or None)} of one class, hidden files left out."""
    objects: dict[str, tuple[Path, int | None]] = {}
    for path in sorted(path for path in folder.iterdir() if path.name[0] != "."):
        if path.suffix.lower() not in EXTENSIONS:
            raise InputError(f"{path}: clouds are {', '.join(EXTENSIONS)}; convert it or take it away.")
        rows = _hdf5_rows(path) if path.suffix.lower() == ".h5" else None
        found = {path.stem: None} if rows is None else {f"{path.stem}_{row:04d}": row for row in range(rows)}
        for name, row in found.items():
            if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
                raise InputError(f"{path}: name it with letters, digits, '_', '-' and '.' only.")
            if name in objects:
                raise InputError(f"{path}: makes object '{name}', as {objects[name][0]} does; rename one.")
            objects[name] = path, row
    if not objects:
        raise InputError(f"{folder}: has no clouds; they are {', '.join(EXTENSIONS)}.")
    return objects


def _hdf5_rows(path: Path) -> int | None:
    """Number of objects in the file's `data`; None if it is one cloud, (P, 3)."""
    try:
        with h5py.File(path, "r") as file:
            shape = file["data"].shape
    except (OSError, KeyError, AttributeError) as error:
        raise _unreadable(path, error) from error
    if len(shape) not in (2, 3) or shape[-1] != 3:
        raise InputError(f"{path}: dataset 'data' must be (n, P, 3) or (P, 3), not {shape}.")
    return shape[0] if len(shape) == 3 else None


def _read_hdf5(path: Path, row: int | None) -> tuple[np.ndarray, None]:
    try:
        with h5py.File(path, "r") as file:
            return file["data"][() if row is None else row], None
    except (OSError, KeyError) as error:
        raise _unreadable(path, error) from error


def _read_npy(path: Path, row: None) -> tuple[np.ndarray, None]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] < 3:
        raise InputError(
            f"{path}: must be one array (N, 3 or more), not {getattr(array, 'shape', 'an archive')}."
        )
    return array[:, :3], None


def read_geometry(path: Path, row: None = None) -> tuple[np.ndarray, trimesh.Trimesh | None]:
    """The vertices (n, 3) float64 of a .ply or .off file, and its mesh if it has faces, as they stand there.

    Raises:
        InputError: the file is missing or broken, or its mesh has no area.
    """
    try:
        geometry = trimesh.load(path, process=False)
    except Exception as error:  # trimesh's parsers raise whatever the broken text leads to
        raise _unreadable(path, error) from error
    points = np.asarray(getattr(geometry, "vertices", np.empty((0, 3))))
    if not isinstance(geometry, trimesh.Trimesh) or len(geometry.faces) == 0:
        return points, None
    validate_points(points, str(path))
    if not geometry.area > 0:
        raise InputError(f"{path}: its mesh has no area; repair it or give its points as .npy.")
    geometry.remove_unreferenced_vertices()  # they would be part of its bounds
    return points, geometry


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({error}); is it a whole {path.suffix} file?")


_READERS = {".npy": _read_npy, ".ply": read_geometry, ".off": read_geometry, ".h5": _read_hdf5}
