"""The pages of the tables, and the metrics of the selected mapper, from hand-made records."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pointspider.study.tables.pages import selected_metrics, speed_page, summary_page
from pointspider.study.tables.schemas import read_table, write_table

BEST = "CLIP-ViT-H-14-laion2B-s32B-b79K"
RIGHT = {BEST: [12, 8, 4, 150], "tiny": [1, 1, 1, 3]}
L1 = {"BASE": [np.nan, np.nan], "LNORM": [0.25, 0.4], "RNORM": [0.6, np.nan]}


@pytest.fixture
def study(zero_shot_tables, alignment_tables, search_tables):
    """`study(preset, l1)`: the tables of the summary by name, and their provenance."""

    def build(preset: str = "embedded", l1: dict[str, list[float]] = L1) -> tuple[dict, dict]:
        zero_shot = zero_shot_tables(RIGHT, preset, ("verbatim", "spaces"))
        tables = {
            name: table for name, table in alignment_tables(l1, preset).items() if name != "records"
        } | {"zero_shot": zero_shot.measures, "model_pairs": zero_shot.pairs, "choice": choice()}
        tables |= {name: search_tables[name] for name in ("table5", "search", "search_differences")}
        made3 = {
            "preset": preset, "data": "procedural", "image_model": "tiny", "layer": "pooled",
            "image_weights": "train", "point_encoder": "pointnet", "point_weights": "train",
        }  # fmt: skip
        made5 = {
            "fit": "ridge",
            "seed": 0,
            "image_model": "tiny",
            "layer": "pooled",
            "point_encoder": "pointnet",
        }
        return tables, {"table2": zero_shot.made, "table3": made3, "table5": made5}

    return build


def choice() -> pd.DataFrame:
    """Two folds of 3 and 1 queries; BASE diverged in one."""
    rows = [("BASE", 0, 3, 0.9, 0.5), ("BASE", 1, 1, None, None)]
    rows += [("ridge", 0, 3, 0.5, 0.4), ("ridge", 1, 1, 0.9, 0.4)]
    rows += [("LNORM", 0, 3, 0.4, 0.1), ("LNORM", 1, 1, 1.0, 0.1)]
    return pd.DataFrame(rows, columns=["predictor", "fold", "n", "reciprocal_rank", "skill"])


def findings(page: str) -> list[str]:
    """The lines between the title and the first paragraph."""
    lines = page.split("\n\n")[1].splitlines()
    assert all(line.startswith("- ") for line in lines)
    return lines


def test_the_summary_opens_with_its_findings(study):
    lines = findings(summary_page(*study()))
    assert len(lines) <= 10
    said = "\n".join(lines)
    assert f"{BEST} has the highest zero-shot accuracy on the 200 test clouds, top-1 0.750 [" in said
    assert "1 of 1 pairs of CLIPs differ significantly on the test clouds, 1 on one draw of 40" in said
    assert "against the training median: LNORM better; BASE diverged; RNORM worse." in said
    assert "against ridge (+60.0% skill): LNORM, RNORM worse." in said
    assert "Table V, search by mapped clouds (ridge) against renders, mAP: by class " in said
    assert "Table I, rendering speed, depends on the machine: [speed/table1.md](" in said
    whole = {"BASE": [0.3], "LNORM": [0.3], "RNORM": [0.3]}
    assert len(findings(summary_page(*study("paper", whole)))) <= 10


def test_the_sentences_follow_from_the_verdicts(study):
    page = summary_page(*study())
    for sentence in (
        "**Not comparable with the paper.**",
        f"- {BEST} is above chance, 0.025: its top-1 accuracy on the test clouds is 0.750 [",
        "- tiny does not differ significantly from chance",
        f"separate 1 of 1 pairs of models: {BEST} is better than tiny.",
        "- BASE diverged with every seed (at epoch 7, 7), so it has no L1.",
        "- LNORM is better than median with all 2 seeds: skill +35.0%, L1 0.325 against 0.500.",
        "- RNORM is worse than median with its one seed: skill -20.0%, L1 0.600 against 0.500. Excluded: 1 ",
        "- On held-out classes, LNORM is better than median",
        "Search uses ridge. It has the highest mean reciprocal rank",
        "2 folds, 4 queries): ridge 0.600, LNORM 0.550; BASE diverged.",
        "Chosen by the fits: ridge (λ 0.1).",
        "- By object, mapped clouds (ridge) are found no better or worse than renders: mAP",
        "- By object, against renders: ",
        "the clean clouds of the test objects, 40, or 40 if classes are held out",
    ):
        assert sentence in page
    assert "paper, L1DIV" not in page
    assert "nan" not in page
    assert "<NA>" not in page


def test_the_summary_of_the_paper_compares_with_it(study):
    page = summary_page(*study("paper"))
    assert "Not comparable" not in page
    for text in (
        "The preset is the paper's; docs/paper.md states",
        "3.996",
        "0.400",
        "our mean over 3 draws, 0.200, is inside the paper's own interval [0.18, 0.45]",
        "BASE: the paper's L1DIV is 1.529; ours diverged.",
        "equal cannot be tested: BASE diverged.",
    ):
        assert text in page


def test_the_tables_of_the_pages_are_rectangular(study, speed_tables):
    speed = speed_tables("paper", samples=256)
    pages = [summary_page(*study("paper")), speed_page(speed.table, speed.measures, speed.made)]
    blocks = [block.splitlines() for page in pages for block in page.split("\n\n") if block.startswith("|")]
    assert [len(lines) for lines in blocks] == [2 + 4, 2 + 4, 2 + 10, 2 + 24, 2 + 4, 2 + 12, 2 + 3]
    for lines in blocks:
        assert len({line.count("|") for line in lines}) == 1


def test_the_pages_read_tables_from_disk(study, tmp_path):
    tables, made = study()
    for name, table in tables.items():
        write_table(tmp_path / f"{name}.csv", table)
    back = {name: read_table(tmp_path / f"{name}.csv") for name in tables}
    assert summary_page(back, made) == summary_page(tables, made)
    assert selected_metrics(back, "layer", "spaces") == selected_metrics(tables, "layer", "spaces")


def test_selected_metrics_are_flat_json(study):
    tables, _ = study()
    metrics = selected_metrics(tables, "layer", "spaces")
    assert metrics["mapper"] == "LNORM"
    assert (metrics["l1"], metrics["l1div"], metrics["skill"]) == pytest.approx((0.325, 3.25, 0.35))
    assert metrics["best_l1"] == pytest.approx(0.1625)
    assert metrics["zero_shot_model"] == BEST
    assert (metrics["zero_shot_top1"], metrics["zero_shot_top1_mean"]) == pytest.approx((0.3, 0.2))
    diverged = selected_metrics(tables, "none", "spaces")
    assert diverged["l1"] is None
    assert diverged["seeds_diverged"] == 2
    assert json.loads(json.dumps(diverged, allow_nan=False)) == diverged


def test_tables_and_plots_need_neither_torch_nor_mitsuba():
    modules = (
        "pointspider.study.tables.pages, pointspider.study.plots.alignment, pointspider.study.plots.sheets"
    )
    code = f"import sys, {modules}; print({{'torch', 'mitsuba'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_no_cell_holds_a_sentence_or_a_list(study, speed_tables, zero_shot_tables):
    speed, zero_shot = speed_tables(), zero_shot_tables(RIGHT)
    tables = [*study()[0].values(), speed.table, speed.measures, zero_shot.table, zero_shot.corruptions]
    for table in tables:
        for name in table.select_dtypes(["object", "string"]):
            assert not table[name].astype(str).str.contains(r"[ ,;]").any(), name
            assert not pd.api.types.is_object_dtype(table[name])
