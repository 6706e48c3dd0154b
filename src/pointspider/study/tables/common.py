"""What the three tables share: checks, names, and how a table becomes Markdown.

The paper: V. Jaisankar, J. Sreevalsan Nair, "POINTSPIDER: Learning linear mappings for multimodal alignment
of images and point clouds". Its LaTeX source, from which every PAPER_... figure is, is
multimodal_representation_report/root.tex in https://github.com/vijay-jaisankar/multimodal-alignment (commit
a97c3641).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError

#: Of a mean over seeds or draws: ends of the columns of `pointspider.study.evaluate.statistics.Spread`.
SPREAD = ("", "_std", "_low", "_high")


def require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a frame that lacks a column or has no rows.

    Raises:
        InputError: names `what` it is, and what is missing.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{what}: no columns {missing}, only {list(frame.columns)}. Measure again.")
    if frame.empty:
        raise InputError(f"{what}: no rows. Measure again.")


def weights_label(weights: str) -> str:
    """What to call an encoder's weights: a hub name or path as it is, `train` in words."""
    return "trained by this workflow" if weights == "train" else weights


def paper_figure(preset: str, figures: Mapping, key: object) -> float:
    """The paper's figure beside a run of the paper; missing beside anything else, and where it gives none."""
    return figures.get(key, np.nan) if preset == "paper" else np.nan


def number(value: float, spec: str, unit: str = "") -> str:
    """Formatted; empty where it is missing."""
    return "" if pd.isna(value) else f"{value:{spec}}{unit}"


def mean_and_spread(mean: float, deviation: float, spec: str) -> str:
    """Mean ± deviation, as far as they exist."""
    return number(mean, spec) + ("" if pd.isna(deviation) else f" ± {deviation:{spec}}")


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


TEXT_COLUMNS = {
    "variant",
    "method",
    "picture",
    "model",
    "weights",
    "prompts",
    "predictor",
    "best epoch",
    "held out",
}


def markdown(rows: Iterable[Mapping[str, str]]) -> str:
    """A Markdown table, text to the left and numbers to the right, aligned in its source too.

    Columns without any content are left out.
    """
    frame = pd.DataFrame(list(rows))
    frame = frame.loc[:, (frame != "").any()].replace(r"\|", r"\\|", regex=True)
    columns = []
    for name in frame:
        width = max(3, len(name), *frame[name].map(len))
        adjust, rule = (
            (str.ljust, "-" * width) if name in TEXT_COLUMNS else (str.rjust, "-" * (width - 1) + ":")
        )
        head, *body = (adjust(cell, width) for cell in (name, *frame[name]))
        columns.append([head, rule, *body])
    return "\n".join("| " + " | ".join(line) + " |" for line in zip(*columns, strict=True))
