"""The ModelNet40-C release: the 2468 clouds of ModelNet40's test split, clean and at 75 corruption levels.

Zenodo record 6017834, modelnet40_c.zip: label.npy, data_original.npy and data_<corruption>_<severity>.npy.
The frame is that of ModelNet40's HDF5 clouds: y up. The release holds 15 corruptions; its generator defines a
sixteenth, scale, which is generated from data_original.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, Num
from pydantic import Field

from pointspider.clouds.cloud import Cloud, validate_points
from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES, CorruptionLevel, levels
from pointspider.clouds.sources.base import TEST, Objects, Source, SourceSettings
from pointspider.clouds.sources.registry import SOURCES, class_names
from pointspider.core.errors import InputError

ORIGIN = "modelnet40_c.zip of Zenodo record 6017834 (data/sources.csv has its checksum)"
#: The corruption that the generator defines and the release lacks.
GENERATED = "scale"
#: The corruption levels of the release: 76 files of clouds.
RELEASED = (
    CLEAN,
    *levels(
        (
            "uniform", "gaussian", "background", "impulse", "upsampling", "rotation", "shear", "cutout",
            "density", "density_inc", "distortion", "distortion_rbf", "distortion_rbf_inv", "occlusion",
            "lidar",
        ),
        range(1, 6),
    ),
)  # fmt: skip
#: Points per clean cloud.
CLEAN_POINTS = 1024
#: Points per cloud at severities 1 to 5 where they are not CLEAN_POINTS.
POINTS = {
    "background": (1046, 1049, 1053, 1058, 1075),
    "upsampling": (1228, 1280, 1365, 1536, 2048),
    "cutout": (964, 934, 874, 814, 724),
    "density": (949, 874, 799, 724, 649),
    "lidar": (768, 768, 768, 768, 768),
}


def points_per_cloud(level: CorruptionLevel) -> int:
    """Return the number of points of the release's clouds at a corruption level."""
    return POINTS[level.corruption][level.severity - 1] if level.corruption in POINTS else CLEAN_POINTS


class ModelNet40CSettings(SourceSettings):
    """Parameters of the release."""

    source: Literal["modelnet40c"] = "modelnet40c"
    directory: str = Field(description="path of the unpacked modelnet40_c.zip")
    points: Literal[1024] = Field(
        default=1024, description="points per clean cloud; the release has 1024, no other number"
    )
    encoder_objects: Literal[0] = Field(
        default=0,
        description="must be 0, the release holds the test split only: use published encoders, or "
        "`clouds.source: generate`",
    )


@SOURCES.register("modelnet40c")
class ModelNet40C(Source):
    """The release. Files are memory-mapped; objects are named by row, "0000"."""

    Settings = ModelNet40CSettings

    def __init__(self, settings: ModelNet40CSettings, seed: int):
        """Open the release and check each of its 77 files, against each other.

        The number of objects is not checked: the archive's checksum is, before it is unpacked.

        Args:
            settings: see `ModelNet40CSettings`.
            seed: not used.

        Raises:
            InputError: the directory is missing; or files are missing, unreadable or of the wrong shape or
                type: all of them are listed.
        """
        self.directory = Path(settings.directory)
        self.classes = class_names(settings)
        if not self.directory.is_dir():
            raise InputError(
                f"clouds.directory: '{settings.directory}' is not a directory; unpack {ORIGIN} there."
            )
        deeper = next(self.directory.glob("*/label.npy"), None)
        if deeper and not (self.directory / "label.npy").exists():
            raise InputError(
                f"{self.directory}: the release is one folder too deep; set clouds.directory to "
                f"{deeper.parent}, or move its files up."
            )
        self._problems: list[str] = []
        labels = self._open_labels()
        self._arrays = {level: self._open_clouds(level, len(labels)) for level in RELEASED}
        if self._problems:
            raise InputError(
                f"{self.directory}: {len(self._problems)} of the release's {len(RELEASED) + 1} files are not "
                f"what they should be; fetch them again from {ORIGIN}:\n  " + "\n  ".join(self._problems)
            )
        self._rows = {name: np.flatnonzero(labels == MODELNET40_CLASSES.index(name)) for name in self.classes}

    def __str__(self) -> str:
        return str(self.directory)

    @classmethod
    def list_classes(cls, settings: ModelNet40CSettings) -> Sequence[str]:
        return MODELNET40_CLASSES

    @classmethod
    def input_files(cls, settings: ModelNet40CSettings, class_name: str | None = None) -> list[str]:
        return [settings.directory]

    def objects(self) -> Objects:
        return {TEST: {name: [f"{row:04d}" for row in rows] for name, rows in self._rows.items()}}

    def load(self, class_name: str, object_name: str) -> Cloud:
        return Cloud(self._read([object_name], CLEAN)[0])

    def released(
        self, class_name: str, object_names: Sequence[str], level: CorruptionLevel
    ) -> Float[np.ndarray, "n N 3"] | None:
        return None if level.corruption == GENERATED else self._read(object_names, level)

    def _read(self, object_names: Sequence[str], level: CorruptionLevel) -> Float[np.ndarray, "n N 3"]:
        array = self._arrays[level]
        assert array is not None  # else the constructor has raised
        clouds = array[[int(name) for name in object_names]].astype(np.float32)
        for name, cloud in zip(object_names, clouds, strict=True):
            validate_points(cloud, f"{self.directory}/data_{level}.npy row {name}")
        return clouds

    def _open_labels(self) -> Integer[np.ndarray, " n"]:
        """Return the class of each row; empty if label.npy is unusable."""
        labels = self._open("label.npy")
        if labels is None:
            return np.empty(0, int)
        if labels.dtype.kind not in "iu" or labels.shape not in ((len(labels),), (len(labels), 1)):
            self._problems.append(f"label.npy: {labels.dtype} {labels.shape}, not (n, 1) integers")
            return np.empty(0, int)
        if not np.isin(labels, np.arange(len(MODELNET40_CLASSES))).all():
            self._problems.append(f"label.npy: has labels beyond 0 to {len(MODELNET40_CLASSES) - 1}")
        return np.asarray(labels).ravel()

    def _open_clouds(self, level: CorruptionLevel, count: int) -> Num[np.ndarray, "..."] | None:
        """Open the clouds at a level; `count` is the number of labels, 0 if it is not known."""
        name = f"data_{level}.npy"
        clouds = self._open(name)
        if clouds is not None:
            expected = (count or len(clouds), points_per_cloud(level), 3)
            if clouds.shape != expected or clouds.dtype not in (np.float32, np.float64):
                self._problems.append(f"{name}: {clouds.dtype} {clouds.shape}, not floats {expected}")
        return clouds

    def _open(self, name: str) -> Num[np.ndarray, "..."] | None:
        """Memory-map the array of a file; None if there is none, with a note in `_problems`."""
        try:
            array = np.lib.format.open_memmap(self.directory / name, mode="r")
        except FileNotFoundError:
            self._problems.append(f"{name}: missing")
        except Exception as error:  # a damaged header raises almost any
            self._problems.append(f"{name}: cannot be read ({error})")
        else:
            if array.ndim:
                return array
            self._problems.append(f"{name}: a single number")
        return None
