"""Names: ModelNet40's classes, ModelNet40-C's variants, and the identity of a cloud."""

import re
from pathlib import Path
from typing import NamedTuple

from pointspider.core.errors import InputError

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


def class_names(settings: dict) -> list[str]:
    """The classes of a run, sorted: those of the source, or the ones that `clouds.classes` names.

    Args:
        settings: section `clouds` of the resolved parameters.

    Raises:
        InputError: the folder does not exist or has no sub-folders; a named class does not exist.
    """
    known = list(MODELNET40_CLASSES)
    if settings["source"] == "folder":
        directory = Path(settings["directory"] or "")
        if not settings["directory"] or not directory.is_dir():
            raise InputError(
                f"clouds.directory: '{settings['directory']}' is not a directory; the source "
                "'folder' wants one with a sub-folder of clouds per class."
            )
        known = sorted(path.name for path in directory.iterdir() if path.is_dir() and path.name[0] != ".")
        unusable = [name for name in known if not re.fullmatch(r"[\w.-]+", name, re.ASCII)]
        if unusable:
            raise InputError(
                f"{directory / unusable[0]}: name it with letters, digits, '_', '-' and '.' only."
            )
        if len(known) < 2:
            raise InputError(
                f"{directory}: has {len(known)} sub-folders; put the clouds of each class into one, of two "
                "classes or more."
            )
    if settings["classes"] == "all":
        return known
    unknown = sorted(set(settings["classes"]) - set(known))
    if unknown:
        raise InputError(
            f"clouds.classes: {', '.join(unknown)} not in the source; it has {', '.join(known)}."
        )
    return sorted(settings["classes"])
