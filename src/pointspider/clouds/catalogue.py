"""Names: ModelNet40's classes, ModelNet40-C's variants, and the identity of a cloud."""

from typing import NamedTuple

#: ModelNet40's 40 classes in label order (alphabetical); underscores as in the dataset.
MODELNET40_CLASSES = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone",
    "cup", "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp",
    "laptop", "mantel", "monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink",
    "sofa", "stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip

ORIGINAL = "original"


class Variant(NamedTuple):
    """A corruption at a severity from 1 to 5; the clean cloud is ("original", 0)."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return ORIGINAL if self.corruption == ORIGINAL else f"{self.corruption}_{self.severity}"


CLEAN = Variant(ORIGINAL, 0)


def variants(corruptions: list[str], severities: list[int]) -> list[Variant]:
    """Every corruption at every severity, in order, without the clean cloud."""
    return [Variant(corruption, severity) for corruption in corruptions for severity in severities]


def cloud_id(class_name: str, variant: Variant, object_name: str) -> str:
    """The one name of a cloud, and its path below `renders/`: `<class>/<variant>/<object>`."""
    return f"{class_name}/{variant}/{object_name}"
