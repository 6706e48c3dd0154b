"""Manifests: which clouds are used for what. Pure draws over object and variant names.

A manifest has the columns cloud_id, class, object, corruption, severity, split, and a row per use of a cloud.
Those of the aligned and of the test clouds have class_split too: the same two sides, but by classes.
Its rows follow the sorted objects and the given order of the variants: equal inputs, equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from pointspider.clouds.names import CLEAN, Variant, cloud_id
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

COLUMNS = ["cloud_id", "class", "object", "corruption", "severity", "split"]


def assign_roles(
    names: Mapping[str, Sequence[str]], evaluation: int | None, encoders: int, seed: int
) -> pd.DataFrame:
    """Give objects their roles: of each class, shuffled, the first are for evaluation, the next for encoders.

    Args:
        names: the objects of each class.
        evaluation: objects per class that are aligned and evaluated; None: all that the encoders leave.
        encoders: objects per class on which encoders are trained.
        seed: `seeds.objects`.

    Returns:
        Columns class, object, role, sorted by class and object.

    Raises:
        InputError: a class has too few objects.
    """
    rows = []
    for class_name in sorted(names):
        shuffled = generator(seed, class_name, "roles").permutation(sorted(names[class_name])).tolist()
        wanted = 1 if evaluation is None else evaluation
        if len(shuffled) < wanted + encoders:
            raise InputError(
                f"class '{class_name}' has {len(shuffled)} objects and needs {wanted + encoders}: "
                f"clouds.evaluation_objects {evaluation} and clouds.encoder_objects {encoders}. Add clouds, "
                "lower them or leave the class out of clouds.classes."
            )
        split = len(shuffled) - encoders if evaluation is None else evaluation
        rows += [(class_name, name, "evaluation") for name in shuffled[:split]]
        rows += [(class_name, name, "encoders") for name in shuffled[split : split + encoders]]
    return pd.DataFrame(sorted(rows), columns=["class", "object", "role"])


def alignment(
    objects: pd.DataFrame,
    variants: Sequence[Variant],
    clouds: str,
    split: Mapping[str, int],
    held_out_classes: int,
    seeds: Mapping[str, int],
) -> pd.DataFrame:
    """The clouds that mappers are trained and tested on; all clouds of an object are on one side.

    There are two ways to take sides: `split` draws objects, `class_split` draws classes, whose objects the
    mapper then never sees.

    Args:
        objects: class, object, role; the evaluation objects are used.
        variants: the corrupted variants.
        clouds: "roulette": each object once, in a variant drawn uniformly | "original": each object once,
            clean | "all": each object in every corrupted variant.
        split: {"train": objects, "test": objects}; together all evaluation objects.
        held_out_classes: classes on the test side of `class_split`.
        seeds: `seeds.alignment` (the variants) and `seeds.split` (both kinds of sides).

    Returns:
        Columns COLUMNS and class_split.

    Raises:
        InputError: the split does not fit the number of objects, or has an empty side; either side of
            `class_split` is empty, or lacks the train or the test objects of `split`.
    """
    pairs = _pairs(objects, "evaluation")
    if split["train"] < 1 or split["test"] < 1 or split["train"] + split["test"] != len(pairs):
        raise InputError(
            f"alignment.split: train {split['train']} + test {split['test']} must add up to the {len(pairs)} "
            "evaluation objects, and neither may be empty."
        )
    order = generator(seeds["split"], "split").permutation(len(pairs))
    train = set(order[: split["train"]].tolist())

    def chosen(class_name: str, name: str) -> Sequence[Variant]:
        if clouds == "roulette":
            return [variants[generator(seeds["alignment"], class_name, name).integers(len(variants))]]
        return [CLEAN] if clouds == "original" else variants

    if clouds not in ("roulette", "original", "all"):
        raise InputError(f"alignment.clouds: '{clouds}'; choose roulette, original or all.")
    manifest = _manifest(
        (class_name, name, variant, "train" if index in train else "test")
        for index, (class_name, name) in enumerate(pairs)
        for variant in chosen(class_name, name)
    )
    return manifest.assign(class_split=_class_split(manifest, held_out_classes, seeds["split"]))


def _class_split(manifest: pd.DataFrame, held_out: int, seed: int) -> pd.Series:
    """The side of each row: "test" for the objects of `held_out` classes that are drawn."""
    classes = sorted(manifest["class"].unique())
    if not 1 <= held_out < len(classes):
        raise InputError(
            f"alignment.held_out_classes: {held_out} of {len(classes)} classes; choose 1 to "
            f"{len(classes) - 1}."
        )
    drawn = generator(seed, "held out classes").permutation(len(classes))[:held_out].tolist()
    test = manifest["class"].isin([classes[index] for index in drawn])
    sides = test.map({True: "test", False: "train"})
    for side, splits in manifest["split"].groupby(sides):
        missing = sorted({"train", "test"} - set(splits))
        if missing:
            raise InputError(
                f"alignment.held_out_classes: with {held_out} of {len(classes)} classes held out, the "
                f"{side} classes have no {missing[0]} objects. Change alignment.held_out_classes, "
                "alignment.split or seeds.split."
            )
    return sides


def test_clouds(aligned: pd.DataFrame, variants: Sequence[Variant], clouds: str, seed: int) -> pd.DataFrame:
    """The clouds on which everything is tested: the test objects of `alignment`, clean and corrupted.

    Args:
        aligned: what `alignment` returned.
        variants: the corrupted variants.
        clouds: "corruptions": each test object in every corruption once, its severity drawn uniformly |
            "all": each test object in every variant. The clean cloud comes first in both.
        seed: `seeds.test`.

    Returns:
        Columns COLUMNS, split being "test", and class_split.

    Raises:
        InputError: `clouds` is neither.
    """
    if clouds not in ("corruptions", "all"):
        raise InputError(f"test.clouds: '{clouds}'; choose corruptions or all.")
    severities: dict[str, list[Variant]] = {}
    for variant in variants:
        severities.setdefault(variant.corruption, []).append(variant)

    def chosen(class_name: str, name: str) -> list[Variant]:
        if clouds == "all":
            return [CLEAN, *variants]
        return [CLEAN] + [
            levels[generator(seed, class_name, name, corruption).integers(len(levels))]
            for corruption, levels in severities.items()
        ]

    objects = aligned.loc[aligned["split"] == "test", ["class", "object"]].drop_duplicates()
    manifest = _manifest(
        (class_name, name, variant, "test")
        for class_name, name in objects.itertuples(index=False, name=None)
        for variant in chosen(class_name, name)
    )
    sides = aligned.drop_duplicates("class").set_index("class")["class_split"]
    return manifest.assign(class_split=manifest["class"].map(sides))


def double_roulette(
    objects: pd.DataFrame, variants: Sequence[Variant], repeats: int, seed: int
) -> pd.DataFrame:
    """One cloud per class and draw: wheel 1 picks an evaluation object, wheel 2 a variant, both uniformly.

    Equal in distribution to Algorithm 1 of the paper. The draws are the splits "draw_0000", "draw_0001", ...

    Raises:
        InputError: a class has no evaluation object.
    """
    names: dict[str, list[str]] = {class_name: [] for class_name in sorted(objects["class"].unique())}
    for class_name, name in _pairs(objects, "evaluation"):
        names[class_name].append(name)
    empty = [class_name for class_name in names if not names[class_name]]
    if empty:
        raise InputError(
            f"class '{empty[0]}' has no evaluation object, the Double Roulette needs one per class."
        )

    def spin(draw: str, class_name: str) -> tuple[str, str, Variant, str]:
        rng = generator(seed, draw, class_name)
        name = names[class_name][rng.integers(len(names[class_name]))]
        return class_name, name, variants[rng.integers(len(variants))], draw

    return _manifest(
        spin(f"draw_{repeat:04d}", class_name) for repeat in range(repeats) for class_name in names
    )


def encoder_clouds(
    objects: pd.DataFrame, variants: Sequence[Variant], per_object: int, seed: int
) -> pd.DataFrame:
    """The clouds on which encoders train: each encoder object clean and in per_object - 1 different variants.

    Raises:
        InputError: there are not that many variants.
    """
    if per_object > len(variants) + 1:
        raise InputError(
            f"clouds.encoder_variants: {per_object}, but an object has only {len(variants) + 1}: the clean "
            f"cloud and {len(variants)} corrupted ones."
        )

    def chosen(class_name: str, name: str) -> list[Variant]:
        if per_object == 0:
            return []
        drawn = generator(seed, class_name, name).choice(len(variants), per_object - 1, replace=False)
        return [CLEAN, *(variants[index] for index in sorted(drawn))]

    return _manifest(
        (class_name, name, variant, "train")
        for class_name, name in _pairs(objects, "encoders")
        for variant in chosen(class_name, name)
    )


def _pairs(objects: pd.DataFrame, role: str) -> list[tuple[str, str]]:
    chosen = objects.loc[objects["role"] == role, ["class", "object"]]
    return sorted(chosen.itertuples(index=False, name=None))


def _manifest(rows: Iterable[tuple[str, str, Variant, str]]) -> pd.DataFrame:
    """Columns COLUMNS from (class, object, variant, split)."""
    return pd.DataFrame(
        [
            (cloud_id(class_name, variant, name), class_name, name, *variant, split)
            for class_name, name, variant, split in rows
        ],
        columns=COLUMNS,
    )
