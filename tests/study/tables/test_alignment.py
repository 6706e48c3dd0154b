"""Table III, its measures, the measures by corruption level, and their verdicts, from hand-made records."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import binomtest
from scipy.stats import t as student

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv
from pointspider.study.evaluate.statistics import spread
from pointspider.study.tables.alignment import PAPER_L1DIV, alignment_measures
from pointspider.study.tables.pages import alignment_of
from pointspider.study.tables.schemas import SCHEMAS, read_table, write_table
from pointspider.study.tables.verdicts import Decision

BASELINES = ["zero", "mean", "median", "procrustes", "ridge", "reduced_rank", "lad"]
L1 = {"BASE": [np.nan, np.nan], "LNORM": [0.25, 0.4], "RNORM": [0.6, np.nan]}
WHOLE = {"BASE": [0.3, 0.3], "LNORM": [0.3, 0.3], "RNORM": [0.3, 0.3]}


def measure(tables, name: str, predictor: str, split: str = "objects", epoch: str = "last") -> dict:
    rows = tables["alignment"]
    rows = rows[(rows["measure"] == name) & (rows["predictor"] == predictor)]
    rows = rows[(rows["split"] == split) & (rows["epoch"] == epoch)]
    return {} if rows.empty else rows.iloc[0].to_dict()


def verdicts(tables, comparison: str) -> dict:
    found = alignment_of(tables).verdicts()
    return {verdict.subject: verdict for verdict in found if verdict.comparison == comparison}


# ----------------------------------------------------------------------------------------------------- tables


def test_l1div_is_computed_per_seed_and_diverged_seeds_are_excluded(alignment_tables):
    tables = alignment_tables({**L1, "LNORM": [0.25, 0.4, 0.4]})
    table = tables["table3"].set_index("predictor")
    assert table.index.tolist() == [*BASELINES, *L1]
    assert len(tables["table3"].columns) <= 12
    lnorm = table.loc["LNORM"]
    assert lnorm["l1"] == pytest.approx(0.35)
    mean, deviation, low, high = spread(np.array([4, 2.5, 2.5]))  # not 1 / 0.35
    assert (lnorm["l1div"], lnorm["l1div_low"], lnorm["l1div_high"]) == pytest.approx((mean, low, high))
    assert measure(tables, "l1div", "LNORM")["std"] == pytest.approx(deviation)
    assert (lnorm["skill"], lnorm["best_l1div"]) == pytest.approx((0.3, 6.0))
    assert (lnorm["seeds"], lnorm["diverged"]) == (3, 0)
    rnorm = table.loc["RNORM"]
    assert (rnorm["l1"], rnorm["seeds"], rnorm["diverged"]) == (0.6, 2, 1)
    assert np.isnan(rnorm["l1div_low"])
    base = table.loc["BASE"]
    assert (base["seeds"], base["diverged"]) == (2, 2)
    assert base[["l1", "l1div", "skill", "top1", "best_l1div"]].isna().all()


def test_baselines_are_fitted_once(alignment_tables):
    tables = alignment_tables(L1)
    ridge = tables["table3"].set_index("predictor").loc["ridge"]
    assert (ridge["l1"], ridge["best_l1div"], ridge["seeds"]) == (0.2, 5, 0)
    facts = tables["predictors"]
    own = facts[(facts["predictor"] == "ridge") & (facts["split"] == "objects")]
    assert own.set_index("fact")["value"].to_dict() == {"lambda": 0.1, "lambda_at_end": 0, "l1_train": 0.2}


def test_gains_count_the_seeds_that_are_better_and_worse(alignment_tables):
    table = alignment_tables(L1, classes={**L1, "LNORM": [0.3, 0.5]})["gains"]
    counts = table.set_index(["split", "predictor", "epoch", "other"])[["n", "better", "worse"]]
    assert counts.loc[("objects", "LNORM", "last", "median")].tolist() == [2, 2, 0]
    assert counts.loc[("objects", "LNORM", "last", "ridge")].tolist() == [2, 0, 2]
    assert counts.loc[("objects", "RNORM", "last", "median")].tolist() == [1, 0, 1]
    assert counts.loc[("classes", "LNORM", "last", "median")].tolist() == [2, 1, 0]
    assert counts.loc[("objects", "zero", "fit", "median")].tolist() == [1, 0, 1]
    assert ("objects", "BASE", "last", "median") not in counts.index


def test_the_papers_figures_appear_only_with_its_preset(alignment_tables):
    assert alignment_tables(L1)["table3"]["paper_l1div"].isna().all()
    table = alignment_tables(L1, "paper")["table3"].set_index("predictor")
    assert table["paper_l1div"].dropna().to_dict() == PAPER_L1DIV


def test_the_papers_figures_agree_with_its_abstract():
    assert 1 / PAPER_L1DIV["LNORM"] == pytest.approx(0.25, abs=0.001)


def test_every_measure_of_both_splits(alignment_tables):
    tables = alignment_tables(L1, classes={**L1, "LNORM": [0.3, 0.5, 0.4]})
    predictors = tables["alignment"].drop_duplicates(["split", "predictor", "epoch"])
    assert predictors["split"].value_counts().to_dict() == {"objects": 13, "classes": 13}  # BASE diverged
    assert measure(tables, "l1", "LNORM", "classes")["value"] == pytest.approx(0.4)
    recall = spread(np.array([(5 / 40) ** 0.6, 5 / 40, (5 / 40) ** 0.8]))
    known = measure(tables, "image_r5", "LNORM", "classes")
    assert (known["value"], known["low"]) == pytest.approx((recall.mean, max(recall.low, 0)))
    assert (known["n"], known["unit"], known["chance"]) == (3, "seeds", 0.125)
    assert measure(tables, "image_r10", "ridge", epoch="fit")["chance"] == 0.25
    for predictor, name in (("renders", "top1"), ("ridge", "image_r5")):
        known = measure(tables, name, predictor, epoch="fit")
        expected = binomtest(round(40 * known["value"]), 40).proportion_ci(method="wilson")
        assert [known["low"], known["high"]] == pytest.approx(list(expected), abs=0.01)
        assert (known["n"], known["unit"]) == (40, "objects")
    # Clouds of a class are not independent, so there is no interval over objects.
    assert np.isnan(measure(tables, "top1", "renders", "classes", "fit")["low"])
    assert measure(tables, "l1", "renders", epoch="fit") == {}
    assert measure(tables, "top1", "BASE") == {}


def test_two_seeds_have_no_interval(alignment_tables):
    known = measure(alignment_tables(L1), "skill", "LNORM")
    assert (known["n"], known["value"]) == (2, pytest.approx(0.35))
    assert np.isnan(known["low"])


def test_corruption_levels_have_the_mean_over_seeds_and_its_interval(alignment_tables):
    rows = alignment_tables({"LNORM": [0.25, 0.4, 0.4], "BASE": [0.3], "RNORM": [0.3]})[
        "alignment_corruptions"
    ]
    assert rows["split"].unique().tolist() == ["objects", "classes"]
    chosen = rows.query("split == 'objects' and measure == 'l1' and corruption == 'shear' and severity == 3")
    lnorm, base = (chosen[chosen["predictor"] == name].iloc[0] for name in ("LNORM", "BASE"))
    values = np.array([0.25, 0.4, 0.4]) * 1.6
    low, high = student.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert (lnorm["n"], lnorm["seeds"], lnorm["value"]) == (16, 3, pytest.approx(values.mean()))
    assert (lnorm["low"], lnorm["high"]) == pytest.approx((low, high))
    assert (base["seeds"], base["value"]) == (1, pytest.approx(0.48))
    assert np.isnan(base["low"])
    shares = rows[rows["measure"].str.match(r"top|image_r\d|cloud_r\d")]
    assert shares["low"].min() >= 0
    assert shares["high"].max() <= 1


def test_the_tables_survive_the_csv(alignment_tables, tmp_path):
    tables = alignment_tables(L1, "paper")
    for name in set(tables) & set(SCHEMAS):
        write_table(tmp_path / f"{name}.csv", tables[name])
        assert_frame_equal(read_table(tmp_path / f"{name}.csv"), tables[name], check_dtype=False)
    write_csv(tmp_path / "records.csv", tables["records"])
    again = alignment_measures(read_csv(tmp_path / "records.csv"))
    assert_frame_equal(again, tables["alignment"])


def test_missing_columns_are_named(alignment_records):
    with pytest.raises(InputError, match=r"alignment records: no columns \['diverged_at'\]"):
        alignment_measures(alignment_records(L1).drop(columns="diverged_at"))
    with pytest.raises(InputError, match="alignment records: no rows"):
        alignment_measures(alignment_records(L1).iloc[:0])


# --------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("l1", "decision"),
    [
        ([0.4, 0.401], Decision.BETTER),
        ([0.4, 0.401, 0.402], Decision.BETTER),
        ([0.05, 0.45, 0.45], Decision.MIXED),  # every seed is better, but the interval over seeds reaches 0
        ([0.4], Decision.BETTER),
        ([0.49, 0.51], Decision.UNDECIDED),
        ([4.0, 5.0], Decision.WORSE),
        ([0.4, 0.6], Decision.MIXED),
        ([0.4, np.nan], Decision.BETTER),
        ([np.nan, np.nan], Decision.DIVERGED),
    ],
)
def test_a_mapper_is_judged_by_the_interval_of_every_seed(l1, decision, alignment_tables):
    by_objects = alignment_tables({**WHOLE, "LNORM": l1}, classes=WHOLE)
    by_classes = alignment_tables(WHOLE, classes={**WHOLE, "LNORM": l1})
    for tables, split in ((by_objects, "objects"), (by_classes, "classes")):
        verdict = verdicts(tables, f"median_{split}")["LNORM"]
        assert verdict.decision == decision
        assert verdict.figures["seeds"] == len(l1)
        assert verdict.figures["diverged_at"] == [7] * int(np.isnan(l1).sum())


@pytest.mark.parametrize(
    ("l1", "decision"),
    [
        ([0.1, 0.101], Decision.BETTER),
        ([0.19, 0.21], Decision.UNDECIDED),
        ([0.3, 0.31], Decision.WORSE),
        ([0.1, 0.3], Decision.MIXED),
    ],
)
def test_a_mapper_is_compared_with_ridge(l1, decision, alignment_tables):
    tables = alignment_tables({**WHOLE, "BASE": l1})
    assert verdicts(tables, "ridge_objects")["BASE"].decision == decision
    fits = verdicts(tables, "fits")["ridge"].figures
    assert fits["skill"].value == pytest.approx(0.6)
    assert fits["level"] == ["zero", "mean"]
    assert fits["chosen"] == {"ridge": {"lambda": 0.1, "lambda_at_end": 0}}


def test_a_linear_layer_is_judged_as_mappers_are(alignment_tables):
    tables = alignment_tables(
        {"linear_layer": [0.49, np.nan], **WHOLE}, classes={"linear_layer": [0.2], **WHOLE}
    )
    assert verdicts(tables, "median_classes")["linear_layer"].decision == Decision.BETTER
    assert verdicts(tables, "median_objects")["linear_layer"].decision == Decision.UNDECIDED
    assert verdicts(tables, "ridge_objects")["linear_layer"].decision == Decision.WORSE


def test_retrieval_is_compared_with_chance(alignment_tables):
    tables = alignment_tables({**WHOLE, "BASE": [0.5, 0.5]})
    found = verdicts(tables, "retrieval")
    assert {name: verdict.decision for name, verdict in found.items()} == {
        "BASE": Decision.FAILS, "LNORM": Decision.HOLDS, "RNORM": Decision.HOLDS,
    }  # fmt: skip
    assert (found["BASE"].figures["k"], found["BASE"].figures["chance"]) == (10, 0.25)
    tables["splits"] = tables["splits"].assign(gallery=8, objects=8)
    assert verdicts(tables, "retrieval")["BASE"].figures["k"] == 5
    tables["splits"] = tables["splits"].assign(gallery=1, objects=1)
    assert verdicts(tables, "retrieval")["BASE"].decision == Decision.NOT_COMPARABLE


def test_mapped_clouds_are_classified_for_comparison_with_renders(alignment_tables):
    verdict = verdicts(alignment_tables({**WHOLE, "RNORM": [np.nan]}), "classification")["mappers"]
    top1 = verdict.figures["top1"]
    assert list(top1) == ["BASE", "LNORM", "ridge", "renders", "classifier"]
    assert [known.value for known in top1.values()] == pytest.approx([0.7, 0.7, 0.8, 0.9, 0.8])
    assert (top1["BASE"].low, top1["BASE"].high) == pytest.approx((0.546, 0.819), abs=1e-3)
    assert (verdict.decision, verdict.figures["chance"].value) == (Decision.HOLDS, pytest.approx(0.2))


@pytest.mark.parametrize(
    ("l1div", "decision", "best", "equal"),
    [
        ({"BASE": [1.5, 1.51, 1.5], "LNORM": [4.0, 4.01, 4.0]}, Decision.HOLDS, True, True),
        ({"BASE": [1.5, 1.51, 1.5], "LNORM": [1.5, 1.51, 1.5]}, Decision.IN_PART, False, True),
        ({"BASE": [3.0, 3.01, 3.0], "LNORM": [1.5, 1.51, 1.5]}, Decision.FAILS, False, False),
        ({"BASE": [np.nan] * 3, "LNORM": [1.5, 1.51, 1.5]}, Decision.NOT_COMPARABLE, None, None),
    ],
)
def test_the_papers_claim(l1div, decision, best, equal, alignment_tables):
    l1div = {**l1div, "RNORM": [1.55, 1.56, 1.55]}
    l1 = {name: [1 / value for value in values] for name, values in l1div.items()}
    tables = alignment_tables(l1, "paper")
    claim = verdicts(tables, "claim")["LNORM"]
    assert (claim.decision, claim.figures.get("best"), claim.figures.get("equal")) == (decision, best, equal)
    ours = verdicts(tables, "paper_l1div")
    assert ours["LNORM"].figures["paper"] == 3.996
    assert (ours["BASE"].decision == Decision.DIVERGED) == (decision == Decision.NOT_COMPARABLE)
    assert verdicts(alignment_tables(l1), "claim") == {}


def test_a_predictor_without_a_measure_has_no_row(alignment_tables):
    tables = alignment_tables(L1)
    assert not tables["alignment"]["value"].isna().any()
    assert isinstance(tables["alignment"], pd.DataFrame)
