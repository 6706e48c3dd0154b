"""Names of ModelNet40's classes, of corruption levels and of clouds."""

from collections.abc import Iterable
from typing import NamedTuple

#: ModelNet40's 40 classes in label order (alphabetical); underscores as in the dataset.
MODELNET40_CLASSES = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone",
    "cup", "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp",
    "laptop", "mantel", "monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink",
    "sofa", "stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip

ORIGINAL = "original"


class CorruptionLevel(NamedTuple):
    """A corruption at a severity from 1 to 5; CLEAN, ("original", 0), is no corruption."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return ORIGINAL if self.corruption == ORIGINAL else f"{self.corruption}_{self.severity}"


CLEAN = CorruptionLevel(ORIGINAL, 0)


def levels(corruptions: Iterable[str], severities: Iterable[int]) -> list[CorruptionLevel]:
    """Return every corruption at every severity, in order, without CLEAN."""
    severities = list(severities)
    return [CorruptionLevel(corruption, severity) for corruption in corruptions for severity in severities]


def cloud_id(class_name: str, level: CorruptionLevel, object_name: str) -> str:
    """Return the name of a cloud, which is also the path of its picture: `<class>/<level>/<object>`."""
    return f"{class_name}/{level}/{object_name}"
