"""Table II, its extension, the pairs of models and what is said of them, from hand-made hits."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import binomtest

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv
from pointspider.study.evaluate.statistics import difference_interval, spread
from pointspider.study.evaluate.zero_shot import compare_models, zero_shot_records
from pointspider.study.tables.zero_shot import (
    PAPER_ACCURACY,
    PAPER_CLOUDS,
    extended_cells,
    extended_table,
    pairs_table,
    read,
    top_ranks,
    zero_shot_table,
)

BEST, SECOND = "CLIP-ViT-H-14-laion2B-s32B-b79K", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K"
VARIANTS = [("original", 0), ("shear", 1), ("shear", 3), ("uniform", 1), ("uniform", 3)]
RIGHT = {BEST: [12, 8, 4, 150], "tiny": [1, 1, 1, 3]}  # of the draws' 40 clouds each, of the 200 test clouds


def make_hits(right: dict[str, list[int]], styles: tuple[str, ...] = ("spaces",)) -> pd.DataFrame:
    """As `zero_shot_hits` makes them: of each set the first clouds are named right, of top 3 twice as many.

    Args:
        right: {model: right clouds of each draw of 40, and last of the 200 test clouds: 40 objects in each of
            VARIANTS, the clean ones first}.
        styles: each gives the same.
    """
    draws = [
        [(f"draw_{d:04d}", "shear", 1, k) for k in range(40)]
        for d in range(len(next(iter(right.values()))) - 1)
    ]
    sets = [*draws, [("test", *variant, k) for variant in VARIANTS for k in range(40)]]
    rows = [
        {"model": model, "style": style, "set": name, "cloud_id": f"class_{k}/{corruption}_{severity}/0000",
         "class": f"class_{k}", "object": "0000", "corruption": corruption, "severity": severity,
         "top1": place < count, "top3": place < 2 * count}
        for model, counts in right.items()
        for style in styles
        for clouds, count in zip(sets, counts, strict=True)
        for place, (name, corruption, severity, k) in enumerate(clouds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def make_tables(
    right: dict[str, list[int]], preset: str, styles: tuple[str, ...] = ("spaces",)
) -> dict[str, pd.DataFrame]:
    """{file stem: table} of Table II, and the `records` that they are made of."""
    hits = make_hits(right, styles)
    records = zero_shot_records(hits)
    weights = {model: "train" if model == "tiny" else f"laion/{model}" for model in right}
    made = {"preset": preset, "data": "procedural", "weights": weights, "seed": 4, "classes": 40}
    pairs = compare_models(hits[hits["style"] == styles[-1]])
    return {
        "table2": zero_shot_table(records, styles[-1], **made),
        "table2_extended": extended_table(records, **made),
        "table2_pairs": pairs_table(pairs, styles[-1], preset, "procedural"),
        "records": records,
    }


def test_table_2_is_the_first_draw_with_the_spread_over_all_and_the_test_clouds():
    table = make_tables(RIGHT, "embedded")["table2"]
    assert table["model"].tolist() == [BEST, "tiny"]
    assert table["weights"].tolist() == [f"laion/{BEST}", "trained by this workflow"]
    row = table.iloc[0]
    assert (row["n"], row["draws"], row["n_test"], row["n_clean"], row["seed"]) == (40, 3, 200, 40, 4)
    assert row["prompts"] == "spaces"
    assert row["top1"] == pytest.approx(0.3)
    assert (row["top1_low"], row["top1_high"]) == pytest.approx((0.1807, 0.4543), abs=1e-4)  # 12 of 40
    assert (row["top1_mean"], row["top1_std"]) == pytest.approx((0.2, 0.1))
    assert (row["top1_test"], row["top1_clean"]) == (0.75, 1.0)
    assert row["top1_test_low"] < 0.75 < row["top1_test_high"] < 1
    assert (row["top1_chance"], row["top3_chance"]) == pytest.approx((0.025, 0.075))
    assert top_ranks(table) == [1, 3]
    assert table.filter(like="paper_").isna().all(axis=None)
    assert table.filter(like="_difference").isna().all(axis=None)


def test_one_draw_has_no_standard_deviation():
    row = make_tables({"tiny": [4, 20]}, "embedded")["table2"].iloc[0]
    assert row["top1_mean"] == pytest.approx(0.1)
    assert np.isnan(row["top1_std"])


def test_ours_stands_beside_the_papers():
    table = make_tables({BEST: [9, 9, 100], "tiny": [1, 1, 3]}, "paper")["table2"].set_index("model")
    row = table.loc[BEST]
    assert (row["paper_top1"], row["paper_top3"]) == (0.3, 0.4)
    assert row["top1_difference"] == pytest.approx(-0.075)
    expected = difference_interval((9, 40), (12, 40))
    assert (row["top1_difference_low"], row["top1_difference_high"]) == pytest.approx(expected)
    assert table.loc["tiny", ["paper_top1", "top1_difference", "top1_difference_low"]].isna().all()


def test_the_papers_figures_are_shares_of_its_forty_clouds():
    for figures in PAPER_ACCURACY.values():
        for figure in figures.values():
            assert figure * PAPER_CLOUDS == pytest.approx(round(figure * PAPER_CLOUDS))


def test_the_extension_has_every_set_and_style():
    table = make_tables(RIGHT, "paper", ("verbatim", "spaces"))["table2_extended"]
    assert table.groupby(["model", "prompts"]).size().tolist() == [4] * 4
    own = table[(table["model"] == BEST) & (table["prompts"] == "spaces")].set_index("set")
    assert own.index.tolist() == ["first draw", "all draws", "test", "clean"]
    assert own["n"].tolist() == [40, 40, 200, 40]
    assert own["draws"].tolist() == [1, 3, 1, 1]
    assert own["top1"].tolist() == pytest.approx([0.3, 0.2, 0.75, 1.0])
    assert own["top1_std"].isna().tolist() == [True, False, True, True]
    over_draws = spread([0.3, 0.2, 0.1])
    assert own.loc["all draws", "top1_std"] == pytest.approx(over_draws.deviation)
    assert over_draws.low < 0  # the interval of a share ends at 0
    assert own.loc["all draws", "top1_low"] == 0
    assert own.loc["all draws", "top1_high"] == pytest.approx(over_draws.high)
    assert own["paper_top1"].tolist() == pytest.approx([0.3, np.nan, np.nan, np.nan], nan_ok=True)
    cells = pd.DataFrame(list(extended_cells(table)))
    assert cells["top-1, first draw"].iloc[0] == "0.300 [0.18, 0.45]"
    assert cells["top-1, all draws"].iloc[0] == "0.200 ± 0.100"
    assert len(cells) == 4


def test_every_pair_is_compared_on_both_sets():
    pairs = make_tables({"a": [12, 100], "b": [4, 90], "c": [4, 90]}, "embedded")["table2_pairs"]
    assert pairs["set"].tolist() == ["first draw"] * 3 + ["test"] * 3
    row = pairs.iloc[0]
    assert (row["model"], row["other"], row["n"], row["ahead"], row["behind"]) == ("a", "b", 40, 8, 0)
    assert row["p"] == pytest.approx(binomtest(0, 8).pvalue)
    assert row["p_holm"] == pytest.approx(3 * binomtest(0, 8).pvalue)
    assert pairs["p"].iloc[2] == 1
    assert (pairs["objects"] == 40).all()


def sentences(right: dict[str, list[int]], preset: str = "embedded") -> str:
    tables = make_tables(right, preset)
    return " | ".join(read(tables["table2"], tables["table2_pairs"]))


def test_chance_is_told_by_the_test_clouds():
    said = sentences(RIGHT)
    assert f"{BEST} is above chance, 0.025: it names 0.750 [" in said
    assert "tiny is not told from chance, 0.025: it names 0.015 [" in said
    assert "paper" not in said


@pytest.mark.parametrize(
    ("right", "told"),
    [
        ([10, 10], "tells 0 of 1 pairs of models apart, so it supports no ranking of the models"),
        ([30, 10], "tells 1 of 1 pairs of models apart, so it supports the whole ranking"),
        ([30, 10, 11], "tells 2 of 3 pairs of models apart, so it supports the ranking only in part"),
    ],
)
def test_a_ranking_is_supported_by_the_pairs_that_are_told_apart(right, told):
    said = sentences({name: [count, 100] for name, count in zip("abc", right, strict=False)})
    assert f"One draw of 40 clouds {told}" in said
    assert "The 200 test clouds, each of their 40 objects counted once, tell 0 of " in said


def test_one_model_has_no_rival():
    assert "apart" not in sentences({"tiny": [4, 20]})


@pytest.mark.parametrize(
    ("right", "told"),
    [
        ([150, 100], f"that {BEST} is best holds: on the test clouds it is ahead of each of the others."),
        ([150, 149], f"is not shown: it names most of the test clouds, but is not told from {SECOND}."),
        ([100, 150], f"does not hold on the test clouds, and {SECOND} names 0.750 of them, it 0.500."),
        ([149, 150], f"does not hold on the test clouds, though they are not told apart: {SECOND} names"),
    ],
)
def test_the_papers_claim_is_judged_by_the_test_clouds(right, told):
    best, second = right
    assert told in sentences({BEST: [12, best], SECOND: [9, second]}, "paper")


def test_the_papers_own_figures_support_no_ranking():
    said = sentences({model: [8, 100] for model in PAPER_ACCURACY}, "paper")
    assert "The paper's own figures tell 0 of 6 pairs apart" in said
    assert "of two draws of 40), so they support no ranking of the models." in said


def test_the_papers_figures_agree_or_not():
    said = sentences({BEST: [10, 12, 100], SECOND: [36, 36, 190]}, "paper")
    assert f"{BEST}: the paper's 0.300 agrees with ours, as far as 40 clouds can tell." in said
    assert "our mean over 2 draws, 0.275, is inside the paper's own interval [0.18, 0.45]" in said
    assert f"{SECOND}: the paper's 0.225 does not agree with ours, few as 40 clouds are." in said
    assert "differs from it by +0.675 [" in said
    assert "our mean over 2 draws, 0.900, is outside the paper's own interval [0.12, 0.38]" in said


def test_the_tables_survive_the_csv_and_are_read_the_same(tmp_path):
    tables = make_tables(RIGHT, "paper", ("verbatim", "spaces"))
    back = {}
    for name, table in tables.items():
        write_csv(tmp_path / f"{name}.csv", table)
        back[name] = read_csv(tmp_path / f"{name}.csv")
        assert_frame_equal(back[name].convert_dtypes(), table.convert_dtypes(), check_dtype=False)
    assert list(read(back["table2"], back["table2_pairs"])) == list(
        read(tables["table2"], tables["table2_pairs"])
    )


def test_missing_columns_and_sets_are_named():
    records = make_tables(RIGHT, "embedded")["records"]
    made = {"preset": "x", "data": "x", "weights": dict.fromkeys(RIGHT, "train"), "seed": 4, "classes": 40}
    for table in (
        lambda frame: zero_shot_table(frame, "spaces", **made),
        lambda frame: extended_table(frame, **made),
    ):
        with pytest.raises(InputError, match=r"zero-shot records: no columns \['top1_low'\]"):
            table(records.drop(columns="top1_low"))
        for name in ("draw_0000", "test", "clean"):
            with pytest.raises(InputError, match=f"{BEST} lacks the set '{name}'"):
                table(records[records["set"] != name])
