"""The objects of the source of clouds, and the role of each: for evaluation, or for training the encoders."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pointspider.clouds.sources.base import ALL, TEST, TRAIN, Objects
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator


def list_objects(clouds: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """List the objects of a source, and assign their roles.

    Args:
        clouds: section `clouds` of the parameters.
        seed: `seeds.objects`.

    Returns:
        See `assign_roles`.

    Raises:
        InputError: the source cannot be read, or what `assign_roles` raises.
    """
    source = open_source(parse_settings(clouds), seed)
    return assign_roles(source.objects(), clouds["evaluation_objects"], clouds["encoder_objects"], seed)


def assign_roles(objects: Objects, evaluation: int | None, encoders: int, seed: int) -> pd.DataFrame:
    """Assign roles to the objects of a source: "evaluation" or "encoders".

    Of each class, in random order, the first objects are for evaluation and the next for encoders. Where the
    source has a test and a train split, evaluation objects are of the test split and encoder objects of the
    train split. An object's place in the order depends on its name only: a new one moves none of the others.

    Args:
        objects: of `Source.objects`.
        evaluation: objects per class that are aligned and evaluated; None: all that the encoders leave.
        encoders: objects per class on which encoders are trained.
        seed: `seeds.objects`.

    Returns:
        Columns class, object, role, sorted by class and object.

    Raises:
        InputError: a class has too few objects, or the source has no train split.
    """
    if ALL in objects:
        rows = _draw_roles(objects[ALL], evaluation, encoders, seed)
    else:
        rows = _draw_roles(objects[TEST], evaluation, 0, seed)
        if encoders and TRAIN not in objects:
            raise InputError(
                f"clouds.encoder_objects: {encoders}, but the source has no train split; set it to 0."
            )
        if encoders:
            rows += _draw_roles(objects[TRAIN], 0, encoders, seed)
    return pd.DataFrame(sorted(rows), columns=["class", "object", "role"])


def _draw_roles(
    names: Mapping[str, Sequence[str]], evaluation: int | None, encoders: int, seed: int
) -> list[tuple[str, str, str]]:
    """Return (class, object, role) of one split."""
    rows = []
    for class_name in sorted(names):
        shuffled = sorted(names[class_name], key=lambda name: random_place(seed, class_name, name, "role"))
        needed = (1 if evaluation is None else evaluation) + encoders
        if len(shuffled) < needed:
            raise InputError(
                f"class '{class_name}' has {len(shuffled)} objects and needs {needed}: "
                f"clouds.evaluation_objects {evaluation} and clouds.encoder_objects {encoders}. Add clouds, "
                "lower them or leave the class out of clouds.classes."
            )
        split = len(shuffled) - encoders if evaluation is None else evaluation
        rows += [(class_name, name, "evaluation") for name in shuffled[:split]]
        rows += [(class_name, name, "encoders") for name in shuffled[split : split + encoders]]
    return rows


def random_place(seed: int, *names: str) -> tuple[float, tuple[str, ...]]:
    """Return a random number that depends on the seed and the names only, and the names: a key to sort by."""
    return generator(seed, *names).random(), names
