"""Zero-shot accuracy against hand-made embeddings and a plain sort; prompts and their files."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pointspider.core.errors import InputError
from pointspider.encoders.images.prompts import STYLES, build_prompts, embed_prompts, prompt_styles
from pointspider.study.embeddings import read_prompts, write_embeddings, write_prompts
from pointspider.study.evaluate.statistics import clustered_interval, holm
from pointspider.study.evaluate.zero_shot import (
    CLOUD,
    PAIR,
    accuracies,
    compare_models,
    corruption_records,
    gather_hits,
    top_k_correct,
    zero_shot_hits,
    zero_shot_records,
)

CLASSES = ["airplane", "bed", "night_stand", "xbox"]
PROMPTS = np.eye(4, dtype=np.float32)
TEMPLATE = "A model of {class}"


# ---------------------------------------------------------------------------------------------------- prompts


def test_prompts():
    assert build_prompts(CLASSES, TEMPLATE, "spaces")[2] == "A model of night stand"
    assert build_prompts(CLASSES, TEMPLATE, "verbatim")[2] == "A model of night_stand"
    assert build_prompts(["a"], "{class}, {more} of {class}", "spaces") == ["a, {more} of a"]
    with pytest.raises(InputError, match=r"zero_shot: the prompt 'A model' lacks \{class\}"):
        build_prompts(CLASSES, "A model", "spaces")
    with pytest.raises(InputError, match=r"zero_shot\.class_names: 'dashes'.*spaces or verbatim"):
        build_prompts(CLASSES, TEMPLATE, "dashes")


def test_every_style_asks_about_every_class():
    styles = prompt_styles(CLASSES, TEMPLATE, ["a {class}.", "two of {class}"])
    assert tuple(styles) == STYLES
    assert styles["verbatim"][2] == ("A model of night_stand",)
    assert styles["spaces"][2] == ("A model of night stand",)
    assert styles["ensemble"][2] == ("a night stand.", "two of night stand")
    assert {len(prompts) for prompts in styles.values()} == {4}
    with pytest.raises(InputError, match=r"zero_shot\.templates: is empty"):
        prompt_styles(CLASSES, TEMPLATE, [])
    with pytest.raises(InputError, match="the prompt 'a cat' lacks"):
        prompt_styles(CLASSES, TEMPLATE, ["a cat"])


def test_an_ensemble_is_the_mean_of_directions():
    vectors = {"a": [3.0, 0.0], "b": [0.0, 7.0], "c": [0.0, -1.0], "d": [0.0, -2.0]}
    embedded = embed_prompts(
        lambda prompts: np.array([vectors[prompt] for prompt in prompts], np.float32),
        [("a", "b"), ("c", "d")],
    )
    np.testing.assert_allclose(embedded, [[0.5**0.5, 0.5**0.5], [0, -1]], atol=1e-6)
    assert embedded.dtype == np.float32


def test_prompts_survive_their_file(tmp_path):
    path = tmp_path / "tiny.h5"
    styles = prompt_styles(CLASSES, TEMPLATE, ["a {class}.", "two of {class}"])
    embeddings = {style: PROMPTS + index for index, style in enumerate(styles)}
    write_prompts(path, CLASSES, styles, embeddings, "tiny", "embedded")
    classes, asked = read_prompts(path, "ensemble")
    assert classes == CLASSES
    np.testing.assert_array_equal(asked, PROMPTS + 2)
    with pytest.raises(InputError, match=r"tiny\.h5: has no prompts 'shouted', only \['verbatim', 'spaces'"):
        read_prompts(path, "shouted")
    write_prompts(path, CLASSES, styles, {style: PROMPTS * np.nan for style in styles}, "tiny", "embedded")
    with pytest.raises(InputError, match="spaces has NaN or inf"):
        read_prompts(path, "spaces")


# --------------------------------------------------------------------------------------------------- accuracy


def test_top_k_equals_a_plain_sort():
    rng = np.random.default_rng(0)
    images, prompts = rng.normal(size=(50, 8)), rng.normal(size=(10, 8))
    labels = rng.integers(10, size=50)
    got = top_k_correct(images, prompts, labels, (1, 3, 10))
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        cosine = [image @ p / np.linalg.norm(image) / np.linalg.norm(p) for p in prompts]
        ranked = sorted(range(10), key=lambda c: -cosine[c])
        assert got[row].tolist() == [label in ranked[:k] for k in (1, 3, 10)]


def test_length_does_not_matter():
    images = np.array([[1.0, 2, 0, 0]])
    long_prompt = PROMPTS * [[100], [1], [1], [1]]
    assert top_k_correct(images, long_prompt, np.array([1]), (1,)).all()


def test_ties_go_to_the_first_class():
    images = np.tile([[0.0, 1, 1, 1]], (4, 1))  # as near to the classes 1, 2 and 3
    got = top_k_correct(images, PROMPTS, np.arange(4), (1, 2, 3, 4))
    assert got.argmax(axis=1).tolist() == [3, 0, 1, 2], "class 0 is last, then the classes' order"


def make_clouds(*rows: tuple[str, str, str, int, str]) -> pd.DataFrame:
    """From (class, object, corruption, severity, split)."""
    frame = pd.DataFrame(rows, columns=["class", "object", "corruption", "severity", "split"])
    ids = frame["class"] + "/" + frame["corruption"] + frame["severity"].astype(str) + "/" + frame["object"]
    return frame.assign(cloud_id=ids)


FOUR = make_clouds(
    ("airplane", "0", "shear", 1, "draw_0000"),
    ("night_stand", "0", "original", 0, "test"),
    ("night_stand", "0", "shear", 1, "test"),
    ("xbox", "0", "original", 0, "test"),
)
IMAGES = np.array([[9, 3, 2, 1], [9, 3, 2, 1], [1, 3, 9, 2], [1, 2, 3, 9]], np.float32)


def evaluate(**change):
    inputs = {
        "model": "tiny", "style": "spaces", "clouds": FOUR, "images": IMAGES, "classes": CLASSES,
        "prompts": PROMPTS, "top": (1, 3),
    }  # fmt: skip
    return zero_shot_hits(**(inputs | change))


def test_hits_and_records():
    hits = evaluate()
    assert set(hits.columns) == {*CLOUD, "model", "prompts", "set", "top1", "top3"}
    assert hits["top1"].tolist() == [True, False, True, True]
    assert hits["top3"].tolist() == [True, True, True, True]
    records = zero_shot_records(hits)
    records = records[records["measure"] == "top1"].reset_index(drop=True)
    assert records["set"].tolist() == ["draw_0000", "test", "clean"]
    assert records["n"].tolist() == [1, 3, 2]
    assert records["value"].tolist() == pytest.approx([1, 2 / 3, 1 / 2])
    clean = binomtest(1, 2).proportion_ci(method="wilson")  # two objects
    assert (records["low"][2], records["high"][2]) == pytest.approx((clean.low, clean.high))
    test = clustered_interval(np.array([0, 1, 1]), np.array(["night_stand", "night_stand", "xbox"]))
    assert (records["low"][1], records["high"][1]) == pytest.approx(test)


def test_objects_of_different_classes_may_share_their_name():
    """Two objects called 0, each right twice: four trials that count as two."""
    clouds = make_clouds(*((name, "0", "shear", k, "test") for name in ("bed", "xbox") for k in (1, 2)))
    hits = evaluate(clouds=clouds, images=PROMPTS[[1, 1, 3, 3]])
    row, _ = accuracies(hits, ["model"]).to_dict("records")
    expected = binomtest(2, 2).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_corruptions_are_measured_one_by_one():
    clouds = make_clouds(
        ("bed", "0", "shear", 5, "test"),
        ("bed", "0", "original", 0, "test"),
        ("xbox", "0", "shear", 1, "test"),
        ("xbox", "1", "shear", 1, "test"),
        ("xbox", "1", "shear", 1, "draw_0000"),
    )
    hits = evaluate(clouds=clouds, images=PROMPTS[[0, 1, 3, 1, 3]], top=(1,))
    records = corruption_records(hits)
    assert records.columns.tolist() == [
        "model", "measure", "corruption", "severity", "n", "value", "low", "high",
    ]  # fmt: skip
    assert records[["corruption", "severity", "n", "value"]].to_numpy().tolist() == [
        ["shear", 1, 2, 0.5], ["shear", 5, 1, 0.0], ["original", 0, 1, 1.0],
    ]  # fmt: skip
    expected = binomtest(1, 2).proportion_ci(method="wilson")
    assert (records["low"][0], records["high"][0]) == pytest.approx((expected.low, expected.high))


def test_models_are_compared_on_the_first_draw_and_on_the_test_clouds():
    rng = np.random.default_rng(0)
    clouds = make_clouds(
        *((name, str(k), "shear", 1, "draw_0000") for name in CLASSES for k in range(5)),
        *((name, str(k), "shear", s, "test") for name in CLASSES for k in range(6) for s in (1, 2, 3)),
    )
    labels = clouds["class"].map({name: index for index, name in enumerate(CLASSES)}).to_numpy()
    hits = pd.concat(
        evaluate(model=name, clouds=clouds, images=PROMPTS[labels] + noise * rng.normal(size=(92, 4)))
        for name, noise in (("good", 0.2), ("fair", 0.6), ("poor", 3))
    )
    pairs = compare_models(hits)
    assert pairs.columns.tolist() == PAIR
    assert pairs["set"].tolist() == ["draw_0000"] * 6 + ["test"] * 6
    assert pairs.groupby(["set", "unit"])["n"].unique().str[0].to_dict() == {
        ("draw_0000", "clouds"): 20, ("draw_0000", "objects"): 20,
        ("test", "clouds"): 72, ("test", "objects"): 24,
    }  # fmt: skip
    right = {model: own["top1"].to_numpy() for model, own in hits[hits["set"] == "test"].groupby("model")}
    chosen = pairs[(pairs["set"] == "test") & (pairs["model"] == "good") & (pairs["other"] == "poor")]
    row, by_object = chosen.iloc[0], chosen.iloc[1]
    ahead, behind = (right["good"] & ~right["poor"]).sum(), (right["poor"] & ~right["good"]).sum()
    assert (row["ahead"], row["behind"]) == (ahead, behind)
    assert row["p"] == pytest.approx(binomtest(ahead, ahead + behind).pvalue)
    lead = (right["good"].astype(int) - right["poor"]).reshape(24, 3).sum(axis=1)
    assert (by_object["ahead"], by_object["behind"]) == ((lead > 0).sum(), (lead < 0).sum())
    assert by_object["p"] == pytest.approx(binomtest((lead > 0).sum(), (lead != 0).sum()).pvalue)
    first = pairs[pairs["set"] == "draw_0000"]
    assert first["p"][::2].tolist() == first["p"][1::2].tolist()
    for _, own in pairs.groupby(["set", "unit"]):
        assert own["p_holm"].tolist() == holm(own["p"].tolist())


def test_a_single_model_has_no_pairs_and_other_clouds_are_refused():
    assert compare_models(evaluate()).columns.tolist() == PAIR
    assert compare_models(evaluate()).empty
    swapped = evaluate(model="other", clouds=FOUR.iloc[[0, 2, 1, 3]])
    with pytest.raises(InputError, match="tiny and other were evaluated on different clouds"):
        compare_models(pd.concat([evaluate(), swapped]))


def test_hits_are_gathered_from_files(tmp_path):
    images, prompts = [], []
    for model, sign in (("one", 1), ("two", -1)):
        images.append(tmp_path / f"{model}_images.h5")
        classes = [
            (name, rows["cloud_id"].tolist(), {"projected": sign * IMAGES[rows.index]})
            for name, rows in FOUR.groupby("class")
        ]
        write_embeddings(images[-1], classes, model, "embedded")
        prompts.append(tmp_path / f"{model}.h5")
        styles = prompt_styles(CLASSES, TEMPLATE, ["{class}"])
        write_prompts(prompts[-1], CLASSES, styles, dict.fromkeys(styles, PROMPTS), model, "embedded")
    hits = gather_hits(FOUR, ["one", "two"], images, prompts, STYLES, (1, 3))
    assert hits.groupby(["model", "prompts"]).size().to_dict() == {
        (model, style): 4 for model in ("one", "two") for style in STYLES
    }
    expected = [evaluate(images=sign * IMAGES)["top1"] for sign in (1, -1) for _ in STYLES]
    assert hits["top1"].tolist() == pd.concat(expected).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clouds": FOUR.replace("xbox", "zebra")}, "tiny: images of the class 'zebra'"),
        ({"images": IMAGES[:3]}, "tiny: 3 images for 4 clouds"),
        ({"prompts": PROMPTS[:3]}, "3 prompts for 4 classes"),
        ({"top": (1, 5)}, r"zero_shot\.top: the best 5 of 4 classes"),
        ({"images": np.ones((4, 7), np.float32)}, "7 wide but the gallery is 4 wide"),
        ({"images": IMAGES * [[1], [0], [1], [1]]}, "row 1 is zero"),
        ({"images": np.full((4, 4), np.nan, np.float32)}, "row 0 is zero, NaN or inf"),
        ({"images": IMAGES[:0], "clouds": FOUR.iloc[:0]}, "at least one"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        evaluate(**change)
