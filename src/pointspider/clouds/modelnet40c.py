"""The ModelNet40-C release: 2468 clouds of ModelNet40's test split, clean and corrupted.

Zenodo record 6017834, modelnet40_c.zip: label.npy, data_original.npy and data_<corruption>_<severity>.npy.
The frame is that of ModelNet40's HDF5 clouds: y up. The release holds 15 corruptions; its generator defines a
sixteenth, scale, which is generated from data_original.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import trimesh

from pointspider.clouds.catalogue import CLEAN, MODELNET40_CLASSES, Variant
from pointspider.clouds.files import validate_points
from pointspider.clouds.sampling import assign_roles
from pointspider.errors import InputError

ORIGIN = "Zenodo record 6017834, modelnet40_c.zip (1,970,686,633 bytes, MD5 c4a7fffaa52c80b33f7b3a0ac7782d3b)"
#: What the generator defines and the release lacks.
GENERATED = "scale"
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
        self,
        directory: str | Path | None,
        classes: Sequence[str],
        evaluation_objects: int | None,
        variants: Sequence[Variant],
        seed: int,
    ):
        """Open the release and check every file that `variants` needs.

        Args:
            directory: the unpacked modelnet40_c.zip.
            classes: of ModelNet40's.
            evaluation_objects, seed: see `sampling.assign_roles`; there are no encoder objects.
            variants: the corrupted variants that will be asked for.

        Raises:
            InputError: the directory or a file is missing, or an array has the wrong shape or type.
        """
        if not directory or not Path(directory).is_dir():
            raise InputError(f"clouds.directory: '{directory}' is not a directory; unpack {ORIGIN} there.")
        self.directory = Path(directory)
        self.classes = tuple(sorted(classes))
        labels = self._open("label.npy")
        if labels.dtype.kind not in "iu" or labels.shape not in ((len(labels),), (len(labels), 1)):
            raise InputError(
                f"{directory}/label.npy: {labels.dtype} {labels.shape}, not (n, 1) integers; fetch it again."
            )
        labels = np.asarray(labels).ravel()
        if not np.isin(labels, np.arange(len(MODELNET40_CLASSES))).all():
            raise InputError(f"{directory}/label.npy: has labels beyond 0 to 39; fetch it again.")
        self._arrays = {
            variant: self._open_variant(variant, len(labels))
            for variant in (CLEAN, *variants)
            if variant.corruption != GENERATED
        }
        rows = {
            name: np.flatnonzero(labels == MODELNET40_CLASSES.index(name)).tolist() for name in self.classes
        }
        names = {name: [f"{row:04d}" for row in rows[name]] for name in self.classes}
        self._objects = assign_roles(names, evaluation_objects, 0, seed)

    def __str__(self) -> str:
        return str(self.directory)

    def objects(self) -> pd.DataFrame:
        return self._objects.copy()

    def points(self, class_name: str, object_names: Sequence[str]) -> list[np.ndarray]:
        return list(self.released(class_name, object_names, CLEAN))

    def meshes(self, class_name: str, object_names: Sequence[str]) -> list[trimesh.Trimesh | None]:
        return [None] * len(object_names)

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> np.ndarray | None:
        if variant.corruption == GENERATED:
            return None
        rows = [int(name) for name in object_names]
        clouds = self._arrays[variant][rows].astype(np.float32)
        for name, cloud in zip(object_names, clouds, strict=True):
            validate_points(cloud, f"{self.directory}/data_{variant}.npy row {name}")
        return clouds

    def _open_variant(self, variant: Variant, count: int) -> np.ndarray:
        array = self._open(f"data_{variant}.npy")
        wanted = (count, points_per_cloud(variant), 3)
        if array.shape != wanted or array.dtype not in (np.float32, np.float64):
            raise InputError(
                f"{self.directory}/data_{variant}.npy: {array.dtype} {array.shape}, not floats {wanted}; "
                f"fetch it again from {ORIGIN}."
            )
        return array

    def _open(self, name: str) -> np.ndarray:
        path = self.directory / name
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise InputError(
                f"{path}: missing. It is part of ModelNet40-C: unpack {ORIGIN} into {self.directory}."
            ) from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); fetch it again from {ORIGIN}.") from error
