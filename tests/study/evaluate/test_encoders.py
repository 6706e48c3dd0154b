"""The candidates and facts of Table IV."""

import numpy as np
import pandas as pd

from pointspider.encoders.points.registry import create_point_encoder
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper
from pointspider.study.evaluate.alignment import OBJECT, Clouds, ImageSpace, evaluate
from pointspider.study.evaluate.encoders import encoder_facts, fit_candidates, train_candidates

LAMBDAS, SETTINGS = [0.01, 1.0], MapperSettings(epochs=2, base_width=4)


def clouds(count: int, seed: int) -> Clouds:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 5)).astype(np.float32)
    images = (points[:, [0, 1, 2, 0]] + 0.1 * rng.normal(size=(count, 4))).astype(np.float32)
    names = [f"{number:03d}" for number in range(count)]
    manifest = pd.DataFrame({"class": "chair", "object": names, "corruption": "original", "severity": 0})
    return Clouds(manifest, points, images)


def test_every_encoder_has_the_fits_and_the_mapper_of_table_3():
    train, test = clouds(20, 0), clouds(10, 1)
    space = ImageSpace.of(train.images, ["chair"], np.ones((1, 4), np.float32), None, [1])
    candidates = [
        *fit_candidates(space, train, LAMBDAS, 4, 3),
        *train_candidates(space, train, test, "layer", SETTINGS, [5, 6]),
    ]
    names = ["zero", "mean", "median", "procrustes", "ridge", "reduced_rank"]
    assert [one.predictor for one in candidates] == [*names, *["LNORM"] * 4]
    records, _ = evaluate(candidates, test, test, OBJECT)
    fits = dict(fit_baselines(train.points, train.images, np.arange(20), LAMBDAS, 4, 3))
    mapper = train_mapper(train.points, train.images, test.points, test.images, "layer", SETTINGS, 6)
    for name, epoch, seed, predict in (
        ("ridge", "fit", None, fits["ridge"].predict),
        ("LNORM", "last", 6, mapper.last.predict),
        ("LNORM", "best", 6, mapper.best.predict),
    ):
        row = records[(records["predictor"] == name) & (records["epoch"] == epoch)]
        row = row[row["seed"] == seed] if seed is not None else row
        expected = np.abs(predict(test.points) - test.images).mean()
        np.testing.assert_allclose(row["l1"], expected, rtol=1e-5)


def test_facts_are_those_of_the_encoder():
    encoder = create_point_encoder("pointnet_vanilla", classes=40).eval()
    facts = encoder_facts(encoder, np.random.default_rng(0).normal(size=(3, 64, 3)).astype(np.float32))
    assert (facts["width"], facts["parameters"], facts["points"]) == (1024, 819_624, None)
    assert facts["clouds_per_second"] > 1
