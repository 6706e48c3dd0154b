"""Table III, its extension, the rows of single corruptions, and what is said of them."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import binomtest
from scipy.stats import t as student

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv
from pointspider.study.evaluate.alignment import FACTS
from pointspider.study.evaluate.statistics import spread
from pointspider.study.tables.alignment import (
    PAPER_L1DIV,
    alignment_table,
    corruption_rows,
    extended_table,
    measure_names,
)
from pointspider.study.tables.alignment_findings import TEXT_EXTENDED, cells, extended_cells, galleries, read

MADE = {
    "data": "procedural", "image_model": "tiny", "layer": "pooled", "image_weights": "train",
    "point_encoder": "pointnet", "point_weights": "train",
}  # fmt: skip
BASELINES = {
    "zero": 0.8, "mean": 0.51, "median": 0.5, "procrustes": 0.4, "ridge": 0.2, "reduced_rank": 0.21,
    "lad": 0.3,
}  # fmt: skip
L1 = {"BASE": [np.nan, np.nan], "LNORM": [0.25, 0.4], "RNORM": [0.6, np.nan]}
NOISE = 0.02  # half of every interval of a gain


def make_records(l1: dict[str, list[float]], classes: dict[str, list[float]] | None = None) -> pd.DataFrame:
    """As `evaluate` makes them for both splits.

    Args:
        l1: {mapper: the last L1 of each seed}; NaN: it diverged at epoch 7. The best epochs have half of it.
        classes: the same with classes held out; None: as with objects.
    """
    rows = []
    for split, given in (("objects", l1), ("classes", classes or l1)):
        rows += [
            {"split": split, "kind": "reference", "mapper": "renders", "epoch": "-", "top1": 0.9, "top3": 1}
        ]
        rows += [{"split": split, "kind": "reference", "mapper": "classifier", "epoch": "-", "top1": 0.8}]
        for name, value in BASELINES.items():
            rows.append({"split": split, "kind": "baseline", "mapper": name, "epoch": "-", "l1": value})
            rows[-1] |= {"lambda": 0.1} if name == "ridge" else {}
        for mapper, values in given.items():
            for seed, value in enumerate(values):
                run = {"split": split, "kind": "mapper", "mapper": mapper, "seed": seed, "epochs": 100}
                run |= {"batch_size": 20, "base_width": 8, "best_epoch": 40 + 10 * seed}
                run |= {"diverged_at": 7 if np.isnan(value) else None}
                rows.append(run | {"epoch": "last", "l1": value})
                rows.append(run | {"epoch": "best", "l1": 0.3 if np.isnan(value) else value / 2})
    frame = pd.DataFrame(rows)
    frame = frame.reindex(columns=[*FACTS, *frame.columns.difference(FACTS, sort=False)])
    frame = frame.assign(n_train=20, n_test=40, objects=40, gallery=40)
    l1 = frame["l1"].astype(float)
    frame["l1div"], frame["skill"] = 1 / l1, 1 - l1 / 0.5
    for other in ("median", "ridge"):
        gain = BASELINES[other] - l1
        frame[f"gain_{other}"] = gain
        frame[f"gain_{other}_low"], frame[f"gain_{other}_high"] = gain - NOISE, gain + NOISE
    frame["cosine"] = 1 - l1
    for what in ("image", "cloud"):
        frame[f"{what}_rank"] = 40 * l1
        for k in (1, 5, 10):
            frame[f"{what}_r{k}"] = (k / 40) ** (2 * l1).clip(0, 1)
    for name, best in (("top1", 1.0), ("top3", 1.2)):
        frame[name] = frame[name].fillna((best - l1).clip(0, 1)) if name in frame else (best - l1).clip(0, 1)
    return frame.astype(FACTS)


def make_tables(
    l1: dict[str, list[float]], preset: str, classes: dict[str, list[float]] | None = None
) -> dict[str, pd.DataFrame]:
    """{file stem: table} of Table III, and the `records` that they are made of."""
    records = make_records(l1, classes)
    return {
        "table3": alignment_table(records, preset=preset, **MADE),
        "table3_extended": extended_table(records, preset=preset, **MADE),
        "records": records,
    }


def make_cells(l1: dict[str, list[float]]) -> pd.DataFrame:
    """As `evaluate` makes them, of shear and uniform noise at two severities: L1 grows with severity."""
    records = make_records(l1)
    records = records[(records["epoch"] != "best") & (records["kind"] != "reference") & records["l1"].notna()]
    cells = [
        records.assign(corruption=name, severity=severity, n=n, l1=records["l1"] * (1 + 0.2 * severity))
        for name, severity, n in (("original", 0, 40), ("shear", 1, 24), ("shear", 3, 16), ("uniform", 1, 40))
    ]
    columns = ["split", "mapper", "seed", "corruption", "severity", "n", *measure_names(records)]
    return pd.concat(cells, ignore_index=True)[columns]


# ---------------------------------------------------------------------------------------------------- tables


def test_l1div_is_taken_per_seed_and_diverged_seeds_are_left_out():
    table = make_tables(L1, "embedded")["table3"].set_index("mapper")
    assert table.index.tolist() == [*BASELINES, *L1]
    lnorm = table.loc["LNORM"]
    assert lnorm["l1_last"] == pytest.approx(0.325)
    assert lnorm["l1div_last"] == pytest.approx(3.25)  # mean of 4 and 2.5, not 1 / 0.325
    _, deviation, low, high = spread([4, 2.5])
    assert (lnorm["l1div_last_std"], lnorm["l1div_last_low"]) == pytest.approx((deviation, low))
    assert lnorm["l1div_last_high"] == pytest.approx(high)
    assert lnorm["skill_last"] == pytest.approx(0.35)
    assert lnorm["l1div_best"] == pytest.approx(6.5)
    assert (lnorm["seeds"], lnorm["diverged"], lnorm["diverged_at"]) == ("0 1", 0, "-")
    assert (lnorm["better_median"], lnorm["worse_median"], lnorm["best_epoch"]) == (2, 0, "40-50")
    assert (lnorm["better_ridge"], lnorm["worse_ridge"]) == (0, 2)
    assert (lnorm["n_train"], lnorm["n_test"], lnorm["epochs"]) == (20, 40, 100)
    rnorm = table.loc["RNORM"]
    assert (rnorm["l1_last"], rnorm["diverged"], rnorm["diverged_at"]) == (0.6, 1, "7")
    assert (rnorm["better_median"], rnorm["worse_median"]) == (0, 1)
    assert np.isnan(rnorm["l1_last_low"])
    base = table.loc["BASE"]
    assert (base["diverged"], base["seeds"], base["diverged_at"]) == (2, "0 1", "7 7")
    assert base[["l1_last", "l1div_last", "skill_last", "l1_best", "l1div_best"]].isna().all()


def test_baselines_have_one_fit_for_both_epochs():
    table = make_tables(L1, "embedded")["table3"].set_index("mapper")
    ridge = table.loc["ridge"]
    assert (ridge["l1_last"], ridge["l1_best"]) == (0.2, 0.2)
    assert (ridge["seeds"], ridge["note"], ridge["best_epoch"]) == ("-", "lambda 0.1", "-")
    assert np.isnan(ridge["l1_last_low"])
    verdicts = table[["better_median", "worse_median"]].T
    assert verdicts[["median", "mean", "zero", "ridge"]].to_numpy().T.tolist() == [
        [0, 0], [0, 0], [0, 1], [1, 0],
    ]  # fmt: skip
    assert (table["point_weights"] == "trained by this workflow").all()


def test_the_papers_figures_stand_beside_its_preset_alone():
    assert make_tables(L1, "embedded")["table3"]["paper_l1div"].isna().all()
    table = make_tables(L1, "paper")["table3"].set_index("mapper")
    assert table["paper_l1div"].dropna().to_dict() == PAPER_L1DIV
    assert table.loc["LNORM", "l1div_difference"] == pytest.approx(3.25 - 3.996)
    assert table["l1div_difference"].notna().sum() == 2  # BASE diverged


def test_the_papers_figures_agree_with_its_abstract():
    assert 1 / PAPER_L1DIV["LNORM"] == pytest.approx(0.25, abs=0.001)


def test_the_extension_has_every_measure_of_both_splits():
    extended = make_tables(L1, "embedded", classes={**L1, "LNORM": [0.3, 0.5]})["table3_extended"]
    assert extended["split"].value_counts().to_dict() == {"objects": 15, "classes": 15}
    rows = extended.set_index(["split", "mapper", "epoch"])
    lnorm = rows.loc["classes", "LNORM", "last"]
    assert (lnorm["l1"], lnorm["better_median"]) == (pytest.approx(0.4), 1)
    gain = spread([0.2, 0.0])
    assert (lnorm["gain_median"], lnorm["gain_median_low"]) == pytest.approx((gain.mean, gain.low))
    recall = spread([(5 / 40) ** 0.6, 5 / 40])
    assert recall.low < 0 < 1 < recall.high  # the interval of a share ends there
    of_recall = lnorm[["image_r5", "image_r5_low", "image_r5_high"]].tolist()
    assert of_recall == [pytest.approx(recall.mean), 0, 1]
    assert (lnorm["chance_r1"], lnorm["chance_r10"]) == (0.025, 0.25)
    renders = rows.loc["objects", "renders", "-"]
    assert renders["top1"] == 0.9
    for row, name in ((renders, "top1"), (rows.loc["objects", "ridge", "-"], "image_r5")):
        expected = binomtest(round(40 * row[name]), 40).proportion_ci(method="wilson")
        assert row[[f"{name}_low", f"{name}_high"]].tolist() == pytest.approx(list(expected), abs=0.01)
    assert np.isnan(rows.loc["classes", "renders", "-"]["top1_low"])  # clouds of a class are alike
    assert renders[["l1", "cosine", "image_r1"]].isna().all()
    assert rows.loc["objects", "BASE", "last"].filter(regex="^(l1|top1|image_r1)").isna().all()


def test_corruptions_have_the_mean_over_seeds_and_its_interval():
    rows = corruption_rows(make_cells({"LNORM": [0.25, 0.4], "BASE": [0.3]}))
    assert rows.columns.tolist() == [
        "model", "task", "measure", "corruption", "severity", "n", "value", "low", "high", "interval",
    ]  # fmt: skip
    assert rows["task"].unique().tolist() == ["alignment", "alignment_held_out_classes"]
    chosen = rows.query("task == 'alignment' and measure == 'l1' and corruption == 'shear' and severity == 3")
    lnorm, base = (chosen[chosen["model"] == name].iloc[0] for name in ("LNORM", "BASE"))
    values = np.array([0.25, 0.4]) * 1.6
    low, high = student.interval(0.95, 1, values.mean(), values.std(ddof=1) / np.sqrt(2))
    assert (lnorm["n"], lnorm["value"]) == (16, pytest.approx(values.mean()))
    assert (lnorm["low"], lnorm["high"]) == pytest.approx((low, high))
    assert base["value"] == pytest.approx(0.48)
    assert np.isnan(base["low"])
    assert (lnorm["interval"], base["interval"]) == ("seeds", "")
    assert not rows["value"].isna().any()
    shares = rows[rows["measure"].str.match(r"top|image_r\d|cloud_r\d")]
    assert shares["low"].min() >= 0
    assert shares["high"].max() <= 1


def test_tables_survive_the_csv_and_are_read_the_same(tmp_path):
    tables = make_tables(L1, "paper")
    back = {}
    for name in ("table3", "table3_extended"):
        write_csv(tmp_path / f"{name}.csv", tables[name])
        back[name] = read_csv(tmp_path / f"{name}.csv")
        assert_frame_equal(back[name].convert_dtypes(), tables[name].convert_dtypes(), check_dtype=False)
    assert list(read(*back.values())) == list(read(tables["table3"], tables["table3_extended"]))


def test_records_survive_the_csv(tmp_path):
    write_csv(tmp_path / "records.csv", make_records(L1))
    table = alignment_table(read_csv(tmp_path / "records.csv"), preset="paper", **MADE)
    assert_frame_equal(table, make_tables(L1, "paper")["table3"], check_dtype=False)


def test_missing_columns_are_named():
    for make in (alignment_table, extended_table):
        with pytest.raises(InputError, match=r"alignment records: no columns \['diverged_at'\]"):
            make(make_records(L1).drop(columns="diverged_at"), preset="embedded", **MADE)
        with pytest.raises(InputError, match="alignment records: no rows"):
            make(make_records(L1).iloc[:0], preset="embedded", **MADE)


# ------------------------------------------------------------------------------------------------- sentences


def sentences(l1: dict[str, list[float]], preset: str = "embedded", **classes: list[float]) -> str:
    """What is said where LNORM, RNORM and BASE have these L1, unless given 0.3; `classes`: likewise there."""
    whole = {"BASE": [0.3, 0.3], "LNORM": [0.3, 0.3], "RNORM": [0.3, 0.3]}
    tables = make_tables(whole | l1, preset, whole | classes)
    return "\n".join(read(tables["table3"], tables["table3_extended"]))


@pytest.mark.parametrize(
    ("l1", "told"),
    [
        ([0.4, 0.401], "LNORM is better than median with all 2 seeds: skill +19.9% ["),
        ([0.3, 0.45], "LNORM is not reliably better than median: better with 2, worse with 0 of 2 seeds;"),
        ([0.4], "LNORM is better than median with its one seed: skill +20.0%, L1 0.400 beside 0.500."),
        ([0.49, 0.51], "LNORM is not told apart from median: skill +0.0% ["),
        ([4.0, 5.0], "LNORM is worse than median with all 2 seeds: skill -800.0% ["),
        ([0.4, 0.6], "LNORM is not reliably better than median: better with 1, worse with 1 of 2 seeds;"),
        (
            [0.4, np.nan],
            "LNORM is better than median with its one seed: skill +20.0%, L1 0.400 beside 0.500. Left out: 1 "
            "of 2 seeds, which diverged (at epoch 7).",
        ),
        ([np.nan, np.nan], "LNORM diverged with every seed (at epoch 7, 7), so it has no L1."),
    ],
)
def test_a_mapper_is_judged_by_the_interval_of_every_seed(l1, told):
    assert told in sentences({"LNORM": l1})
    assert f"On classes held out, {told}" in sentences({}, LNORM=l1)


@pytest.mark.parametrize(
    ("l1", "told"),
    [
        ([0.1, 0.101], "BASE is better than ridge with all 2 seeds: skill +79.9% ["),
        ([0.19, 0.21], "BASE is not told apart from ridge"),
        ([0.3, 0.31], "BASE is worse than ridge with all 2 seeds"),
        ([0.3], "BASE is worse than ridge with its one seed: skill +40.0%, L1 0.300 beside 0.200."),
        ([0.1, 0.3], "BASE is not reliably better than ridge: better with 1, worse with 1 of 2 seeds;"),
    ],
)
def test_a_mapper_is_compared_with_ridge(l1, told):
    said = sentences({"BASE": l1})
    assert told in said
    assert "over ridge, whose λ is chosen without the test clouds: skill +60.0%." in said
    assert "Fits that are not shown to be better than the median: zero, mean." in said


def test_a_linear_layer_is_judged_as_mappers_are():
    said = sentences({"linear_layer": [0.49, np.nan]}, linear_layer=[0.2])
    assert "On classes held out, linear_layer is better than median with its one seed" in said
    assert (
        "linear_layer is not told apart from median: skill +2.0%, L1 0.490 beside 0.500. Left out: 1" in said
    )
    assert "linear_layer is worse than ridge with its one seed" in said
    tables = make_tables({"linear_layer": [0.49, np.nan]}, "embedded")
    row = cells(tables["table3"].set_index("mapper", drop=False).loc["linear_layer"])
    assert (row["seeds"], row["diverged"], row["L1"]) == ("2", "1", "0.490")


def test_retrieval_is_judged_by_chance():
    assert "BASE retrieves above chance, which is 25.0% for R@10: cloud → image R@10 " in sentences({})
    assert "BASE does not retrieve above chance" in sentences({"BASE": [0.5, 0.5]})
    tables = make_tables({"BASE": [0.3], "LNORM": [0.3], "RNORM": [0.3]}, "embedded")
    few = tables["table3_extended"].assign(gallery=8, objects=8)
    for k in (1, 5, 10):
        few[f"chance_r{k}"] = min(k / 8, 1)
    said = "\n".join(read(tables["table3"], few))
    assert "above chance, which is 62.5% for R@5: cloud → image R@5 " in said
    said = "\n".join(read(tables["table3"], few.assign(gallery=1, objects=1)))
    assert "BASE cannot be judged by retrieval among 1 test objects." in said


def test_the_class_of_mapped_clouds_stands_beside_other_ways_to_name_it():
    said = sentences({"RNORM": [np.nan]})
    assert "top-1: BASE 70.0% [54.6%, 81.9%], LNORM 70.0% [54.6%, 81.9%], ridge 80.0% [" in said
    assert "] (the baseline that names most). Beside it: renders 90.0% [" in said
    assert "%], classifier 80.0% [65.2%, 89.5%]; by chance 20.0%." in said  # what `zero` has here


@pytest.mark.parametrize(
    ("l1div", "told"),
    [
        ({"BASE": [1.5, 1.51], "LNORM": [4.0, 4.01]}, "holds: LNORM's interval is above"),
        ({"BASE": [1.5, 1.51], "LNORM": [1.5, 1.51]}, "holds in part: LNORM's interval is not"),
        ({"BASE": [3.0, 3.01], "LNORM": [1.5, 1.51]}, "does not hold: LNORM's interval is not"),
        ({"BASE": [np.nan] * 2, "LNORM": [1.5, 1.51]}, "BASE: the paper's L1DIV is 1.529; ours diverged."),
        ({"BASE": [np.nan] * 2, "LNORM": [1.5, 1.51]}, "are alike, cannot be judged: BASE diverged."),
    ],
)
def test_the_papers_claim_is_judged(l1div, told):
    l1div = {**l1div, "RNORM": [1.55, 1.56]}
    l1 = {name: [1 / value for value in values] for name, values in l1div.items()}
    said = sentences(l1, "paper")
    assert told in said
    assert "LNORM: the paper's L1DIV is 3.996, ours " in said
    assert "paper" not in sentences(l1, "embedded")


def test_the_extensions_rows_on_the_page_are_last_epochs_of_both_splits():
    rows = list(extended_cells(make_tables(L1, "embedded")["table3_extended"]))
    assert len(rows) == 2 * 12
    assert rows[0] == {
        **rows[0], "held out": "objects", "predictor": "renders", "skill": "", "top-1": "90.0%",
    }  # fmt: skip
    ridge = next(row for row in rows if row["predictor"] == "ridge")
    assert (ridge["skill"], ridge["cosine"], ridge["image rank"]) == ("+60.0%", "0.80", "8.0")


def test_table_iii_leaves_out_what_is_alike_for_all():
    table = make_tables({"BASE": [0.3, 0.3], "LNORM": [0.4], "RNORM": [0.3]}, "embedded")["table3"]
    ridge, base = (cells(table.set_index("mapper", drop=False).loc[name]) for name in ("ridge", "BASE"))
    assert (ridge["seeds"], ridge["L1"], ridge["best L1DIV"]) == ("", "0.200", "5.000")
    assert (base["seeds"], base["diverged"], base["best L1DIV"]) == ("2", "", "6.667 [6.667, 6.667]")


def test_what_left_the_extensions_columns_is_told_beside_it():
    extended = make_tables(L1, "embedded")["table3_extended"]
    extended.loc[extended["split"] == "classes", "gallery"] = 23
    assert "objects, 40, or 23 where classes" in TEXT_EXTENDED.format(**galleries(extended))
    assert "What the fits chose or ran into: ridge (lambda 0.1).\n" in sentences({})
