"""Zero-shot accuracy against hand-made embeddings and a plain sort."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pointspider.encoders.prompts import build_prompts
from pointspider.errors import InputError
from pointspider.evaluate.zero_shot import top_k_correct, zero_shot_records

CLASSES = ["airplane", "bed", "night_stand", "xbox"]
PROMPTS = np.eye(4, dtype=np.float32)


def test_prompts():
    template = "A model of {class}"
    assert build_prompts(CLASSES, template, "spaces")[2] == "A model of night stand"
    assert build_prompts(CLASSES, template, "verbatim")[2] == "A model of night_stand"
    assert build_prompts(["a"], "{class}, {more} of {class}", "spaces") == ["a, {more} of a"]
    with pytest.raises(InputError, match=r"zero_shot\.prompt: 'A model' lacks \{class\}"):
        build_prompts(CLASSES, "A model", "spaces")
    with pytest.raises(InputError, match=r"zero_shot\.class_names: 'dashes'.*spaces or verbatim"):
        build_prompts(CLASSES, template, "dashes")


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


def test_table():
    images = np.array([[9, 3, 2, 1], [9, 3, 2, 1], [9, 3, 2, 1], [1, 2, 3, 9]], np.float32)
    frame = zero_shot_records(
        "tiny",
        images,
        ["airplane", "night_stand", "xbox", "xbox"],
        ["draw_0001", "draw_0001", "draw_0001", "clean"],
        PROMPTS,
        CLASSES,
        (1, 3),
    )
    assert list(frame.columns) == [
        "model", "set", "n", "top1", "top1_low", "top1_high", "top3", "top3_low", "top3_high",
    ]  # fmt: skip
    assert frame["set"].tolist() == ["draw_0001", "clean"]
    assert frame["model"].tolist() == ["tiny", "tiny"]
    assert frame["n"].tolist() == [3, 1]
    assert frame["top1"].tolist() == pytest.approx([1 / 3, 1])
    assert frame["top3"].tolist() == pytest.approx([2 / 3, 1])
    expected = binomtest(2, 3).proportion_ci(method="wilson")
    assert (frame["top3_low"][0], frame["top3_high"][0]) == pytest.approx((expected.low, expected.high))


def evaluate(**change):
    inputs = {
        "model": "tiny", "images": np.ones((2, 4), np.float32), "classes_of_images": ["bed", "xbox"],
        "sets": ["clean", "clean"], "prompts": PROMPTS, "classes": CLASSES, "top": (1, 3),
    }  # fmt: skip
    return zero_shot_records(**(inputs | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_of_images": ["bed", "zebra"]}, "tiny: images of the class 'zebra'"),
        ({"sets": ["clean"]}, "tiny: 2 images for 2 labels in 1 sets"),
        ({"prompts": PROMPTS[:3]}, "3 prompts for 4 classes"),
        ({"top": (1, 5)}, r"zero_shot\.top: the best 5 of 4 classes"),
        ({"images": np.ones((2, 7), np.float32)}, "7 wide but the gallery is 4 wide"),
        ({"images": np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32)}, "row 1 is zero"),
        ({"images": np.full((2, 4), np.nan, np.float32)}, "row 0 is zero, NaN or inf"),
        ({"images": np.ones((0, 4), np.float32), "classes_of_images": [], "sets": []}, "at least one"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        evaluate(**change)
