"""ModelNet40 itself, from which `clouds.source: generate` makes ModelNet40-C's clouds anew.

    modelnet40_ply_hdf5_2048/   ply_data_<split><k>.h5 with `data` (n, 2048, 3), and for its n rows the names
                                "<class>/<object>.ply" in ply_data_<split>_<k>_id2file.json
    ModelNet40/                 <class>/<split>/<object>.off, the meshes; for occlusion and lidar

The evaluation objects are those of the test split, as in ModelNet40-C; the encoder objects are of the train
split. An object's pool is its 2048 points, of which `corruptions.sample` draws.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import trimesh

from pointspider.clouds.names import MODELNET40_CLASSES, Variant
from pointspider.clouds.sources.folder import read_geometry
from pointspider.core.errors import InputError
from pointspider.study.cloud_files import validate_points
from pointspider.study.manifests import assign_roles

POINTS = "modelnet40_ply_hdf5_2048"
MESHES = "ModelNet40"


class ModelNet40:
    """See the module and `sources.Source`. Objects are named as their files, "airplane_0627"."""

    def __init__(
        self,
        directory: str | Path | None,
        classes: Sequence[str],
        evaluation_objects: int | None,
        encoder_objects: int,
        meshes: bool,
        seed: int,
    ):
        """List the objects; points and meshes are read when they are asked for.

        Args:
            directory: holds the folders of the module's head.
            classes: of ModelNet40's.
            evaluation_objects: test objects per class; None: all.
            encoder_objects: train objects per class.
            meshes: are meshes needed?
            seed: see `sampling.assign_roles`.

        Raises:
            InputError: a folder or file is missing or cannot be read; a class has too few objects.
        """
        needed = [POINTS, MESHES] if meshes else [POINTS]
        missing = [name for name in needed if not directory or not Path(directory, name).is_dir()]
        if missing:
            raise InputError(
                f"clouds.directory: '{directory}' has no {' and no '.join(missing)}; unpack "
                f"{' and '.join(f'{name}.zip' for name in missing)} there."
            )
        self.directory = Path(directory)
        self.classes = tuple(sorted(classes))
        self._meshes = meshes
        self._places = {name: {} for name in self.classes}  # class -> object -> (file, row, split)
        roles = [assign_roles(self._list_objects("test"), evaluation_objects, 0, seed)]
        if encoder_objects:
            roles.append(assign_roles(self._list_objects("train"), 0, encoder_objects, seed))
        self._objects = pd.concat(roles).sort_values(["class", "object"], ignore_index=True)

    def __str__(self) -> str:
        return str(self.directory)

    def objects(self) -> pd.DataFrame:
        return self._objects.copy()

    def load(
        self, class_name: str, object_names: Sequence[str]
    ) -> list[tuple[np.ndarray, trimesh.Trimesh | None]]:
        places = [self._places[class_name][name] for name in object_names]
        pools: dict[tuple[Path, int], np.ndarray] = {}
        for path in {path for path, _, _ in places}:
            rows = sorted(row for other, row, _ in places if other == path)
            try:
                with h5py.File(path, "r") as file:
                    clouds = file["data"][rows].astype(np.float32)  # h5py wants increasing rows
            except (OSError, KeyError, ValueError) as error:
                raise InputError(f"{path}: cannot be read ({error}); unpack {POINTS}.zip again.") from error
            for row, cloud in zip(rows, clouds, strict=True):
                validate_points(cloud, f"{path} row {row}")
                pools[path, row] = cloud
        return [
            (pools[path, row], self._read_mesh(class_name, split, name))
            for name, (path, row, split) in zip(object_names, places, strict=True)
        ]

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> None:
        return None

    def _list_objects(self, split: str) -> dict[str, list[str]]:
        """{class: its objects} of a split; notes in `_places` where their points are."""
        found: dict[str, list[str]] = {name: [] for name in self.classes}
        paths = sorted((self.directory / POINTS).glob(f"ply_data_{split}[0-9].h5"))
        if not paths:
            raise InputError(
                f"{self.directory / POINTS}: has no ply_data_{split}<k>.h5; unpack {POINTS}.zip there."
            )
        for path in paths:
            for row, (class_name, name) in enumerate(_row_names(path, split)):
                if class_name in found:
                    found[class_name].append(name)
                    self._places[class_name][name] = path, row, split
        return found

    def _read_mesh(self, class_name: str, split: str, name: str) -> trimesh.Trimesh | None:
        """The object's surface, turned from the meshes' z up to the points' y up."""
        if not self._meshes:
            return None
        path = self.directory / MESHES / class_name / split / f"{name}.off"
        _, mesh = read_geometry(path)
        if mesh is None:
            raise InputError(f"{path}: is no mesh; unpack {MESHES}.zip again.")
        mesh.vertices = mesh.vertices[:, [0, 2, 1]] * [-1, 1, 1]  # as ModelNet40-C's generator turns them
        return mesh


def _row_names(path: Path, split: str) -> list[tuple[str, str]]:
    """(class, object) of every row of a file of points.

    Raises:
        InputError: the file or its list of names is missing or broken, or they differ in length.
    """
    number = path.stem.removeprefix(f"ply_data_{split}")
    names = path.with_name(f"ply_data_{split}_{number}_id2file.json")
    try:
        with h5py.File(path, "r") as file:
            shape = file["data"].shape
        listed = [name.removesuffix(".ply").split("/") for name in json.loads(names.read_text())]
        pairs = [(class_name, name) for class_name, name in listed]
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} and {names.name}: cannot be read ({error}); unpack {POINTS}.zip again."
        ) from error
    if shape[:1] != (len(pairs),) or shape[2:] != (3,):
        raise InputError(
            f"{path}: clouds {shape}, but {names.name} names {len(pairs)}; unpack {POINTS}.zip again."
        )
    return pairs


def read_train_split(
    directory: str | Path, classes: Sequence[str], points: int
) -> tuple[np.ndarray, np.ndarray]:
    """The train split, the first `points` points of each cloud, as ModelNet40-C's benchmark trains on it.

    Args:
        directory: modelnet40_ply_hdf5_2048.
        classes: of ModelNet40's; clouds of others are left out.
        points: the files have 2048.

    Returns:
        Clouds (n, points, 3) float32, and the numbers (n,) of their classes in `classes`.

    Raises:
        InputError: the files are missing or broken; labels and clouds differ in length; a cloud has fewer
            points, or unusable ones.
    """
    paths = sorted(Path(directory).glob("ply_data_train*.h5"))
    if not paths:
        raise InputError(f"{directory}: has no ply_data_train<k>.h5; unpack {POINTS}.zip there.")
    numbers = np.full(len(MODELNET40_CLASSES), -1)
    numbers[[MODELNET40_CLASSES.index(name) for name in classes]] = np.arange(len(classes))
    clouds, labels = [], []
    for path in paths:
        try:
            with h5py.File(path, "r") as file:
                data, label = file["data"][:, :points].astype(np.float32), file["label"][:].ravel()
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); unpack {POINTS}.zip again.") from error
        known = np.isin(label, np.arange(len(numbers))).all()
        if data.shape != (len(label), points, 3) or not known:
            raise InputError(
                f"{path}: {len(label)} labels and clouds {data.shape}, not as many clouds of {points} points "
                f"and labels from 0 to {len(numbers) - 1}; unpack {POINTS}.zip again."
            )
        for row, cloud in enumerate(data):
            validate_points(cloud, f"{path} row {row}")
        wanted = numbers[label] >= 0
        clouds.append(data[wanted])
        labels.append(numbers[label[wanted]])
    return np.concatenate(clouds), np.concatenate(labels)
