"""Table II, its measures, the pairs of models and their verdicts, from hand-made hits."""

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import binomtest

from pointspider.core.errors import InputError
from pointspider.study.evaluate.statistics import difference_interval, spread
from pointspider.study.tables.schemas import read_table, write_table
from pointspider.study.tables.verdicts import Decision, estimate, zero_shot_verdicts
from pointspider.study.tables.zero_shot import PAPER_ACCURACY, PAPER_CLOUDS, zero_shot_measures

BEST, SECOND = "CLIP-ViT-H-14-laion2B-s32B-b79K", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K"
RIGHT = {BEST: [12, 8, 4, 150], "tiny": [1, 1, 1, 3]}  # of the draws' 40 clouds each, of the 200 test clouds


def verdicts(tables, comparison: str) -> dict:
    found = zero_shot_verdicts(tables.measures, tables.pairs, tables.made["prompts"])
    return {verdict.subject: verdict for verdict in found if verdict.comparison == comparison}


def pairs(tables, name: str):
    found = zero_shot_verdicts(tables.measures, tables.pairs, tables.made["prompts"])
    return next((v for v in found if v.comparison == "pairs" and v.figures["set"] == name), None)


def test_table_2_has_the_first_draw_and_the_mean_over_all(zero_shot_tables):
    table = zero_shot_tables(RIGHT).table
    assert table["model"].tolist() == [BEST, "tiny"]
    assert table["weights"].tolist() == [f"laion/{BEST}", "train"]
    assert len(table.columns) <= 12
    row = table.iloc[0]
    assert row["top1"] == pytest.approx(0.3)
    assert (row["top1_low"], row["top1_high"]) == pytest.approx((0.1807, 0.4543), abs=1e-4)  # 12 of 40
    assert (row["top1_mean"], row["top3_mean"]) == pytest.approx((0.2, 0.4))
    assert table.filter(like="paper_").isna().all(axis=None)


def test_every_set_and_style_has_its_measures(zero_shot_tables):
    measures = zero_shot_tables(RIGHT, styles=("verbatim", "spaces")).measures
    own = measures[
        (measures["model"] == BEST) & (measures["prompts"] == "spaces") & (measures["measure"] == "top1")
    ]
    own = own.set_index("set")
    assert own.index.tolist() == ["draw_0000", "draw_0001", "draw_0002", "test", "clean", "all_draws"]
    assert own["n"].tolist() == [40, 40, 40, 200, 40, 40]
    assert own["value"].tolist() == pytest.approx([0.3, 0.2, 0.1, 0.75, 1.0, 0.2])
    assert own.loc["test", "low"] < 0.75 < own.loc["test", "high"] < 1
    over_draws = spread(np.array([0.3, 0.2, 0.1]))
    assert own["std"].dropna().to_dict() == {"all_draws": pytest.approx(over_draws.deviation)}
    assert over_draws.low < 0  # the interval of a share ends at 0
    assert own.loc["all_draws", "low"] == 0
    assert own.loc["all_draws", "high"] == pytest.approx(over_draws.high)
    assert set(own["chance"]) == {0.025}
    assert set(measures[measures["measure"] == "top3"]["chance"]) == {0.075}


def test_one_draw_has_no_standard_deviation(zero_shot_tables):
    measures = zero_shot_tables({"tiny": [4, 20]}).measures
    row = measures[(measures["set"] == "all_draws") & (measures["measure"] == "top1")].iloc[0]
    assert row["value"] == pytest.approx(0.1)
    assert np.isnan(row["std"])


def test_the_difference_to_the_paper(zero_shot_tables):
    tables = zero_shot_tables({BEST: [9, 9, 100], "tiny": [1, 1, 3]}, "paper")
    assert tables.table["paper_top1"].tolist() == pytest.approx([0.3, np.nan], nan_ok=True)
    difference = estimate(tables.measures, measure="top1_minus_paper")
    assert difference.value == pytest.approx(-0.075)
    assert (difference.low, difference.high) == pytest.approx(difference_interval((9, 40), (12, 40)))
    assert set(tables.measures[tables.measures["measure"].str.endswith("paper")]["model"]) == {BEST}


def test_the_papers_figures_are_shares_of_its_forty_clouds():
    for figures in PAPER_ACCURACY.values():
        for figure in figures.values():
            assert figure * PAPER_CLOUDS == pytest.approx(round(figure * PAPER_CLOUDS))


def test_every_pair_is_compared_on_both_sets(zero_shot_tables):
    table = zero_shot_tables({"a": [12, 100], "b": [4, 90], "c": [4, 90]}).pairs
    assert table["set"].tolist() == ["draw_0000"] * 6 + ["test"] * 6
    assert table["unit"].tolist() == ["clouds", "objects"] * 6
    row = table.iloc[0]
    assert (row["model"], row["other"], row["n"], row["ahead"], row["behind"]) == ("a", "b", 40, 8, 0)
    assert row["p"] == pytest.approx(binomtest(0, 8).pvalue)
    assert row["p_holm"] == pytest.approx(3 * binomtest(0, 8).pvalue)
    assert table["p"].iloc[4] == 1
    assert (table.loc[table["unit"] == "objects", "n"] == 40).all()


