"""The page that reads the three tables, and the selected mapper's metrics."""

from collections.abc import Mapping

import pandas as pd

from pointspider.mappers.base import LABELS
from pointspider.study.tables import alignment_findings, speed, zero_shot
from pointspider.study.tables.common import bullets, markdown


def selected_metrics(
    table2: pd.DataFrame, table3: pd.DataFrame, norm: str
) -> dict[str, float | int | str | None]:
    """The selected mapper's figures, flat, for `dvc metrics`: Table III's row, and Table II's best model.

    Args:
        table2, table3: as returned here or read back.
        norm: none, layer or response: `mapper.norm` of params.yaml.

    Returns:
        What JSON can hold; a figure that does not exist (all seeds diverged, say) is None.
    """
    row = table3[table3["mapper"] == LABELS[norm]].iloc[0]
    clip = table2.loc[table2["top1_mean"].idxmax()]
    metrics = {
        "l1": row["l1_last"],
        "l1div": row["l1div_last"],
        "l1div_std": row["l1div_last_std"],
        "skill": row["skill_last"],
        "best_l1": row["l1_best"],
        "best_l1div": row["l1div_best"],
        "best_skill": row["skill_best"],
        "zero_shot_top1": clip["top1"],
        "zero_shot_top1_mean": clip["top1_mean"],
        "zero_shot_top1_clean": clip["top1_clean"],
    }
    numbers = {name: None if pd.isna(value) else round(float(value), 6) for name, value in metrics.items()}
    return {
        "mapper": row["mapper"],
        "seeds_diverged": int(row["diverged"]),
        **numbers,
        "zero_shot_model": clip["model"],
    }


BANNER_PAPER = (
    "The preset is the paper's; docs/paper.md tells how its unclear places are read. Each table names "
    "the data and the weights that made it: with the published ones it compares with the paper's figures, "
    "which stand beside ours, from [its source](https://github.com/vijay-jaisankar/multimodal-alignment)."
)
BANNER_OTHER = (
    "**Not comparable with the paper.** Only the preset `paper` has its data and models, so the paper's "
    "figures are left out here. Encoders trained by this workflow are small stand-ins for published "
    "ones."
)


def speed_page(table1: pd.DataFrame) -> str:
    """Return Table I as a page of Markdown, with its findings."""
    blocks = [
        _title("Table I: rendering speed", table1),
        speed.TEXT,
        markdown(map(speed.cells, table1.to_dict("records"))),
        bullets(speed.read(table1)),
        "![rendering speed](speed.svg)",
    ]
    return "\n\n".join(blocks) + "\n"


def _title(text: str, table: pd.DataFrame) -> str:
    return f"# {text}, preset `{table['preset'].iloc[0]}`, clouds `{table['data'].iloc[0]}`"


def summary(tables: Mapping[str, pd.DataFrame], plots: Mapping[str, str]) -> str:
    """Return Tables II and III as a page of Markdown, with their findings.

    Table I is not in it: two runs never measure the same speed, and the page is under version control.

    Args:
        tables: by the names of their files: table2, table2_extended, table2_pairs, table3, table3_extended.
        plots: {what it shows: path of the picture, relative to the page}.
    """
    table2, table3 = tables["table2"], tables["table3"]
    blocks = [
        _title("POINTSPIDER", table2),
        BANNER_PAPER if table2["preset"].iloc[0] == "paper" else BANNER_OTHER,
        "Table I is measured on each machine: see [speed/table1.md](../speed/table1.md) after a run.",
        "## Table II: zero-shot classification of renders",
        zero_shot.TEXT.format(**table2.iloc[0]),
        markdown(zero_shot.cells(table2)),
        bullets(zero_shot.read(table2, tables["table2_pairs"])),
        zero_shot.TEXT_EXTENDED,
        markdown(zero_shot.extended_cells(tables["table2_extended"])),
        "## Table III: mapping point clouds to images",
        alignment_findings.TEXT.format(**table3.iloc[0]),
        markdown(map(alignment_findings.cells, table3.to_dict("records"))),
        bullets(alignment_findings.read(table3, tables["table3_extended"])),
        alignment_findings.TEXT_EXTENDED.format(**alignment_findings.galleries(tables["table3_extended"])),
        markdown(alignment_findings.extended_cells(tables["table3_extended"])),
        "## Plots",
        bullets(f"[{title}]({path})" for title, path in plots.items()),
    ]
    return "\n\n".join(blocks) + "\n"
