"""A user's clouds: one sub-folder per class, with one file per object, or several objects in one file.

Every format of `clouds.readers` is read. A file with several clouds, such as an HDF5 file with `data`
(n, P, 3), has the objects <stem>_<row>. HDF5 files with a dataset `label` may also be in the directory
itself: the label is then the class, named by the lines of shape_names.txt if that file is beside them.

Coordinates are taken as y up. Every cloud is centred on its mean and scaled to maximum radius 1, and its mesh
with it. The points of a mesh are POOL points sampled uniformly over its area, and the mesh is used for ray
casting. A cloud of points is used as it is, whatever its size: `corruptions.engine.sample` draws from it and
repeats points where it has too few. density_inc draws twice as many points as a cloud has, so that it repeats
points of clouds of fewer than 2048.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from pointspider.clouds.cloud import Cloud, validate_points
from pointspider.clouds.readers.registry import FORMATS, count_clouds, extensions, load_cloud
from pointspider.clouds.sources.base import ALL, Objects, Source, SourceSettings
from pointspider.clouds.sources.registry import SOURCES, class_names
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Points sampled on a mesh, as many as ModelNet40's HDF5 files have.
POOL = 2048
NAME = re.compile(r"[\w.-]+", re.ASCII)
#: Files that are no clouds: hidden ones, and those that people and Windows add.
NO_CLOUD = re.compile(r"\..*|(readme|license)(\.\w+)?|thumbs\.db|desktop\.ini", re.IGNORECASE)
NAME_RULE = "name it with letters, digits, '_', '-' and '.' only."


class FolderSettings(SourceSettings):
    """Parameters of a folder of clouds."""

    source: Literal["folder"] = "folder"
    directory: str = Field(description="path of the folder that has a sub-folder of clouds per class")


class Place(NamedTuple):
    """Where an object is: a file, and a row of it if it has several clouds."""

    path: Path
    row: int | None


@SOURCES.register("folder")
class FolderSource(Source):
    """A folder of clouds. Files are read by `load`."""

    Settings = FolderSettings
    formats = tuple(FORMATS)

    def __init__(self, settings: FolderSettings, seed: int):
        """List the objects.

        Args:
            settings: see `FolderSettings`.
            seed: of the points sampled on meshes.

        Raises:
            InputError: a class has no clouds; a file has an unknown format or an unusable name; two files
                have the same object; a file of several clouds cannot be read.
        """
        self.directory = Path(settings.directory)
        self.classes = class_names(settings)
        self._seed = seed
        labelled = _labelled(self.directory)
        self._places = {
            name: labelled[name] if name in labelled else _list_objects(self.directory / name)
            for name in self.classes
        }

    def __str__(self) -> str:
        return str(self.directory)

    @classmethod
    def list_classes(cls, settings: FolderSettings) -> Sequence[str]:
        directory = Path(settings.directory)
        if not directory.is_dir():
            raise InputError(
                f"clouds.directory: '{settings.directory}' is not a directory; the source 'folder' needs one "
                "with a sub-folder of clouds per class."
            )
        names = sorted(path.name for path in directory.iterdir() if path.is_dir() and path.name[0] != ".")
        names = sorted({*names, *_labelled(directory)})
        if unusable := [name for name in names if not NAME.fullmatch(name)]:
            raise InputError(f"{directory / unusable[0]}: {NAME_RULE}")
        if len(names) < 2:
            raise InputError(
                f"{directory}: has {len(names)} sub-folders; put the clouds of each class into one, of two "
                "classes or more."
            )
        return names

    @classmethod
    def input_files(cls, settings: FolderSettings, class_name: str | None = None) -> list[str]:
        directory = Path(settings.directory)
        classes = [class_name] if class_name else class_names(settings)
        # A class without a folder is in the HDF5 files with labels, which are in the directory itself.
        folders = {directory / name if (directory / name).is_dir() else directory for name in classes}
        suffixes = FORMATS["h5"].extensions
        files = [path for folder in folders for path in _cloud_files(folder)]
        return sorted(
            str(path) for path in files if path.parent != directory or path.suffix.lower() in suffixes
        )

    def objects(self) -> Objects:
        return {ALL: {name: list(places) for name, places in self._places.items()}}

    def load(self, class_name: str, object_name: str) -> Cloud:
        places = self._places.get(class_name, {})
        if object_name not in places:
            raise InputError(
                f"{self.directory / class_name}: object '{object_name}', which was listed before, is gone. "
                "Run `snakemake` without options that select rules or triggers."
            )
        path, row = places[object_name]
        return load_object(path, row, generator(self._seed, class_name, object_name, "surface"))


def load_object(path: Path, row: int | None, rng: np.random.Generator) -> Cloud:
    """Read a cloud and normalize it; a mesh is sampled.

    Args:
        path: a file of a format of `clouds.readers`.
        row: of a file that has several clouds, else None.
        rng: draws the points on a mesh.

    Returns:
        The cloud, float32, and its mesh in the same coordinates, if it has one.

    Raises:
        InputError: see `load_cloud` and `Cloud.normalize`.
    """
    what = str(path) if row is None else f"{path} row {row}"
    cloud = load_cloud(path, row=row)
    if cloud.mesh is None:
        return cloud.normalize(what)
    validate_points(cloud.points, what)
    try:
        points = cloud.mesh.sample(POOL, rng)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    return Cloud(points, cloud.mesh).normalize(what)


def _cloud_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not NO_CLOUD.fullmatch(path.name)]


def _list_objects(folder: Path) -> dict[str, Place]:
    """Return {object: place} of one class."""
    objects: dict[str, Place] = {}
    for path in sorted(_cloud_files(folder)):
        count = count_clouds(path)
        if count is None:
            _add(objects, path.stem, Place(path, None))
        for row in range(count or 0):
            _add(objects, f"{path.stem}_{row:04d}", Place(path, row))
    if not objects:
        raise InputError(f"{folder}: has no clouds; they are {', '.join(extensions())}.")
    return objects


def _labelled(directory: Path) -> dict[str, dict[str, Place]]:
    """Return {class: {object: place}} of the HDF5 files with labels in the directory itself."""
    from pointspider.clouds.readers.hdf5 import read_classes

    listed = directory / "shape_names.txt"
    names = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
    classes: dict[str, dict[str, Place]] = {}
    paths = [path for path in directory.iterdir() if path.suffix.lower() in FORMATS["h5"].extensions]
    for path in sorted(paths):
        try:
            numbers = read_classes(path)
        except Exception as error:  # a damaged file raises almost any
            raise InputError(f"{path}: {error}") from error
        if numbers is None:
            raise InputError(f"{path}: has no dataset 'label'; add one or put the file into a sub-folder.")
        for row, number in enumerate(numbers.tolist()):
            name = names[number] if number < len(names) else f"class_{number:02d}"
            _add(classes.setdefault(name, {}), f"{path.stem}_{row:04d}", Place(path, row))
    return classes


def _add(objects: dict[str, Place], name: str, place: Place) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"{place.path}: {NAME_RULE}")
    if name in objects:
        raise InputError(f"{place.path}: makes object '{name}', as {objects[name].path} does; rename one.")
    objects[name] = place