# --------------------------------------------------------------------------------------------------- verdicts


def test_a_model_is_compared_with_chance_on_the_test_clouds(zero_shot_tables):
    found = verdicts(zero_shot_tables(RIGHT), "chance")
    assert {model: verdict.decision for model, verdict in found.items()} == {
        BEST: Decision.BETTER, "tiny": Decision.UNDECIDED,
    }  # fmt: skip
    assert found[BEST].figures["test"].value == 0.75
    assert verdicts(zero_shot_tables(RIGHT), "paper") == {}


@pytest.mark.parametrize(
    ("right", "decision", "different"),
    [
        ([10, 10], Decision.UNDECIDED, 0),
        ([30, 10], Decision.HOLDS, 1),
        ([30, 10, 11], Decision.IN_PART, 2),
    ],
)
def test_a_ranking_needs_significant_pairs(right, decision, different, zero_shot_tables):
    tables = zero_shot_tables({name: [count, 100] for name, count in zip("abc", right, strict=False)})
    draw, test = pairs(tables, "draw_0000"), pairs(tables, "test")
    assert (draw.decision, len(draw.figures["different"])) == (decision, different)
    assert (test.figures["clouds"], test.figures["n"], test.figures["different"]) == (200, 40, [])


def test_one_model_has_no_pairs(zero_shot_tables):
    assert pairs(zero_shot_tables({"tiny": [4, 20]}), "test") is None


@pytest.mark.parametrize(
    ("right", "decision", "figures"),
    [
        ([150, 100], Decision.HOLDS, {"level": []}),
        ([150, 149], Decision.UNDECIDED, {"level": [SECOND]}),
        ([100, 150], Decision.FAILS, {"ours": SECOND, "best": 0.75, "value": 0.5, "significant": True}),
        ([149, 150], Decision.FAILS, {"ours": SECOND, "significant": False}),
    ],
)
def test_the_papers_best_model_is_judged_by_the_test_clouds(right, decision, figures, zero_shot_tables):
    best, second = right
    verdict = verdicts(zero_shot_tables({BEST: [12, best], SECOND: [9, second]}, "paper"), "best")[BEST]
    assert verdict.decision == decision
    assert figures.items() <= verdict.figures.items()


def test_the_papers_own_figures_support_no_ranking(zero_shot_tables):
    tables = zero_shot_tables({model: [8, 100] for model in PAPER_ACCURACY}, "paper")
    verdict = verdicts(tables, "paper_ranking")["paper"]
    assert (verdict.decision, verdict.figures["pairs"], verdict.figures["different"]) == (
        Decision.UNDECIDED, 6, 0,
    )  # fmt: skip


def test_the_papers_figures_agree_or_not(zero_shot_tables):
    found = verdicts(zero_shot_tables({BEST: [10, 12, 100], SECOND: [36, 36, 190]}, "paper"), "paper")
    assert (found[BEST].decision, found[SECOND].decision) == (Decision.HOLDS, Decision.FAILS)
    figures = found[BEST].figures
    assert (figures["draws"], figures["mean"], figures["inside"]) == (2, pytest.approx(0.275), True)
    assert (figures["paper_low"], figures["paper_high"]) == pytest.approx((0.18, 0.45), abs=0.005)
    assert found[SECOND].figures["difference"].value == pytest.approx(0.675)
    assert not found[SECOND].figures["inside"]


def test_the_tables_survive_the_csv(zero_shot_tables, tmp_path):
    tables = zero_shot_tables(RIGHT, "paper", ("verbatim", "spaces"))
    named = {
        "table2": tables.table, "zero_shot": tables.measures, "model_pairs": tables.pairs,
        "zero_shot_corruptions": tables.corruptions,
    }  # fmt: skip
    for name, table in named.items():
        write_table(tmp_path / f"{name}.csv", table)
        assert_frame_equal(read_table(tmp_path / f"{name}.csv"), table, check_dtype=False)


def test_missing_columns_and_sets_are_named(zero_shot_tables):
    records = zero_shot_tables(RIGHT).records
    with pytest.raises(InputError, match=r"zero-shot records: no columns \['low'\]"):
        zero_shot_measures(records.drop(columns="low"), "embedded", 40)
    for name in ("draw_0000", "test", "clean"):
        with pytest.raises(InputError, match=f"{BEST} lacks the set '{name}'"):
            zero_shot_measures(records[records["set"] != name], "embedded", 40)
