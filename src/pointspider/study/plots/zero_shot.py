"""Table II as a plot: the models' accuracies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointspider.study.evaluate.zero_shot import CLEAN, FIRST_DRAW, TEST
from pointspider.study.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    name_rows,
    named,
    side_by_side,
    styled,
)
from pointspider.study.tables.zero_shot import ALL_DRAWS, top_measures


@styled
def plot_zero_shot(measures: pd.DataFrame, made: Mapping[str, Any]) -> Figure:
    """Table II: accuracy of each model on the first draw, all draws, the test and the clean clouds.

    Args:
        measures: the table `zero_shot`; a panel per k.
        made: its provenance: preset, prompts, and the weights by model.
    """
    measures = measures[measures["prompts"] == made["prompts"]]
    models, tops = list(made["weights"]), top_measures(measures)
    figure, panels = side_by_side(len(tops), height=1.9 + 0.75 * len(models), preset=made["preset"])
    y = np.arange(len(models))
    for axes, top in zip(panels, tops, strict=True):
        rows = measures[measures["measure"] == top]
        single = rows[rows["set"].str.startswith("draw_")]
        by_set = {str(name): own.set_index("model").loc[models] for name, own in rows.groupby("set")}
        n = {name: own["n"].iloc[0] for name, own in by_set.items()}
        draws = single["set"].nunique()
        for i, model in enumerate(models if draws > 1 else ()):
            values = single.loc[single["model"] == model, "value"].to_numpy()
            spread = np.linspace(-0.06, 0.06, len(values))
            label = f"each of {draws} draws of {n[FIRST_DRAW]}, their mean" if i == 0 else None
            axes.plot(values, i - 0.1 + spread, ".", color=GREY, ms=4, mew=0, alpha=0.6, label=label)
            axes.plot(by_set[ALL_DRAWS]["value"].iloc[i], i - 0.1, "|", color=INK, ms=10)
        for name, shift, marker, colour, label in (
            (FIRST_DRAW, -0.3, "o", BLUE, f"first draw, n = {n[FIRST_DRAW]}, 95 % interval"),
            (TEST, 0.1, "^", ORANGE, f"all test clouds, n = {n[TEST]:,}, 95 % interval"),
            (CLEAN, 0.3, "s", GREEN, f"clean test clouds, n = {n[CLEAN]}, 95 % interval"),
        ):
            value, ends = by_set[name]["value"].to_numpy(), by_set[name][["low", "high"]].to_numpy()
            reach = np.abs(ends.T - value)
            axes.errorbar(value, y + shift, xerr=reach, fmt=marker, color=colour, ms=4.5, lw=1.2, label=label)
        paper = by_set[FIRST_DRAW]["paper"]
        if paper.notna().any():
            axes.plot(paper, y - 0.3, "D", label="the paper, n = 40", **PAPER)
        axes.axvline(rows["chance"].iloc[0], color=INK, lw=1, ls=":", label="chance")
        axes.set(title=top.replace("top", "top-"), xlabel="accuracy", xlim=(-0.02, 1.02))
    # A published model is named by its weights.
    details = ["trained here" if w == "train" else "" if m in w else w for m, w in made["weights"].items()]
    name_rows(panels, [named(*pair) for pair in zip(models, details, strict=True)])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
