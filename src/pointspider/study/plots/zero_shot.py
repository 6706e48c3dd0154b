"""Table II as a plot: the models' accuracies."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

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
from pointspider.study.tables.zero_shot import top_ranks


@styled
def plot_zero_shot(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table II: accuracy of each model on the first draw, all draws, the test and the clean clouds.

    Args:
        table: `pointspider.study.tables.zero_shot.zero_shot_table`; a panel per k.
        records: the frame that it was made of, for the single draws.
    """
    ranks = top_ranks(table)
    figure, panels = side_by_side(len(ranks), height=1.9 + 0.75 * len(table), table=table)
    y = np.arange(len(table))
    n, n_test, n_clean, draws = (int(table[name].iloc[0]) for name in ("n", "n_test", "n_clean", "draws"))
    single = records[
        (records["style"] == table["prompts"].iloc[0]) & records["set"].str.startswith("draw_")
    ].groupby("model")
    for axes, k in zip(panels, ranks, strict=True):
        for i, model in enumerate(table["model"] if draws > 1 else ()):
            values = single.get_group(model)[f"top{k}"]
            shift = -0.1 + np.linspace(-0.06, 0.06, len(values))
            label = f"each of {draws} draws of {n}, their mean" if i == 0 else None
            axes.plot(values, i + shift, ".", color=GREY, ms=4, mew=0, alpha=0.6, label=label)
            axes.plot(table[f"top{k}_mean"].iloc[i], i - 0.1, "|", color=INK, ms=10)
        for name, shift, marker, colour, label in (
            (f"top{k}", -0.3, "o", BLUE, f"first draw, n = {n}, 95 % interval"),
            (f"top{k}_test", 0.1, "^", ORANGE, f"all test clouds, n = {n_test:,}, 95 % interval"),
            (f"top{k}_clean", 0.3, "s", GREEN, f"clean test clouds, n = {n_clean}, 95 % interval"),
        ):
            value = table[name]
            reach = np.abs([value - table[f"{name}_low"], table[f"{name}_high"] - value])
            axes.errorbar(value, y + shift, xerr=reach, fmt=marker, color=colour, ms=4.5, lw=1.2, label=label)
        if table[f"paper_top{k}"].notna().any():
            axes.plot(table[f"paper_top{k}"], y - 0.3, "D", label="the paper, n = 40", **PAPER)
        axes.axvline(table[f"top{k}_chance"].iloc[0], color=INK, lw=1, ls=":", label="chance")
        axes.set(title=f"top-{k}", xlabel="accuracy", xlim=(-0.02, 1.02))
    models = zip(table["model"], table["weights"], strict=True)
    # A published model is named by its weights.
    name_rows(panels, [named(model, "" if model in weights else weights) for model, weights in models])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
