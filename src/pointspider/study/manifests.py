"""Manifests: which clouds are used for what, drawn at random from the names of objects and levels.

A manifest has the columns cloud_id, class, object, corruption, severity, split, and a row per use of a cloud.
Those of the aligned and of the test clouds also have class_split: train and test by classes. Rows follow the
sorted objects and the given order of the corruption levels: equal inputs give equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from pointspider.clouds.names import CLEAN, CorruptionLevel, cloud_id
from pointspider.clouds.names import levels as every_level
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.study.objects import random_place

COLUMNS = ["cloud_id", "class", "object", "corruption", "severity", "split"]


def draw_manifests(
    objects: pd.DataFrame,
    corruptions: Sequence[str],
    severities: Sequence[int],
    alignment: Mapping[str, Any],
    test: str,
    repeats: int,
    encoder_variants: int,
    seeds: Mapping[str, int],
) -> dict[str, pd.DataFrame]:
    """Draw every manifest: alignment, test, roulette and encoders.

    Args:
        objects: of `assign_roles`.
        corruptions, severities: `clouds.corruptions` and `clouds.severities`.
        alignment: clouds, split and held_out_classes of `align`.
        test: clouds of `test_clouds`.
        repeats: of `double_roulette`.
        encoder_variants: per object, of `encoder_clouds`.
        seeds: alignment, split, test, roulette and encoders.

    Raises:
        InputError: what the four raise.
    """
    corrupted = every_level(corruptions, severities)
    aligned = align(objects, corrupted, **alignment, seeds=seeds)
    return {
        "alignment": aligned,
        "test": test_clouds(aligned, corrupted, test, seeds["test"]),
        "roulette": double_roulette(objects, corrupted, repeats, seeds["roulette"]),
        "encoders": encoder_clouds(objects, corrupted, encoder_variants, seeds["encoders"]),
    }


def used_clouds(manifests: Iterable[pd.DataFrame]) -> dict[str, list[tuple[str, str, int]]]:
    """Return the clouds of each class that manifests name: {class: sorted (object, corruption, severity)}."""
    every = pd.concat(manifests)[["class", "object", "corruption", "severity"]].drop_duplicates()
    return {
        str(name): sorted(rows[["object", "corruption", "severity"]].itertuples(index=False, name=None))
        for name, rows in every.groupby("class")
    }


def align(
    objects: pd.DataFrame,
    levels: Sequence[CorruptionLevel],
    clouds: str,
    split: Mapping[str, int],
    held_out_classes: int,
    seeds: Mapping[str, int],
) -> pd.DataFrame:
    """Draw the clouds that mappers are trained and tested on; all clouds of an object are in one split.

    There are two kinds of splits: `split` draws objects, `class_split` draws classes, whose objects the
    mapper then never sees.

    Args:
        objects: class, object, role; the evaluation objects are used.
        levels: the corruption levels, without CLEAN.
        clouds: "roulette": each object once, at a level drawn uniformly | "original": each object once,
            clean | "all": each object at every level.
        split: {"train": objects, "test": objects}; together all evaluation objects.
        held_out_classes: test classes of `class_split`.
        seeds: `seeds.alignment` (the levels) and `seeds.split` (both kinds of splits).

    Returns:
        Columns COLUMNS and class_split.

    Raises:
        InputError: the split does not fit the number of objects, or train or test is empty; either side of
            `class_split` is empty, or lacks the train or the test objects of `split`.
    """
    pairs = _pairs(objects, "evaluation")
    if split["train"] < 1 or split["test"] < 1 or split["train"] + split["test"] != len(pairs):
        raise InputError(
            f"alignment.split: train {split['train']} + test {split['test']} must add up to the {len(pairs)} "
            "evaluation objects, and neither may be empty."
        )
    # By class and number, not by name: other objects in one class do not move those of another
    numbers = {pair: str(i) for _, group in groupby(pairs, itemgetter(0)) for i, pair in enumerate(group)}
    shuffled = sorted(pairs, key=lambda pair: random_place(seeds["split"], pair[0], numbers[pair], "split"))
    train = set(shuffled[: split["train"]])

    def chosen(class_name: str, name: str) -> Sequence[CorruptionLevel]:
        if clouds == "roulette":
            return [levels[int(generator(seeds["alignment"], class_name, name).integers(len(levels)))]]
        return [CLEAN] if clouds == "original" else levels

    if clouds not in ("roulette", "original", "all"):
        raise InputError(f"alignment.clouds: '{clouds}'; choose roulette, original or all.")
    manifest = _manifest(
        (class_name, name, level, "train" if (class_name, name) in train else "test")
        for class_name, name in pairs
        for level in chosen(class_name, name)
    )
    return manifest.assign(class_split=_class_split(manifest, held_out_classes, seeds["split"]))


def _class_split(manifest: pd.DataFrame, held_out: int, seed: int) -> pd.Series:
    """Return the split of each row: "test" for the objects of `held_out` random classes."""
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


def test_clouds(
    aligned: pd.DataFrame, levels: Sequence[CorruptionLevel], clouds: str, seed: int
) -> pd.DataFrame:
    """Draw the test clouds: the test objects of `align`, clean and corrupted.

    Args:
        aligned: of `align`.
        levels: the corruption levels, without CLEAN.
        clouds: "corruptions": each test object once in every corruption, its severity drawn uniformly |
            "all": each test object at every level. The clean cloud comes first in both.
        seed: `seeds.test`.

    Returns:
        Columns COLUMNS, split being "test", and class_split.

    Raises:
        InputError: `clouds` is neither.
    """
    if clouds not in ("corruptions", "all"):
        raise InputError(f"test.clouds: '{clouds}'; choose corruptions or all.")
    by_corruption: dict[str, list[CorruptionLevel]] = {}
    for level in levels:
        by_corruption.setdefault(level.corruption, []).append(level)

    def chosen(class_name: str, name: str) -> list[CorruptionLevel]:
        if clouds == "all":
            return [CLEAN, *levels]
        return [CLEAN] + [
            same[generator(seed, class_name, name, corruption).integers(len(same))]
            for corruption, same in by_corruption.items()
        ]

    objects = aligned.loc[aligned["split"] == "test", ["class", "object"]].drop_duplicates()
    manifest = _manifest(
        (class_name, name, level, "test")
        for class_name, name in objects.itertuples(index=False, name=None)
        for level in chosen(class_name, name)
    )
    sides = aligned.drop_duplicates("class").set_index("class")["class_split"]
    return manifest.assign(class_split=manifest["class"].map(sides))


def double_roulette(
    objects: pd.DataFrame, levels: Sequence[CorruptionLevel], repeats: int, seed: int
) -> pd.DataFrame:
    """Draw one cloud per class and repeat: an evaluation object and a corruption level, both uniformly.

    Equal in distribution to Algorithm 1 of the paper. The repeats are the splits "draw_0000" and so on.

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

    def spin(draw: str, class_name: str) -> tuple[str, str, CorruptionLevel, str]:
        rng = generator(seed, draw, class_name)
        name = names[class_name][rng.integers(len(names[class_name]))]
        return class_name, name, levels[int(rng.integers(len(levels)))], draw

    return _manifest(
        spin(f"draw_{repeat:04d}", class_name) for repeat in range(repeats) for class_name in names
    )


