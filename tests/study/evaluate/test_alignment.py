"""The measures of Table III against brute force, and the rows of `evaluate`."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import mean_absolute_error
from sklearn.metrics.pairwise import cosine_similarity

from pointspider.core.errors import InputError
from pointspider.encoders.points.registry import create_point_encoder
from pointspider.mappers.baselines import fit_predictors
from pointspider.mappers.files import load_predictor
from pointspider.mappers.settings import MapperSettings
from pointspider.study.embeddings import read_projection, write_projection
from pointspider.study.evaluate.alignment import (
    Candidate,
    Clouds,
    ImageSpace,
    evaluate,
)
from pointspider.study.evaluate.candidates import classifier_of, fitted, references, trained

CLASSES = ["bed", "chair", "lamp"]
N_OBJECTS, LEVELS = 12, [("original", 0), ("shear", 1), ("shear", 2)]
RNG = np.random.default_rng(0)
TRAIN = RNG.normal(1, 1, size=(31, 6)).astype(np.float32)


def clouds(levels=LEVELS) -> Clouds:
    """Each object in each variant; a prediction is right up to noise."""
    rng = np.random.default_rng(1)
    rows = [
        {"class": CLASSES[i % 3], "object": f"{i:04d}", "corruption": name, "severity": severity}
        for i in range(N_OBJECTS)
        for name, severity in levels
    ]
    images = rng.normal(1, 1, size=(len(rows), 6)).astype(np.float32)
    points = (images + rng.normal(0, 0.7, size=images.shape)).astype(np.float32)
    return Clouds(pd.DataFrame(rows), points, images)


def space(**changes) -> ImageSpace:
    prompts = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    projection = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    given = {"classes": CLASSES, "prompts": prompts, "projection": projection, "top": [1, 2]}
    return ImageSpace.of(TRAIN, **{**given, **changes})


def identity(clouds: Clouds) -> pd.DataFrame:
    return space().measure(lambda points: points, clouds)


def constant(clouds: Clouds) -> pd.DataFrame:
    return space().measure(lambda points: np.tile(np.median(TRAIN, axis=0), (len(points), 1)), clouds)


def records(
    *candidates: Candidate, aligned=None, levels=None, unit=("class", "object")
) -> tuple[pd.DataFrame, pd.DataFrame]:
    return evaluate(candidates, aligned or clouds(LEVELS[:1]), levels or clouds(), unit)


# -------------------------------------------------------------------------------------------------- measures


def test_l1_and_skill_are_over_clouds_and_dimensions():
    frame, _ = records(Candidate("mapper", "BASE", identity), Candidate("baseline", "median", constant))
    test = clouds(LEVELS[:1])
    l1 = mean_absolute_error(test.images, test.points)
    of_median = mean_absolute_error(test.images, np.tile(np.median(TRAIN, axis=0), (N_OBJECTS, 1)))
    base, median = frame.to_dict("records")
    assert base["l1"] == pytest.approx(l1)
    assert base["l1div"] == pytest.approx(1 / l1)
    assert base["skill"] == pytest.approx(1 - l1 / of_median)
    assert (median["l1"], median["skill"]) == (pytest.approx(of_median), pytest.approx(0, abs=1e-12))


@pytest.mark.parametrize("unit", [["class", "object"], ["class"]])
@pytest.mark.parametrize("levels", [LEVELS[:1], LEVELS])
def test_gains_are_paired_and_have_students_interval_over_units(levels, unit):
    """Clouds of one object, or of one class where classes are held out, are no independent trials."""
    test = clouds(levels)

    def halved(clouds: Clouds) -> pd.DataFrame:
        return space().measure(lambda points: points / 2, clouds)

    candidates = [
        Candidate("baseline", "median", constant),
        Candidate("baseline", "ridge", halved),
        Candidate("mapper", "BASE", identity),
    ]
    frame, _ = records(*candidates, aligned=test, unit=unit)
    points, images = test.points.astype(np.float64), test.images.astype(np.float64)
    base = frame.iloc[2]
    for name, other in (("median", np.median(TRAIN, axis=0)), ("ridge", points / 2)):
        nearer = (np.abs(other - images) - np.abs(points - images)).mean(axis=1)
        means = pd.Series(nearer).groupby([test.manifest[column].to_numpy() for column in unit]).mean()
        interval = ttest_1samp(means, 0).confidence_interval(0.95)
        assert base[f"gain_{name}"] == pytest.approx(means.mean())
        assert base[f"gain_{name}_low"] == pytest.approx(interval.low)
        assert base[f"gain_{name}_high"] == pytest.approx(interval.high)
    assert (base["n_test"], base["objects"], base["gallery"]) == (len(test.images), N_OBJECTS, N_OBJECTS)
    assert frame.loc[0, "gain_median"] == frame.loc[1, "gain_ridge"] == 0
    assert np.isnan(frame.loc[0, "gain_ridge"])


def test_cosine_is_centred_on_the_training_images():
    test = clouds(LEVELS[:1])
    theirs = cosine_similarity(test.points - TRAIN.mean(axis=0), test.images - TRAIN.mean(axis=0))
    assert identity(test)["cosine"].to_numpy() == pytest.approx(np.diag(theirs), abs=1e-6)


def test_the_mean_has_no_centred_cosine():
    """What float32 leaves of it is rounding, which has a direction."""
    mean = TRAIN.mean(axis=0, dtype=np.float64).astype(np.float32)
    assert (mean - TRAIN.mean(axis=0, dtype=np.float64)).any()
    measured = space().measure(lambda points: np.tile(mean, (len(points), 1)), clouds(LEVELS[:1]))
    assert measured["cosine"].tolist() == [0] * N_OBJECTS


def test_telling_corruptions_apart_is_no_retrieval():
    """Each aligned cloud has a corruption of its own, which is all that the predictor knows."""
    every = clouds()
    shift = np.zeros((3, 6))
    shift[1, 0] = shift[2, 1] = 20
    every.images[:] += shift[every.manifest["severity"]]
    every.points[:] = 1 + shift[every.manifest["severity"]]
    aligned = every.where(np.arange(len(every.images)) % 9 % 4 == 0)  # a variant of each object in turn
    assert len(aligned.images) == N_OBJECTS

    def told(clouds: Clouds) -> pd.DataFrame:
        return space().measure(lambda points: points, clouds)

    frame, by_level = records(Candidate("mapper", "BASE", told), aligned=aligned, levels=every)
    assert told(aligned)["image_r1"].mean() > 2 / N_OBJECTS
    assert frame["image_r1"].item() == pytest.approx(1 / N_OBJECTS)
    assert by_level["cloud_r5"].to_list() == pytest.approx([5 / N_OBJECTS] * 3)


def test_retrieval_is_among_the_objects_in_one_corruption():
    test = clouds()
    measured = identity(test)
    for level in range(3):
        rows = np.arange(level, len(test.images), 3)
        similar = cosine_similarity(test.points[rows], test.images[rows])
        for what, scores in (("image", similar), ("cloud", similar.T)):
            rank = (scores >= np.diag(scores)[:, None]).sum(axis=1)
            assert measured[f"{what}_rank"].iloc[rows].tolist() == rank.tolist()
            for k in (1, 5, 10):
                assert measured[f"{what}_r{k}"].iloc[rows].tolist() == (rank <= k).tolist()


def test_retrieval_of_every_epoch_is_among_the_clean_clouds_alone():
    """Of last epochs it is taken from the measures of all variants, of best ones it is measured by itself."""
    epochs = (Candidate("mapper", "BASE", identity, epoch) for epoch in ("last", "best"))
    frame, by_level = records(*epochs, aligned=clouds(LEVELS[1:2]))
    clean = identity(clouds().where(np.arange(3 * N_OBJECTS) % 3 == 0))
    for name in ("image_r1", "image_r5", "cloud_r10"):
        assert frame[name].tolist() == [clean[name].mean()] * 2
        assert frame[name][0] == by_level[name][0]
    assert frame["cloud_rank"].tolist() == [clean["cloud_rank"].median()] * 2


def test_zero_shot_goes_through_the_projection():
    test = clouds(LEVELS[:1])
    for own in (space(), space(projection=None, prompts=np.random.default_rng(4).normal(size=(3, 6)))):
        seen = test.points if own.projection is None else test.points @ own.projection
        order = np.argsort(-cosine_similarity(seen, own.prompts), axis=1)
        labels = test.manifest["class"].map(CLASSES.index).to_numpy()
        measured = own.measure(lambda points: points, test)
        assert measured["top1"].tolist() == (order[:, 0] == labels).tolist()
        assert measured["top2"].tolist() == (order[:, :2] == labels[:, None]).any(axis=1).tolist()


def test_a_classifiers_logits_need_no_projection():
    test = clouds(LEVELS[:1])
    logits = np.eye(3)[[CLASSES.index(name) for name in test.manifest["class"]]]
    assert space().classified(logits, test)["top1"].tolist() == [1] * N_OBJECTS
    assert space().classified(-logits, test)["top2"].tolist() == [0] * N_OBJECTS


def test_constants_come_out_at_chance():
    frame, by_level = records(Candidate("baseline", "median", constant))
    for k in (1, 5, 10):
        assert frame[f"image_r{k}"].item() == pytest.approx(k / N_OBJECTS)
        assert frame[f"cloud_r{k}"].item() == pytest.approx(k / N_OBJECTS)
        assert by_level[f"image_r{k}"].to_list() == pytest.approx([k / N_OBJECTS] * 3)
    assert frame["image_rank"].item() == 6.5
    nothing = space().measure(np.zeros_like, clouds(LEVELS[:1]))
    assert nothing["top1"].to_list() == pytest.approx([1 / 3] * N_OBJECTS)


# ------------------------------------------------------------------------------------------------------ rows


def test_a_row_per_corruption_and_severity():
    _, by_level = records(Candidate("mapper", "BASE", identity, "last", {"seed": 3}))
    assert by_level[["corruption", "severity"]].to_numpy().tolist() == [list(level) for level in LEVELS]
    assert by_level["n"].tolist() == [N_OBJECTS] * 3
    assert by_level["seed"].tolist() == [3] * 3
    measured = identity(clouds())
    for level in range(3):
        rows = measured.iloc[level::3]
        assert by_level["l1"][level] == pytest.approx(rows["l1"].mean())
        assert by_level["skill"][level] == pytest.approx(1 - rows["l1"].mean() / rows["median_l1"].mean())
        assert by_level["image_rank"][level] == rows["image_rank"].median()


def test_what_a_candidate_does_not_have_is_missing():
    frame, by_level = records(
        *references(space(), None),
        Candidate("baseline", "median", constant),
        Candidate("mapper", "BASE", identity, "last", {"seed": 0, "best_epoch": 7}),
        Candidate("mapper", "BASE", identity, "best", {"seed": 0}),
        Candidate("mapper", "RNORM", None, "last", {"seed": 0, "diverged_at": 4}),
    )
    assert frame["predictor"].tolist() == ["renders", "median", "BASE", "BASE", "RNORM"]
    assert frame.loc[0, ["l1", "gain_median", "image_r1", "seed"]].isna().all()
    assert 0 <= frame.loc[0, "top1"] <= 1
    assert frame.loc[2, "best_epoch"] == 7
    assert frame.loc[4, ["l1", "top1", "gain_median"]].isna().all()
    assert frame.loc[4, "diverged_at"] == 4
    assert by_level["predictor"].unique().tolist() == ["renders", "median", "BASE"]
    assert len(by_level) == 9, "best epochs have no rows by level"


def test_candidates_are_references_baselines_and_both_epochs_of_every_training(tmp_path):
    manifest = pd.DataFrame({"class": "bed", "object": range(31)})
    train = Clouds(manifest, RNG.normal(size=(31, 6)), TRAIN)
    test = clouds(LEVELS[:1])
    splits = train.points, train.images, test.points, test.images
    fit_predictors(tmp_path, *splits, np.arange(31), [0.1], 5, 0, MapperSettings(epochs=2), [0, 1])
    run = {"norm": "layer", "seed": 1, "epochs": 9, "l1_last": None, "l1_best": 0.5, "diverged_at": 3}
    runs = [run, {**run, "seed": 0}, {**run, "norm": "none", "l1_last": 1.0, "diverged_at": None}]
    own = space()
    candidates = [
        *references(own, lambda points: points[:, :3]),
        *fitted(own, tmp_path),
        *trained(own, runs, lambda run, epoch: lambda points: points * run["seed"] + (epoch == "best")),
    ]
    frame, _ = records(*candidates)
    fits = ["zero", "mean", "median", "procrustes", "ridge", "reduced_rank", "lad"]
    names = ["renders", "classifier", *fits, *["linear_layer"] * 4, *["BASE"] * 2, *["LNORM"] * 4]
    assert frame["predictor"].tolist() == names
    assert frame["epoch"].tolist() == ["fit"] * 9 + ["last", "best"] * 5
    assert frame["seed"].tolist()[9:] == [0, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    assert frame["l1"].isna().tolist() == [True, True] + [False] * 13 + [True, False] * 2
    ridge = frame.set_index("predictor").loc["ridge"]
    assert ridge["lambda"] == 0.1
    predicted = load_predictor(tmp_path / "ridge.safetensors").predict(train.points)
    assert ridge["l1_train"] == pytest.approx(mean_absolute_error(TRAIN, predicted), rel=1e-5)


def test_a_classifier_of_other_classes_is_not_evaluated(caplog):
    names = [*CLASSES, "sofa"]
    encoder = create_point_encoder("pointnet_vanilla", 4).eval()
    assert classifier_of(encoder, names, names)(np.zeros((2, 1024), np.float32)).shape == (2, 4)
    assert classifier_of(encoder, names, CLASSES) is None
    assert not caplog.records
    assert classifier_of(encoder, CLASSES, CLASSES) is None
    assert "classifier has 4 classes, not the 3 of the clouds" in caplog.text
    assert classifier_of(object(), CLASSES, CLASSES) is None


def test_one_test_cloud():
    one = clouds(LEVELS[:1]).where(np.array([0]))
    candidates = Candidate("baseline", "median", constant), Candidate("mapper", "BASE", identity)
    frame, _ = records(*candidates, aligned=one, levels=one)
    row = frame.iloc[1]
    assert (row["image_r1"], row["cloud_rank"]) == (1, 1)
    assert np.isfinite(row["gain_median"])
    assert np.isnan(row["gain_median_low"])


def test_a_perfect_prediction_and_a_perfect_median():
    test = clouds(LEVELS[:1])
    perfect = Clouds(test.manifest, test.images, test.images)
    frame, _ = records(Candidate("mapper", "BASE", identity), aligned=perfect)
    assert (frame["l1"].item(), frame["skill"].item()) == (0, 1)
    assert np.isnan(frame["l1div"].item())
    still = Clouds(test.manifest, test.points, np.tile(np.median(TRAIN, axis=0), (N_OBJECTS, 1)))
    frame, _ = records(Candidate("mapper", "BASE", identity), aligned=still)
    assert np.isnan(frame["skill"].item())


# ------------------------------------------------------------------------------------------------- bad input


def test_bad_embeddings_are_refused():
    test = clouds(LEVELS[:1])
    with pytest.raises(InputError, match="12 clouds have 11 point embeddings and 12 image embeddings"):
        Clouds(test.manifest, test.points[:-1], test.images)
    with pytest.raises(InputError, match=r"shape \(12, 5\) for images \(12, 6\)"):
        space().measure(lambda points: points[:, :5], test)
    with pytest.raises(InputError, match="NaN or inf in them"):
        space().measure(lambda points: points * np.nan, test)
    with pytest.raises(InputError, match="queries are 6 wide but the gallery is 4 wide"):
        space(projection=None).measure(lambda points: points, test)
    with pytest.raises(InputError, match="class 'lamp', which has no prompt"):
        space(classes=CLASSES[:2]).measure(lambda points: points, test)


def test_a_projection_comes_back_and_must_be_finite(tmp_path):
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_projection(tmp_path / "clip.h5", matrix, "clip", "embedded")
    assert (read_projection(tmp_path / "clip.h5") == matrix).all()
    write_projection(tmp_path / "clip.h5", matrix * np.nan, "clip", "embedded")
    with pytest.raises(InputError, match=r"clip\.h5: has NaN or inf"):
        read_projection(tmp_path / "clip.h5")
