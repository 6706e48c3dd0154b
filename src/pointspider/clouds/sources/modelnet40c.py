"""The ModelNet40-C release: 2468 clouds of ModelNet40's test split, clean and in 75 corrupted variants.

Zenodo record 6017834, modelnet40_c.zip: label.npy, data_original.npy and data_<corruption>_<severity>.npy.
The frame is that of ModelNet40's HDF5 clouds: y up. The release holds 15 corruptions; its generator defines a
sixteenth, scale, which is generated from data_original.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.clouds.corruptions.modelnet40c import NAMES
from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES, Variant, variants
from pointspider.core.errors import InputError
from pointspider.study.cloud_files import validate_points
from pointspider.study.manifests import assign_roles

ORIGIN = "modelnet40_c.zip of Zenodo record 6017834 (data/sources.csv has its checksum)"
#: What the generator defines and the release lacks.
GENERATED = "scale"
#: What the release holds: 76 files of clouds, beside label.npy.
RELEASED = (CLEAN, *variants([name for name in NAMES if name != GENERATED], [1, 2, 3, 4, 5]))
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


def points_per_cloud(variant: Variant) -> int:
    """The number of points of the release's clouds of a variant."""
    return POINTS[variant.corruption][variant.severity - 1] if variant.corruption in POINTS else CLEAN_POINTS


class ModelNet40C:
    """See the module and `sources.Source`. Files are memory-mapped; objects are named by row, "0000"."""

    def __init__(
        self, directory: str | Path | None, classes: Sequence[str], evaluation_objects: int | None, seed: int
    ):
        """Open the release and check each of its 77 files, against each other.

        That they hold all 2468 objects is not checked here: the archive's checksum tells it, before it is
        unpacked.

        Args:
            directory: the unpacked modelnet40_c.zip.
            classes: of ModelNet40's.
            evaluation_objects, seed: see `sampling.assign_roles`; there are no encoder objects.

        Raises:
            InputError: the directory is missing; or files are missing, unreadable or of the wrong shape or
                type: all of them are listed.
        """
        if not directory or not Path(directory).is_dir():
            raise InputError(f"clouds.directory: '{directory}' is not a directory; unpack {ORIGIN} there.")
        self.directory = Path(directory)
        self.classes = tuple(sorted(classes))
        self._problems: list[str] = []
        labels = self._open_labels()
        self._arrays = {variant: self._open_clouds(variant, len(labels)) for variant in RELEASED}
        if self._problems:
            raise InputError(
                f"{directory}: {len(self._problems)} of the release's {len(RELEASED) + 1} files are not what "
                f"they should be; fetch them again from {ORIGIN}:\n  " + "\n  ".join(self._problems)
            )
        rows = {name: np.flatnonzero(labels == MODELNET40_CLASSES.index(name)) for name in self.classes}
        names = {name: [f"{row:04d}" for row in rows[name]] for name in self.classes}
        self._objects = assign_roles(names, evaluation_objects, 0, seed)

    def __str__(self) -> str:
        return str(self.directory)

    def objects(self) -> pd.DataFrame:
        return self._objects.copy()

    def load(self, class_name: str, object_names: Sequence[str]) -> list[tuple[np.ndarray, None]]:
        return [(cloud, None) for cloud in self.released(class_name, object_names, CLEAN)]

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> np.ndarray | None:
        if variant.corruption == GENERATED:
            return None
        rows = [int(name) for name in object_names]
        clouds = self._arrays[variant][rows].astype(np.float32)
        for name, cloud in zip(object_names, clouds, strict=True):
            validate_points(cloud, f"{self.directory}/data_{variant}.npy row {name}")
        return clouds

    def _open_labels(self) -> np.ndarray:
        """The class of each row, (n,) integers; empty if label.npy is unusable."""
        labels = self._open("label.npy")
        if labels is None:
            return np.empty(0, int)
        if labels.dtype.kind not in "iu" or labels.shape not in ((len(labels),), (len(labels), 1)):
            self._problems.append(f"label.npy: {labels.dtype} {labels.shape}, not (n, 1) integers")
            return np.empty(0, int)
        if not np.isin(labels, np.arange(len(MODELNET40_CLASSES))).all():
            self._problems.append(f"label.npy: has labels beyond 0 to {len(MODELNET40_CLASSES) - 1}")
        return np.asarray(labels).ravel()

    def _open_clouds(self, variant: Variant, count: int) -> np.ndarray | None:
        """The clouds of a variant; `count` is the number of labels, 0 if it is not known."""
        name = f"data_{variant}.npy"
        clouds = self._open(name)
        if clouds is not None:
            wanted = (count or len(clouds), points_per_cloud(variant), 3)
            if clouds.shape != wanted or clouds.dtype not in (np.float32, np.float64):
                self._problems.append(f"{name}: {clouds.dtype} {clouds.shape}, not floats {wanted}")
        return clouds

    def _open(self, name: str) -> np.ndarray | None:
        """A file's array, memory-mapped; None if it has none, with a note in `_problems`."""
        try:
            array = np.lib.format.open_memmap(self.directory / name, mode="r")
        except FileNotFoundError:
            self._problems.append(f"{name}: missing")
        except (OSError, ValueError) as error:
            self._problems.append(f"{name}: cannot be read ({error})")
        else:
            if array.ndim:
                return array
            self._problems.append(f"{name}: a single number")
        return None
