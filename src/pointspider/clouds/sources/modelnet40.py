"""ModelNet40 itself, from which `clouds.source: generate` generates ModelNet40-C's clouds.

modelnet40_ply_hdf5_2048/   ply_data_<split><k>.h5 with `data` (n, 2048, 3), and for its n rows the names
                            "<class>/<object>.ply" in ply_data_<split>_<k>_id2file.json
ModelNet40/                 <class>/<split>/<object>.off, the meshes; for occlusion and lidar
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Integer
from pydantic import Field

from pointspider.clouds.cloud import Cloud, Mesh, validate_points
from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.clouds.readers.registry import load_cloud
from pointspider.clouds.sources.base import TEST, TRAIN, Objects, Source, SourceSettings
from pointspider.clouds.sources.registry import SOURCES, class_names
from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size

POINTS = "modelnet40_ply_hdf5_2048"
MESHES = "ModelNet40"


class ModelNet40Settings(SourceSettings):
    """Parameters of ModelNet40."""

    source: Literal["generate"] = "generate"
    directory: str = Field(description="path that has ModelNet40's two folders")
    corruptions: tuple[str, ...] = Field(
        default=(), description="names of corruptions; occlusion and lidar need the meshes"
    )

    @property
    def needs_meshes(self) -> bool:
        """Whether one of `corruptions` needs a mesh."""
        from pointspider.clouds.corruptions.registry import CORRUPTIONS

        return any(CORRUPTIONS.find(name).needs_mesh for name in self.corruptions)


@SOURCES.register("generate")
class ModelNet40(Source):
    """ModelNet40, train and test split. Objects are named as their files, "airplane_0627".

    A cloud has the object's 2048 points.
    """

    Settings = ModelNet40Settings
    formats = ("off",)

    def __init__(self, settings: ModelNet40Settings, seed: int):
        """List the objects; points and meshes are read by `load`.

        Args:
            settings: see `ModelNet40Settings`.
            seed: not used.

        Raises:
            InputError: a folder or file is missing or cannot be read.
        """
        needed = [POINTS, MESHES] if settings.needs_meshes else [POINTS]
        self.directory = Path(settings.directory)
        self.classes = class_names(settings)
        missing = [name for name in needed if not (self.directory / name).is_dir()]
        deeper = next((path.parent for path in self.directory.glob(f"*/{needed[0]}") if path.is_dir()), None)
        if missing and deeper:
            raise InputError(
                f"clouds.directory: '{settings.directory}' has ModelNet40 one folder too deep; set it to "
                f"{deeper}."
            )
        if missing:
            raise InputError(
                f"clouds.directory: '{settings.directory}' has no {' and no '.join(missing)}; unpack "
                f"{' and '.join(f'{name}.zip' for name in missing)} there."
            )
        self._meshes = settings.needs_meshes
        #: {class: {object: (file, row, split)}}
        self._places: dict[str, dict[str, tuple[Path, int, str]]] = {name: {} for name in self.classes}
        self._objects = {split: self._list_objects(split) for split in (TEST, TRAIN)}
        self._cached: tuple[tuple[str, str], dict[str, Float32[np.ndarray, "P 3"]]] = (("", ""), {})

    def __str__(self) -> str:
        return str(self.directory)

    @classmethod
    def list_classes(cls, settings: ModelNet40Settings) -> Sequence[str]:
        return MODELNET40_CLASSES

    @classmethod
    def input_files(cls, settings: ModelNet40Settings, class_name: str | None = None) -> list[str]:
        return [f"{settings.directory}/{name}" for name in (POINTS, MESHES)]

    def objects(self) -> Objects:
        return self._objects

    def load(self, class_name: str, object_name: str) -> Cloud:
        split = self._places[class_name][object_name][2]
        if self._cached[0] != (class_name, split):  # rows of one file are read together, which is faster
            self._cached = (class_name, split), self._read_points(class_name, split)
        return Cloud(self._cached[1][object_name], self._read_mesh(class_name, split, object_name))

    def _read_points(self, class_name: str, split: str) -> dict[str, Float32[np.ndarray, "P 3"]]:
        """Read the points of all objects of a class in a split."""
        import h5py

        places = {name: place for name, place in self._places[class_name].items() if place[2] == split}
        found = {}
        for path in {path for path, _, _ in places.values()}:
            rows = sorted((row, name) for name, (other, row, _) in places.items() if other == path)
            try:
                with h5py.File(path, "r") as file:
                    clouds = file["data"][[row for row, _ in rows]].astype(np.float32)
            except Exception as error:  # a damaged file raises almost any
                raise InputError(f"{path}: cannot be read ({error}); unpack {POINTS}.zip again.") from error
            for (row, name), cloud in zip(rows, clouds, strict=True):
                validate_points(cloud, f"{path} row {row}")
                found[name] = cloud
        return found

    def _list_objects(self, split: str) -> dict[str, list[str]]:
        """Return {class: objects} of a split, and fill `_places`."""
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

    def _read_mesh(self, class_name: str, split: str, name: str) -> Mesh | None:
        """Read the object's surface and turn it from the meshes' z up to the points' y up."""
        if not self._meshes:
            return None
        path = self.directory / MESHES / class_name / split / f"{name}.off"
        mesh = load_cloud(path).mesh
        if mesh is None:
            raise InputError(f"{path}: has no faces; unpack {MESHES}.zip again.")
        # The rotation of ModelNet40-C's generator.
        return Mesh(mesh.vertices[:, [0, 2, 1]] * [-1, 1, 1], mesh.faces)


def _row_names(path: Path, split: str) -> list[tuple[str, str]]:
    """Return (class, object) of every row of a file of points.

    Raises:
        InputError: the file or its list of names is missing or broken, or they differ in length.
    """
    import h5py

    number = path.stem.removeprefix(f"ply_data_{split}")
    names = path.with_name(f"ply_data_{split}_{number}_id2file.json")
    try:
        with h5py.File(path, "r") as file:
            shape = file["data"].shape
            check_size(file["data"].nbytes, path)
        listed = json.loads(names.read_text(encoding="utf-8"))
        split_names = [name.removesuffix(".ply").split("/") for name in listed]
        pairs = [(class_name, name) for class_name, name in split_names]
    except Exception as error:  # damaged files raise almost any
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
) -> tuple[Float32[np.ndarray, "n N 3"], Integer[np.ndarray, " n"]]:
    """Read the first points of each cloud of the train split, as ModelNet40-C's benchmark trains on it.

    Args:
        directory: modelnet40_ply_hdf5_2048.
        classes: of ModelNet40's; clouds of other classes are dropped.
        points: N, at most 2048.

    Returns:
        The clouds, and the index of each one's class in `classes`.

    Raises:
        InputError: the files are missing or broken; labels and clouds differ in length; a cloud has fewer
            points, or unusable ones.
    """
    import h5py

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
        except Exception as error:  # a damaged file raises almost any
            raise InputError(f"{path}: cannot be read ({error}); unpack {POINTS}.zip again.") from error
        known = np.isin(label, np.arange(len(numbers))).all()
        if data.shape != (len(label), points, 3) or not known:
            raise InputError(
                f"{path}: {len(label)} labels and clouds {data.shape}, not as many clouds of {points} points "
                f"and labels from 0 to {len(numbers) - 1}; unpack {POINTS}.zip again."
            )
        for row, cloud in enumerate(data):
            validate_points(cloud, f"{path} row {row}")
        selected = numbers[label] >= 0
        clouds.append(data[selected])
        labels.append(numbers[label[selected]])
    return np.concatenate(clouds), np.concatenate(labels)