def encoder_clouds(
    objects: pd.DataFrame, levels: Sequence[CorruptionLevel], per_object: int, seed: int
) -> pd.DataFrame:
    """Draw the training clouds of encoders: each encoder object clean and at per_object - 1 different levels.

    Raises:
        InputError: there are fewer levels.
    """
    if per_object > len(levels) + 1:
        raise InputError(
            f"clouds.encoder_variants: {per_object}, but an object has only {len(levels) + 1}: the clean "
            f"cloud and {len(levels)} corrupted ones."
        )

    def chosen(class_name: str, name: str) -> list[CorruptionLevel]:
        if per_object == 0:
            return []
        drawn = generator(seed, class_name, name).choice(len(levels), per_object - 1, replace=False)
        return [CLEAN, *(levels[index] for index in sorted(drawn))]

    return _manifest(
        (class_name, name, level, "train")
        for class_name, name in _pairs(objects, "encoders")
        for level in chosen(class_name, name)
    )


def _pairs(objects: pd.DataFrame, role: str) -> list[tuple[str, str]]:
    chosen = objects.loc[objects["role"] == role, ["class", "object"]]
    return sorted(chosen.itertuples(index=False, name=None))


def _manifest(rows: Iterable[tuple[str, str, CorruptionLevel, str]]) -> pd.DataFrame:
    """Return columns COLUMNS of (class, object, level, split)."""
    return pd.DataFrame(
        [
            (cloud_id(class_name, level, name), class_name, name, *level, split)
            for class_name, name, level, split in rows
        ],
        columns=COLUMNS,
    )
