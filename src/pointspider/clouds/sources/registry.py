"""Where clouds come from: one interface over shapes, a user's folder, ModelNet40-C and ModelNet40."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from pointspider.clouds.names import Variant, class_names
from pointspider.core.errors import InputError

if TYPE_CHECKING:
    import trimesh


class Source(Protocol):
    """Named objects of named classes, each with points and perhaps a mesh.

    `str(source)` names it in error messages.
    """

    classes: tuple[str, ...]  # sorted

    def objects(self) -> pd.DataFrame:
        """Every object that is used: class, object (unique in its class), role (evaluation or encoders)."""

    def load(
        self, class_name: str, object_names: Sequence[str]
    ) -> "list[tuple[np.ndarray, trimesh.Trimesh | None]]":
        """The clean pool (P, 3) float32, P >= 1, of each object, and its surface if it has one.

        Pools are mean-centred with maximum radius 1. Points and surface are y up.
        """

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
            from pointspider.clouds.sources.procedural.source import ProceduralSource

            if evaluation is None:
                raise InputError("clouds.evaluation_objects: null, but shapes have no end; give a number.")
            return ProceduralSource(seed, evaluation, encoders, classes)
        case "folder":
            from pointspider.clouds.sources.folder import FolderSource

            return FolderSource(settings["directory"], classes, evaluation, encoders, seed)
        case "modelnet40c":
            from pointspider.clouds.sources.modelnet40c import CLEAN_POINTS, ModelNet40C

            if encoders:
                raise InputError(
                    f"clouds.encoder_objects: {encoders}, but ModelNet40-C holds the test split only; set it "
                    "to 0 and give published encoders, or take `clouds.source: generate`."
                )
            if settings["points"] != CLEAN_POINTS:
                raise InputError(
                    f"clouds.points: {settings['points']}, but ModelNet40-C was made of clouds of "
                    f"{CLEAN_POINTS} points; set it to {CLEAN_POINTS}."
                )
            return ModelNet40C(settings["directory"], classes, evaluation, seed)
        case "generate":
            from pointspider.clouds.corruptions.modelnet40c import NEEDS_MESH
            from pointspider.clouds.sources.modelnet40 import ModelNet40

            meshes = not set(NEEDS_MESH).isdisjoint(settings["corruptions"])
            return ModelNet40(settings["directory"], classes, evaluation, encoders, meshes, seed)
    raise InputError(
        f"clouds.source: '{settings['source']}'; choose procedural, folder, modelnet40c or generate."
    )
