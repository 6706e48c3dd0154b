"""The embedded source: forty parametric shapes named as ModelNet40's classes, every object random.

It needs no download. Its objects have meshes, so that occlusion and lidar can be ray-cast.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from pointspider.clouds.cloud import Cloud, Mesh
from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.clouds.sources.generated import GeneratedSettings, GeneratedSource
from pointspider.clouds.sources.registry import SOURCES
from pointspider.core.seeding import generator

if TYPE_CHECKING:
    import trimesh

#: Points of a cloud: as many as ModelNet40's HDF5 files have per object.
POOL = 2048
#: Degrees by which an object may be turned about y from its class's orientation, to either side.
YAW = 8.0


class ProceduralSettings(GeneratedSettings):
    """Parameters of the procedural source."""

    source: Literal["procedural"] = "procedural"


def build_mesh(class_name: str, rng: np.random.Generator) -> "trimesh.Trimesh":
    """Build a random object of a class: its parts in one mesh, y up, front towards -z."""
    import trimesh

    from pointspider.clouds.sources.procedural.recipes import RECIPES
    from pointspider.clouds.sources.procedural.shapes import flatten, turned

    parts = turned(RECIPES[class_name](rng), "y", rng.uniform(-YAW, YAW))
    return cast("trimesh.Trimesh", trimesh.util.concatenate(list(flatten(parts))))


@SOURCES.register("procedural")
class ProceduralSource(GeneratedSource):
    """Objects of the recipes."""

    Settings = ProceduralSettings

    def __str__(self) -> str:
        return "the procedural source"

    @classmethod
    def list_classes(cls, settings: ProceduralSettings) -> Sequence[str]:
        return MODELNET40_CLASSES

    def load(self, class_name: str, object_name: str) -> Cloud:
        """Return POOL points, uniform over the object's area, and its mesh."""
        built = build_mesh(class_name, generator(self._seed, class_name, object_name, "mesh"))
        mesh = Mesh(np.asarray(built.vertices), np.asarray(built.faces))
        points = mesh.sample(POOL, generator(self._seed, class_name, object_name, "surface"))
        return Cloud(points, mesh).normalize(f"{class_name}/{object_name}")
