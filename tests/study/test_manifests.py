"""Manifests: who is drawn, how often, and that it is always the same."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from pointspider.clouds.names import CorruptionLevel, levels
from pointspider.core.errors import InputError
from pointspider.study import manifests as sampling
from pointspider.study.objects import assign_roles

LEVELS = levels(["uniform", "shear", "scale"], [1, 3, 5])
SEEDS = {"alignment": 2, "split": 1}


def make_objects(classes: int = 4, evaluation: int = 6, encoders: int = 3) -> pd.DataFrame:
    rows = [
        (f"class_{c}", f"{number:04d}", "evaluation" if number < evaluation else "encoders")
        for c in range(classes)
        for number in range(evaluation + encoders)
    ]
    return pd.DataFrame(rows, columns=["class", "object", "role"])


def align(
    objects: pd.DataFrame, clouds: str = "roulette", train: int = 18, held_out: int = 1, **seeds: int
) -> pd.DataFrame:
    split = {"train": train, "test": (objects["role"] == "evaluation").sum() - train}
    return sampling.align(objects, LEVELS, clouds, split, held_out, SEEDS | seeds)


def pairs(manifest: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(manifest["class"], manifest["object"], strict=True))


# ------------------------------------------------------------------------------------------- alignment


def test_roulette_aligns_each_evaluation_object_once():
    objects = make_objects()
    manifest = align(objects)
    assert list(manifest.columns) == [*sampling.COLUMNS, "class_split"]
    assert len(manifest) == 24
    assert pairs(manifest) == pairs(objects[objects["role"] == "evaluation"])
    assert manifest["split"].value_counts().to_dict() == {"train": 18, "test": 6}
    assert {
        CorruptionLevel(*pair) for pair in zip(manifest["corruption"], manifest["severity"], strict=True)
    } <= set(LEVELS)
    first = manifest.iloc[0]
    assert first["cloud_id"] == f"class_0/{first['corruption']}_{first['severity']}/0000"


def test_original_and_all():
    objects = make_objects()
    original = align(objects, "original")
    assert set(original["corruption"]) == {"original"}
    assert set(original["severity"]) == {0}
    assert original["cloud_id"].iloc[0] == "class_0/original/0000"
    everything = align(objects, "all")
    assert len(everything) == 24 * len(LEVELS)
    assert everything["cloud_id"].is_unique
    assert not pairs(everything.query("split == 'train'")) & pairs(everything.query("split == 'test'"))


def test_the_split_does_not_depend_on_the_variants_nor_the_variants_on_the_split():
    objects = make_objects()
    base, other_split, other_variants = align(objects), align(objects, split=8), align(objects, alignment=9)
    assert base["cloud_id"].tolist() == other_split["cloud_id"].tolist()
    assert base["split"].tolist() != other_split["split"].tolist()
    assert base["split"].tolist() == other_variants["split"].tolist()
    assert base["cloud_id"].tolist() != other_variants["cloud_id"].tolist()
    assert (
        base["split"].tolist() == align(objects, "all").drop_duplicates(["class", "object"])["split"].tolist()
    )


def test_more_objects_do_not_move_the_variants_of_others():
    few, many = align(make_objects()), align(make_objects(evaluation=9))
    assert set(few["cloud_id"]) <= set(many["cloud_id"])


def test_roulette_and_split_are_uniform():
    objects = make_objects(classes=40, evaluation=50, encoders=0)
    manifest = align(objects, train=1000)
    assert chisquare(manifest.groupby(["corruption", "severity"]).size()).pvalue > 0.01
    assert chisquare(manifest.query("split == 'test'").groupby("class").size()).pvalue > 0.01


@pytest.mark.parametrize(
    "split", [{"train": 18, "test": 7}, {"train": 24, "test": 0}, {"train": 0, "test": 24}]
)
def test_a_split_that_does_not_fit_says_the_number(split):
    with pytest.raises(
        InputError, match="must add up to the 24 evaluation objects, and neither may be empty"
    ):
        sampling.align(make_objects(), LEVELS, "roulette", split, 1, SEEDS)


def test_unknown_kind_of_alignment():
    with pytest.raises(InputError, match=r"alignment\.clouds: 'some'; choose roulette, original or all"):
        align(make_objects(), "some")


@pytest.mark.parametrize("clouds", ["roulette", "all"])
def test_whole_classes_are_held_out(clouds):
    manifest = align(make_objects(), clouds, held_out=2)
    sides = manifest.groupby("class")["class_split"].unique()
    assert sorted(side for [side] in sides) == ["test", "test", "train", "train"]
    assert set(zip(manifest["split"], manifest["class_split"], strict=True)) == {
        (split, side) for split in ("train", "test") for side in ("train", "test")
    }


def test_every_class_is_held_out_as_often_and_no_other_draw_changes():
    objects = make_objects(evaluation=20)
    few, many = align(objects, train=40, held_out=1), align(objects, train=40, held_out=3)
    pd.testing.assert_frame_equal(few[sampling.COLUMNS], many[sampling.COLUMNS])
    held_out = [
        align(objects, train=40, split=seed).query("class_split == 'test'")["class"].iloc[0]
        for seed in range(80)
    ]
    assert chisquare(pd.Series(held_out).value_counts().reindex(objects["class"].unique())).pvalue > 0.01


@pytest.mark.parametrize("held_out", [0, 4])
def test_a_side_without_classes_says_what_can_be_chosen(held_out):
    with pytest.raises(InputError, match=f"held_out_classes: {held_out} of 4 classes; choose 1 to 3"):
        align(make_objects(), held_out=held_out)


def test_a_side_without_test_objects_says_which():
    with pytest.raises(InputError, match="with 1 of 4 classes held out, the test classes have no test obj"):
        align(make_objects(), train=23, split=3)


# -------------------------------------------------------------------------------------------------- test


@pytest.mark.parametrize("clouds", ["roulette", "all", "original"])
def test_the_test_clouds_are_the_test_objects_clean_and_in_every_corruption(clouds):
    aligned = align(make_objects(), clouds)
    manifest = sampling.test_clouds(aligned, LEVELS, "corruptions", seed=7)
    assert list(manifest.columns) == [*sampling.COLUMNS, "class_split"]
    assert set(manifest["split"]) == {"test"}
    assert manifest["cloud_id"].is_unique
    assert pairs(manifest) == pairs(aligned.query("split == 'test'"))
    for _, own in manifest.groupby(["class", "object"]):
        assert own["corruption"].tolist() == ["original", "uniform", "shear", "scale"]
    assert {CorruptionLevel(*row) for row in manifest[["corruption", "severity"]].to_numpy()} <= {
        ("original", 0),
        *LEVELS,
    }
    sides = aligned.drop_duplicates("class").set_index("class")["class_split"]
    assert (manifest["class_split"] == manifest["class"].map(sides)).all()


def test_all_test_clouds():
    manifest = sampling.test_clouds(align(make_objects()), LEVELS, "all", seed=7)
    assert len(manifest) == 6 * (1 + len(LEVELS))
    assert manifest["cloud_id"].is_unique


def test_severities_are_uniform_and_seeded():
    aligned = align(make_objects(classes=40, evaluation=40, encoders=0), train=600)
    drawn = sampling.test_clouds(aligned, LEVELS, "corruptions", seed=7).query("severity > 0")
    counts = drawn.groupby(["corruption", "severity"]).size()
    assert len(counts) == len(LEVELS)
    assert chisquare(counts).pvalue > 0.01
    other = sampling.test_clouds(aligned, LEVELS, "corruptions", seed=8).query("severity > 0")
    assert drawn["severity"].tolist() != other["severity"].tolist()


def test_unknown_kind_of_test_clouds():
    with pytest.raises(InputError, match=r"test\.clouds: 'some'; choose corruptions or all"):
        sampling.test_clouds(align(make_objects()), LEVELS, "some", seed=7)


# -------------------------------------------------------------------------------------- double roulette


def test_double_roulette_draws_one_evaluation_object_per_class():
    objects = make_objects()
    manifest = sampling.double_roulette(objects, LEVELS, repeats=3, seed=4)
    assert manifest["split"].unique().tolist() == ["draw_0000", "draw_0001", "draw_0002"]
    for _, draw in manifest.groupby("split"):
        assert draw["class"].tolist() == ["class_0", "class_1", "class_2", "class_3"]
    assert pairs(manifest) <= pairs(objects[objects["role"] == "evaluation"])


def test_more_repeats_keep_the_earlier_draws():
    objects = make_objects()
    few = sampling.double_roulette(objects, LEVELS, repeats=2, seed=4)
    many = sampling.double_roulette(objects, LEVELS, repeats=5, seed=4)
    pd.testing.assert_frame_equal(few, many.iloc[: len(few)])


def test_both_wheels_are_uniform_and_independent():
    manifest = sampling.double_roulette(make_objects(classes=2), LEVELS, repeats=2700, seed=4)
    counts = manifest.groupby(["class", "object", "corruption", "severity"]).size()
    assert len(counts) == 2 * 6 * 9
    assert chisquare(counts).pvalue > 0.01


def test_a_class_without_evaluation_objects_is_named():
    objects = make_objects()
    objects.loc[objects["class"] == "class_2", "role"] = "encoders"
    with pytest.raises(InputError, match="class 'class_2' has no evaluation object"):
        sampling.double_roulette(objects, LEVELS, repeats=1, seed=4)


# --------------------------------------------------------------------------------------------- encoders


def test_encoder_clouds_are_the_clean_one_and_distinct_variants():
    objects = make_objects()
    manifest = sampling.encoder_clouds(objects, LEVELS, per_object=4, seed=5)
    assert pairs(manifest) == pairs(objects[objects["role"] == "encoders"])
    assert manifest["cloud_id"].is_unique
    assert set(manifest["split"]) == {"train"}
    for _, clouds in manifest.groupby(["class", "object"], sort=False):
        assert clouds["corruption"].tolist().count("original") == 1
        assert clouds["corruption"].iloc[0] == "original"
        assert len(clouds) == 4


def test_encoder_variants_are_uniform():
    objects = make_objects(classes=40, evaluation=0, encoders=30)
    drawn = sampling.encoder_clouds(objects, LEVELS, per_object=2, seed=5).query("severity > 0")
    assert chisquare(drawn.groupby(["corruption", "severity"]).size()).pvalue > 0.01


def test_no_encoder_clouds_is_an_empty_manifest():
    for objects, per_object in [(make_objects(encoders=0), 2), (make_objects(), 0)]:
        manifest = sampling.encoder_clouds(objects, LEVELS, per_object, seed=5)
        assert list(manifest.columns) == sampling.COLUMNS
        assert len(manifest) == 0


def test_too_many_encoder_variants():
    with pytest.raises(InputError, match="encoder_variants: 11, but an object has only 10"):
        sampling.encoder_clouds(make_objects(), LEVELS, per_object=11, seed=5)


# ------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("draw", ["alignment", "test", "roulette", "encoders"])
def test_same_bytes_whatever_the_order_of_the_objects(draw):
    make = {
        "alignment": align,
        "test": lambda objects: sampling.test_clouds(align(objects), LEVELS, "corruptions", seed=7),
        "roulette": lambda objects: sampling.double_roulette(objects, LEVELS, 3, seed=4),
        "encoders": lambda objects: sampling.encoder_clouds(objects, LEVELS, 3, seed=5),
    }[draw]
    objects = make_objects()
    shuffled = objects.iloc[np.random.default_rng(0).permutation(len(objects))]
    assert make(objects).to_csv() == make(objects).to_csv() == make(shuffled).to_csv()


def test_with_a_number_of_objects_a_class_changes_no_cloud_of_another():
    def drawn(extra: list[str]) -> pd.DataFrame:
        names = {name: [f"{number:04d}" for number in range(9)] for name in "abc"}
        names["b"] = names["b"][2:] + extra
        objects = assign_roles({"all": names}, 5, 2, seed=1)
        aligned = align(objects, train=10)
        clouds = [
            aligned,
            sampling.test_clouds(aligned, LEVELS, "corruptions", 4),
            sampling.double_roulette(objects, LEVELS, 5, 6),
            sampling.encoder_clouds(objects, LEVELS, 3, 7),
        ]
        return pd.concat(clouds)[sampling.COLUMNS]

    before, after = drawn([]), drawn(["new", "other"])
    assert set(before["cloud_id"]) != set(after["cloud_id"])
    for name in "ac":
        pd.testing.assert_frame_equal(before[before["class"] == name], after[after["class"] == name])


def test_one_more_object_moves_at_most_one_across_the_split():
    """Where every object is evaluated, whatever their number."""
    names = {name: [f"{number:04d}" for number in range(9)] for name in "abc"}
    sides = []
    for extra in ([], ["new"]):
        objects = assign_roles({"all": names | {"b": names["b"] + extra}}, None, 0, seed=1)
        aligned = align(objects, train=18 + len(extra))
        sides.append(aligned[aligned["class"] != "b"].set_index("cloud_id")["split"])
    assert (sides[0] != sides[1]).sum() <= 1


def test_the_clouds_of_each_class_are_listed_once():
    objects = make_objects()
    frames = [
        align(objects),
        align(objects, clouds="original"),
        sampling.encoder_clouds(objects, LEVELS, 3, 5),
    ]
    used = sampling.used_clouds(frames)
    assert list(used) == [f"class_{c}" for c in range(4)]
    assert (
        used
        == sampling.used_clouds([frame[::-1] for frame in reversed(frames)])
        == sampling.used_clouds(frames * 2)
    )
    assert sum(map(len, used.values())) == pd.concat(frames)["cloud_id"].nunique()
    assert used["class_0"][0] == ("0000", *used["class_0"][0][1:])
    assert all(isinstance(value, (str, int)) for rows in used.values() for row in rows for value in row)
