"""Where clouds come from: one interface over procedural shapes, a user's folder and ModelNet40-C."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from pointspider.clouds.catalogue import Variant, class_names, variants
from pointspider.errors import InputError

if TYPE_CHECKING:
    import trimesh


class Source(Protocol):
    """Named objects of named classes, each with points and perhaps a mesh.

    `str(source)` names it in error messages.
    """

    classes: tuple[str, ...]  # sorted

    def objects(self) -> pd.DataFrame:
        """Every object that is used: class, object (unique in its class), role (evaluation or encoders)."""

    def points(self, class_name: str, object_names: Sequence[str]) -> list[np.ndarray]:
        """The clean pools, each (P, 3) float32, P >= 1, mean-centred with maximum radius 1, y up."""

    def meshes(self, class_name: str, object_names: Sequence[str]) -> "list[trimesh.Trimesh | None]":
        """The surfaces, y up; None for an object that has only points."""

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> np.ndarray | None:
        """(n, N, 3) float32 if the source itself holds the variant, else None: it is to be generated."""


def open_source(settings: dict, seed: int) -> Source:
    """Open the source that `clouds.source` names.

    Args:
        settings: section `clouds` of the resolved parameters.
        seed: `seeds.objects`.

    Raises:
        InputError: the source is missing something or cannot be read.
    """
    classes = tuple(class_names(settings))
    evaluation, encoders = settings["evaluation_objects"], settings["encoder_objects"]
    # Only the module of the chosen source is imported: each has its own heavy dependencies.
    match settings["source"]:
        case "procedural":
            from pointspider.clouds.procedural import ProceduralSource

            if evaluation is None:
                raise InputError("clouds.evaluation_objects: null, but shapes have no end; give a number.")
            return ProceduralSource(seed, evaluation, encoders, classes)
        case "folder":
            from pointspider.clouds.folder import FolderSource

            return FolderSource(settings["directory"], classes, evaluation, encoders, seed)
        case "modelnet40c":
            from pointspider.clouds.modelnet40c import CLEAN_POINTS, ModelNet40C

            if encoders:
                raise InputError(
                    f"clouds.encoder_objects: {encoders}, but ModelNet40-C holds the test split only; set it "
                    "to 0 and give published encoders."
                )
            if settings["points"] != CLEAN_POINTS:
                raise InputError(
                    f"clouds.points: {settings['points']}, but ModelNet40-C was made of clouds of "
                    f"{CLEAN_POINTS} points; set it to {CLEAN_POINTS}."
                )
            wanted = variants(settings["corruptions"], settings["severities"])
            return ModelNet40C(settings["directory"], classes, evaluation, wanted, seed)
    raise InputError(f"clouds.source: '{settings['source']}'; choose procedural, folder or modelnet40c.")
