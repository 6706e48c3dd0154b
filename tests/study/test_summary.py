"""Tables I-III, the summary page and the selected mapper's metrics, from hand-made records."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from test_tables_alignment import L1
from test_tables_alignment import make_tables as make_aligned
from test_tables_speed import speed_records
from test_tables_zero_shot import BEST, RIGHT, make_tables

from pointspider.core.files import read_csv, write_csv
from pointspider.study.tables.common import weights_label
from pointspider.study.tables.speed import speed_table
from pointspider.study.tables.summary import selected_metrics, speed_page, summary

PLOTS = {"Loss curves": "../plots/loss_curves.png"}


@pytest.fixture
def speed() -> pd.DataFrame:
    return speed_records()


def all_tables(speed: pd.DataFrame, preset: str, l1: dict[str, list[float]] = L1) -> dict[str, pd.DataFrame]:
    """The tables of the summary page, by the names of their files."""
    zero_shot, aligned = make_tables(RIGHT, preset, ("verbatim", "spaces")), make_aligned(l1, preset)
    return {
        "table1": speed_table(speed, preset, "procedural", seed=6),
        **{name: table for name, table in (zero_shot | aligned).items() if name != "records"},
    }


def pages(tables: dict[str, pd.DataFrame]) -> str:
    """Both pages: of Table I, and of Tables II and III."""
    return speed_page(tables["table1"]) + "\n" + summary(tables, PLOTS)


def test_the_papers_figures_are_empty_unless_the_preset_is_the_papers(speed):
    for preset, expected in (("embedded", False), ("paper", True)):
        tables = all_tables(speed, preset)
        figures = [table[name] for table in tables.values() for name in table if name.startswith("paper_")]
        assert [column.name for column in figures] == [
            "paper_points_per_second", *["paper_top1", "paper_top3"] * 2, "paper_l1div",
        ]  # fmt: skip
        assert [column.notna().any() for column in figures] == [expected] * 6
    table2, table3 = tables["table2"], tables["table3"]
    assert table2["paper_top1"].tolist()[0] == 0.300
    assert table2["paper_top3"].tolist()[0] == 0.400
    assert np.isnan(table2["paper_top1"].tolist()[1])  # a model that the paper does not have
    assert table3["paper_l1div"].tolist()[-3:] == [1.529, 3.996, 1.569]
    assert table3["paper_l1div"].isna().tolist()[:-3] == [True] * 7


def test_tables_survive_the_csv(speed, tmp_path):
    for name, table in all_tables(speed, "paper").items():
        write_csv(tmp_path / f"{name}.csv", table)
        read = read_csv(tmp_path / f"{name}.csv")
        assert_frame_equal(read.convert_dtypes(), table.convert_dtypes(), check_dtype=False)


def test_selected_metrics_are_flat_json(speed):
    tables = all_tables(speed, "embedded")
    metrics = selected_metrics(tables["table2"], tables["table3"], "layer")
    assert metrics["mapper"] == "LNORM"
    assert (metrics["l1"], metrics["l1div"], metrics["skill"]) == pytest.approx((0.325, 3.25, 0.35))
    assert metrics["best_l1"] == pytest.approx(0.1625)
    assert metrics["zero_shot_model"] == BEST
    assert (metrics["zero_shot_top1"], metrics["zero_shot_top1_mean"]) == pytest.approx((0.3, 0.2))
    diverged = selected_metrics(tables["table2"], tables["table3"], "none")
    assert diverged["l1"] is None
    assert diverged["seeds_diverged"] == 2
    assert json.loads(json.dumps(diverged, allow_nan=False)) == diverged


def test_the_summary_draws_its_conclusions_by_rule(speed):
    page = pages(all_tables(speed, "embedded"))
    for sentence in (
        "**Not comparable with the paper.**",
        "`llvm_ad_rgb` (a CPU, LLVM 19.1.7): beside the reference's points per second, 800², 64 samples "
        "(`speed.reference`), ours renders 40 times as many at quality `clip`, 224², 64 samples.",
        "the parameter `speed.reference` (in the paper 800², 256 samples)",
        "× reference, each at its size",
        "`cuda_ad_rgb`: not available: no NVIDIA driver.",
        f"{BEST} is above chance, 0.025: it names 0.750 [",
        "tiny is not told from chance",
        f"tell 1 of 1 apart: {BEST} is ahead of tiny.",
        "BASE diverged with every seed",
        "LNORM is not reliably better than median: better with 2, worse with 0 of 2 seeds; skill +35.0%",
        "RNORM is worse than median with its one seed: skill -20.0%, L1 0.600 beside 0.500. Left out: 1 of ",
        "0.300 [0.18, 0.45]",
        "- [Loss curves](../plots/loss_curves.png)",
    ):
        assert sentence in page
    assert "paper, L1DIV" not in page  # empty columns are left out
    assert "nan" not in page
    assert "<NA>" not in page


def test_the_summary_of_the_paper_shows_its_figures(speed):
    page = pages(all_tables(speed, "paper"))
    assert "Not comparable" not in page
    assert "The preset is the paper's; docs/paper.md tells" in page
    for figure in ("18.720", "3.996", "0.400", "our mean over 3 draws, 0.200"):
        assert figure in page


def columns_of(page: str) -> dict[str, list[str]]:
    """{heading: cells, unstripped} of all tables; the first cell is the rule below the heading."""
    columns = {}
    for block in page.split("\n\n"):
        if block.startswith("|"):
            cells = [line.strip("|").split("|") for line in block.splitlines()]
            columns |= {heading.strip(): below for heading, *below in zip(*cells, strict=True)}
    return columns


def test_numbers_of_a_column_have_equal_decimals(speed):
    l1 = {"BASE": [0.49, 0.49], "LNORM": [0.436, 0.436], "RNORM": [4.01, 1234.0]}
    columns = columns_of(pages(all_tables(speed, "embedded", l1)))
    for name in ("L1", "× reference, each at its size", "CPU s/cloud", "points/s"):
        numbers = [cell.strip() for cell in columns[name][1:] if "." in cell]
        assert len(numbers) >= 2
        assert len({len(number.partition(".")[2]) for number in numbers}) == 1, numbers
    assert [cell.strip() for cell in columns["L1"][-3:]] == ["0.490", "0.436", "619.005"]


def test_text_is_aligned_left_and_numbers_right(speed):
    columns = columns_of(pages(all_tables(speed, "paper")))
    left = {name for name, (rule, *_) in columns.items() if not rule.strip().endswith(":")}
    assert left == {
        "variant", "method", "picture", "model", "weights", "prompts", "predictor", "best epoch", "held out",
    }  # fmt: skip
    for name, (_, *cells) in columns.items():
        edges = [cell[1] if name in left else cell[-2] for cell in cells if cell.strip()]
        assert " " not in edges


def test_the_summarys_tables_are_rectangular(speed):
    blocks = pages(all_tables(speed, "paper")).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert [len(lines) for lines in tables] == [2 + 4, 2 + 4, 2 + 4, 2 + 10, 2 + 24]
    for lines in tables:
        assert len({(len(line), line.count("|")) for line in lines}) == 1


def test_summary_and_metrics_read_tables_that_were_written(speed, tmp_path):
    tables, back = all_tables(speed, "embedded"), {}
    for name, table in tables.items():
        write_csv(tmp_path / f"{name}.csv", table)
        back[name] = read_csv(tmp_path / f"{name}.csv")
    assert summary(back, PLOTS) == summary(tables, PLOTS)
    assert selected_metrics(back["table2"], back["table3"], "layer") == selected_metrics(
        tables["table2"], tables["table3"], "layer"
    )


def test_weights_are_called_by_their_name():
    assert weights_label("train") == "trained by this workflow"
    assert weights_label("openai/clip-vit-base-patch32") == "openai/clip-vit-base-patch32"


def test_tables_and_plots_need_neither_torch_nor_mitsuba():
    modules = (
        "pointspider.study.tables.summary, pointspider.study.plots.alignment, pointspider.study.plots.sheets"
    )
    code = f"import sys, {modules}; print({{'torch', 'mitsuba'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
