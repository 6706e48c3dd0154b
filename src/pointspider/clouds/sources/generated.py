"""What sources have in common that generate their objects: as many as are asked for, named by number."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from pointspider.clouds.sources.base import TEST, TRAIN, Objects, Source, SourceSettings
from pointspider.clouds.sources.registry import class_names


class GeneratedSettings(SourceSettings):
    """Parameters of a source that generates its objects."""

    directory: None = Field(default=None, description="null: the source reads no files")
    evaluation_objects: int = Field(
        ge=1, description="objects per class that are aligned and evaluated; the source has no end"
    )
    encoder_objects: int = Field(default=0, ge=0, description="other objects per class, to train encoders")


class GeneratedSource(Source):
    """Objects that are named by number; each is a function of (seed, class, object name) alone.

    More objects or other classes therefore never change an object. Split "test" has the evaluation objects,
    "train" the encoder objects.
    """

    def __init__(self, settings: Any, seed: int):
        """Open the source.

        Args:
            settings: a subclass of `GeneratedSettings`.
            seed: of every random draw (params: seeds.objects).
        """
        self.classes = class_names(settings)
        self._seed = seed
        names = [f"{n:04d}" for n in range(settings.evaluation_objects + settings.encoder_objects)]
        self._splits: dict[str, Sequence[str]] = {
            TEST: names[: settings.evaluation_objects],
            TRAIN: names[settings.evaluation_objects :],
        }

    def objects(self) -> Objects:
        return {split: dict.fromkeys(self.classes, names) for split, names in self._splits.items()}
