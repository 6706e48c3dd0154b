"""The interface of a source of clouds, and its settings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.names import CorruptionLevel

#: {split: {class: its objects}}. A source without splits of its own has one, ALL.
Objects = Mapping[str, Mapping[str, Sequence[str]]]
TRAIN, TEST, ALL = "train", "test", "all"


class SourceSettings(BaseModel):
    """What every source has: the parameters of section `clouds` that it reads. Each source extends it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    classes: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default="all", description="all, or the classes to use"
    )


class Source(ABC):
    """Named objects of named classes, each with points and perhaps a mesh. `str(source)` names it in errors.

    To add a source, write a module in this package with a subclass that is registered by
    `@SOURCES.register("<name>")`. The module must be quick to import: import trimesh, h5py and the like
    inside the methods.

    Attributes:
        Settings: the parameters; its field `source` is the literal name.
        formats: of the files that `load` reads, names of `readers.registry.FORMATS`.
        classes: names, sorted.
    """

    Settings: ClassVar[type[SourceSettings]]
    formats: ClassVar[tuple[str, ...]] = ()
    classes: tuple[str, ...]

    @abstractmethod
    def __init__(self, settings: Any, seed: int):
        """Open the source.

        Args:
            settings: an instance of `Settings`.
            seed: of every random draw of the source.

        Raises:
            InputError: something is missing or cannot be read.
        """

    @classmethod
    @abstractmethod
    def list_classes(cls, settings: Any) -> Sequence[str]:
        """Return the names of all classes that the source has, without opening it.

        Raises:
            InputError: there are none.
        """

    @classmethod
    def input_files(cls, settings: Any, class_name: str | None = None) -> list[str]:
        """Return the files and directories that the source reads, for one class or for all."""
        return []

    @abstractmethod
    def objects(self) -> Objects:
        """Return the objects of `classes` in the splits that the source itself has."""

    @abstractmethod
    def load(self, class_name: str, object_name: str) -> Cloud:
        """Load the clean cloud of an object, y up, centred on its mean with maximum radius 1, float32.

        It has any number of points. Its mesh, if it has one, is in the same frame.

        Raises:
            InputError: the object cannot be read or is unusable.
        """

    def released(
        self, class_name: str, object_names: Sequence[str], level: CorruptionLevel
    ) -> Float[np.ndarray, "n N 3"] | None:
        """Return corrupted clouds that the source itself holds (float32), or None: they are generated."""
        return None
