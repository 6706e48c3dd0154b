"""Table II as a plot."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointspider.plots.style import BLUE, GREEN, GREY, INK, PAPER, name_rows, named, side_by_side, styled
from pointspider.tables.zero_shot import top_ranks


@styled
def plot_zero_shot(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table II: accuracy of each model on the first draw, all draws and the clean set, a panel per k.

    Args:
        table: `pointspider.tables.zero_shot_table`.
        records: the frame that it was made of, for the single draws.
    """
    ranks = top_ranks(table)
    figure, panels = side_by_side(len(ranks), height=1.8 + 0.6 * len(table), table=table)
    y = np.arange(len(table))
    n, n_clean, draws = (int(table[name].iloc[0]) for name in ("n", "n_clean", "draws"))
    for axes, k in zip(panels, ranks, strict=True):
        for i, model in enumerate(table["model"] if draws > 1 else ()):
            own = records[(records["model"] == model) & records["set"].str.startswith("draw_")]
            shift = np.linspace(-0.08, 0.08, len(own))
            label = f"each of {draws} draws of {n}, their mean" if i == 0 else None
            axes.plot(own[f"top{k}"], i + shift, ".", color=GREY, ms=4, mew=0, alpha=0.6, label=label)
            axes.plot(table[f"top{k}_mean"].iloc[i], i, "|", color=INK, ms=12)
        for name, shift, marker, colour, label in (
            (f"top{k}", -0.24, "o", BLUE, f"first draw, n = {n}, 95 % interval"),
            (f"top{k}_clean", 0.24, "s", GREEN, f"clean test clouds, n = {n_clean}, 95 % interval"),
        ):
            value = table[name]
            reach = np.abs([value - table[f"{name}_low"], table[f"{name}_high"] - value])
            axes.errorbar(value, y + shift, xerr=reach, fmt=marker, color=colour, ms=5, lw=1.2, label=label)
        if table[f"paper_top{k}"].notna().any():
            axes.plot(table[f"paper_top{k}"], y - 0.24, "D", label="the paper, n = 40", **PAPER)
        axes.axvline(table[f"top{k}_chance"].iloc[0], color=INK, lw=1, ls=":", label="chance")
        axes.set(title=f"top-{k}", xlabel="accuracy", xlim=(-0.02, 1.02))
    models = zip(table["model"], table["weights"], strict=True)
    # A published model is named by its weights.
    name_rows(panels, [named(model, "" if model in weights else weights) for model, weights in models])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
