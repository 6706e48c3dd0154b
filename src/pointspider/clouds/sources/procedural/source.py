"""The embedded source: forty parametric shapes named as ModelNet40's classes, every object drawn at random.

It needs no download. Its meshes exist, so that occlusion and lidar can be ray-cast.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import trimesh

from pointspider.clouds.names import MODELNET40_CLASSES, Variant
from pointspider.clouds.sources.procedural.recipes import RECIPES
from pointspider.clouds.sources.procedural.shapes import flatten, turned
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Points in an object's pool: as many as ModelNet40's HDF5 holds per object, twice what a cloud takes.
POOL = 2048
#: Degrees by which an object may be turned about y from its class's orientation, to either side.
YAW = 8.0


def build_mesh(class_name: str, rng: np.random.Generator) -> trimesh.Trimesh:
    """A random object of a class: its parts in one mesh, y up, front towards -z, at any place and scale."""
    parts = turned(RECIPES[class_name](rng), "y", rng.uniform(-YAW, YAW))
    return trimesh.util.concatenate(list(flatten(parts)))


class ProceduralSource:
    """Objects of the recipes, each a function of (seed, class, object name) alone.

    So growing the numbers of objects, or choosing other classes, never changes an object.

    Attributes:
        classes: the chosen classes, sorted.
    """

    def __init__(
        self, seed: int, evaluation_objects: int, encoder_objects: int, classes: str | Sequence[str] = "all"
    ):
        """Choose how many objects there are of which classes.

        Args:
            seed: the seed of proportions and surface points (params: seeds.objects).
            evaluation_objects: objects per class that are aligned and evaluated, at least 1.
            encoder_objects: further objects per class for training the encoders, at least 0.
            classes: "all" or names of MODELNET40_CLASSES.

        Raises:
            InputError: an unknown class, or too few objects.
        """
        chosen = MODELNET40_CLASSES if classes == "all" else classes
        if unknown := sorted(set(chosen) - set(MODELNET40_CLASSES)):
            raise InputError(
                f"clouds.classes: {unknown} are not classes of the procedural source. "
                f"Use all, or a list of {', '.join(MODELNET40_CLASSES)}."
            )
        if not chosen:
            raise InputError("clouds.classes: names no class. Use all, or a list of classes.")
        if evaluation_objects < 1:
            raise InputError(f"clouds.evaluation_objects: is {evaluation_objects}; give at least 1.")
        if encoder_objects < 0:
            raise InputError(f"clouds.encoder_objects: is {encoder_objects}; give 0 or more.")
        self.classes = tuple(sorted(set(chosen)))
        self._seed = seed
        self._roles = ["evaluation"] * evaluation_objects + ["encoders"] * encoder_objects

    def __str__(self) -> str:
        return "the procedural source"

    def objects(self) -> pd.DataFrame:
        """One row per object: class, object ("0000" and up), role (evaluation first, then encoders)."""
        rows = [
            (class_name, f"{number:04d}", role)
            for class_name in self.classes
            for number, role in enumerate(self._roles)
        ]
        return pd.DataFrame(rows, columns=["class", "object", "role"])

    def load(
        self, class_name: str, object_names: Sequence[str]
    ) -> list[tuple[np.ndarray, trimesh.Trimesh | None]]:
        """Per object its mesh, and POOL independent points drawn evenly over its area, in the same frame."""
        return [self._build(class_name, name) for name in object_names]

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> np.ndarray | None:
        """None: every corruption is generated."""
        return None

    def _build(self, class_name: str, name: str) -> tuple[np.ndarray, trimesh.Trimesh]:
        mesh = build_mesh(class_name, generator(self._seed, class_name, name, "mesh"))
        surface = generator(self._seed, class_name, name, "surface")
        points, _ = trimesh.sample.sample_surface(mesh, POOL, seed=surface)
        centre = points.mean(axis=0)
        radius = np.linalg.norm(points - centre, axis=1).max()
        mesh.vertices = (mesh.vertices - centre) / radius
        return np.float32((points - centre) / radius), mesh
