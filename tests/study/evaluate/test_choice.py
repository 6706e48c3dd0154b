"""The cross-validation that chooses the predictor of search."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.mappers.settings import MapperSettings
from pointspider.study.evaluate.alignment import Clouds
from pointspider.study.evaluate.choice import cross_validate
from pointspider.study.tables.choice import choose
from pointspider.study.tables.schemas import validate

SETTINGS = MapperSettings(epochs=2, base_width=4)


def clouds(objects: int = 12, noise: float = 0.01, copies: int = 1) -> Clouds:
    """Objects whose image embedding is a linear map of their point embedding."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(objects, 4)), copies, axis=0)
    images = points @ rng.normal(size=(4, 6)) + noise * rng.normal(size=(len(points), 6))
    names = np.repeat([f"{number:02d}" for number in range(objects)], copies)
    manifest = pd.DataFrame({"class": "chair", "object": names, "corruption": "original", "severity": 0})
    return Clouds(manifest, points.astype(np.float32), images.astype(np.float32))


def scores(data: Clouds, folds: int = 4, used: int = 2) -> pd.DataFrame:
    return cross_validate(data, [0.001, 0.1], folds, used, 7, SETTINGS, seed=0)


def test_every_candidate_is_measured_on_the_same_left_out_objects():
    frame = validate("choice", scores(clouds()))
    assert list(frame["predictor"].unique()) == [
        "procrustes", "ridge", "reduced_rank", "BASE", "LNORM", "RNORM",
    ]  # fmt: skip
    assert frame.groupby("predictor")["n"].apply(list).map(lambda n: n == [3, 3]).all()
    best = choose(frame)
    assert best["predictor"].iloc[0] == "ridge"  # before reduced_rank, with which it is tied
    assert best["reciprocal_rank"].iloc[0] == 1
    assert best["skill"].iloc[0] > 0.9
    untrained = best.set_index("predictor")["reciprocal_rank"]["LNORM"]
    assert 1 / 3 <= untrained < 1


def test_copies_of_an_object_are_left_out_together():
    """Otherwise the copies in training would give the fits perfect ranks without a relation."""
    data = clouds(objects=8, copies=3)
    shuffled = Clouds(data.manifest, data.points, np.roll(data.images, 3, axis=0))
    frame = scores(shuffled, folds=8, used=8)
    assert set(frame["n"]) == {3}
    ridge = frame[frame["predictor"] == "ridge"]
    assert ridge["skill"].max() < 0.9


def test_a_relation_that_does_not_hold_for_other_objects_scores_at_chance():
    data = clouds(objects=40)
    order = np.random.default_rng(1).permutation(40)
    frame = scores(Clouds(data.manifest, data.points, data.images[order]), folds=2)
    ridge = choose(frame).set_index("predictor").loc["ridge"]
    chance = np.mean(1 / np.arange(1, 21))
    assert ridge["reciprocal_rank"] == pytest.approx(chance, abs=0.1)
    assert ridge["n"] == 40


def test_the_scores_are_reproducible():
    pd.testing.assert_frame_equal(scores(clouds()), scores(clouds()))


def test_one_object_cannot_be_cross_validated():
    with pytest.raises(
        InputError, match=r"baselines\.folds: .* 4 folds of 1 objects|in 1 folds of 1 objects"
    ):
        scores(clouds(objects=1))


def test_a_candidate_that_diverged_is_not_chosen():
    frame = pd.DataFrame(
        [
            ("BASE", 0, 2, 0.9, 0.9),
            ("BASE", 1, 2, np.nan, np.nan),
            ("ridge", 0, 2, 0.2, 0.1),
            ("ridge", 1, 2, 0.4, 0.1),
        ],
        columns=["predictor", "fold", "n", "reciprocal_rank", "skill"],
    )
    best = choose(frame)
    assert list(best["predictor"]) == ["ridge", "BASE"]
    assert best["reciprocal_rank"].iloc[0] == pytest.approx(0.3)
