"""Table IV from hand-made records: a better encoder and a better mapper are told apart."""

import numpy as np
import pytest

from pointspider.study.tables.encoders import encoder_measures, encoder_table, encoder_verdicts
from pointspider.study.tables.pages import encoders_page
from pointspider.study.tables.schemas import read_table, write_table
from pointspider.study.tables.verdicts import Decision

MADE = {"preset": "embedded", "data": "procedural", "norm": "layer", "layer": "pooled", "image_model": "tiny"}
FACTS = {
    "good": {"width": 1024, "parameters": 3_000_000, "points": None, "clouds_per_second": 100.0},
    "poor": {"width": 256, "parameters": 700_000, "points": 128, "clouds_per_second": 250.0},
}


@pytest.fixture
def records(alignment_records):
    """LNORM has a mean L1 of 0.11 with the good encoder and 0.41 with the poor; ridge of 0.2 and 0.25."""
    found = {}
    for name, lnorm, ridge in (("good", 0.1, 0.2), ("poor", 0.4, 0.25)):
        own = alignment_records({"LNORM": [lnorm, lnorm + 0.02, lnorm + 0.01]})
        own = own[own["split"] == "objects"].copy()
        is_ridge = own["predictor"] == "ridge"
        own.loc[is_ridge, "l1"], own.loc[is_ridge, "skill"] = ridge, 1 - ridge / 0.5
        found[name] = own.drop(columns="split")
    return found


def test_table4_has_a_row_per_encoder_and_predictor(records, tmp_path):
    measures = encoder_measures(records)
    table = encoder_table(measures, FACTS, "layer")
    assert table[["encoder", "predictor"]].apply(tuple, axis=1).tolist() == [
        ("good", "ridge"), ("good", "LNORM"), ("poor", "ridge"), ("poor", "LNORM"),
    ]  # fmt: skip
    np.testing.assert_allclose(table["skill"], [0.6, 0.78, 0.5, 0.18])
    assert table["skill_low"].isna().tolist() == [True, False, True, False]
    np.testing.assert_allclose(table["classifier_top1"], 0.8)
    assert table["parameters"].tolist() == [3_000_000] * 2 + [700_000] * 2
    write_table(tmp_path / "table4.csv", table)
    write_table(tmp_path / "encoders.csv", measures)
    assert read_table(tmp_path / "table4.csv").equals(table)


def test_the_verdicts_tell_encoders_and_mappers_apart(records):
    table = encoder_table(encoder_measures(records), FACTS, "layer")
    ridge, lnorm, same = encoder_verdicts(table)
    assert (ridge.figures["best"], ridge.figures["worst"]) == ("good", "poor")
    assert ridge.figures["spread"] == pytest.approx(0.1)
    assert lnorm.figures["spread"] == pytest.approx(0.6)
    assert same.decision is Decision.MIXED
    assert (same.figures["low"], same.figures["high"]) == pytest.approx((-0.32, 0.18))
    page = encoders_page(table, FACTS, MADE)
    assert "Through ridge, good has the highest skill, +60.0%, and poor the lowest, +50.0%" in page
    assert "a difference of 10.0 points." in page
    assert "ridge for 1 of 2 encoders: the difference in skill is -32.0 to +18.0 points" in page
    assert "| good | 3,000,000 | 1024 | all | 100 | 80.0% | ridge | +60.0% |" in page
    assert "| poor | 700,000 | 256 | 128 | 250 | 80.0% | LNORM | +18.0% [" in page
    assert "nan" not in page


def test_a_mapper_that_diverged_has_no_row_of_figures(alignment_records):
    own = alignment_records({"LNORM": [np.nan]})
    own = own[own["split"] == "objects"].drop(columns="split")
    table = encoder_table(encoder_measures({"good": own}), {"good": FACTS["good"]}, "layer")
    assert table["skill"].isna().tolist() == [False, True]
    page = encoders_page(table, {"good": FACTS["good"]}, MADE)
    assert "Through LNORM: every training diverged." in page
    assert "nan" not in page
