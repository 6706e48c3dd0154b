"""Table II as plots: the models' accuracies, and those on each corruption."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pointspider.clouds.catalogue import ORIGINAL
from pointspider.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    WIDTH,
    footnote,
    name_rows,
    named,
    side_by_side,
    styled,
    wrap,
)
from pointspider.tables.common import require
from pointspider.tables.zero_shot import top_ranks


@styled
def plot_zero_shot(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table II: accuracy of each model on the first draw, all draws, the test and the clean clouds.

    Args:
        table: `pointspider.tables.zero_shot.zero_shot_table`; a panel per k.
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


PER_ROW = 4  # heat maps side by side
ALL = "all"  # the column of all severities together


@styled
def plot_corruptions(records: pd.DataFrame, preset: str) -> Figure:
    """Top-1 accuracy by corruption and severity, a heat map per model, all on one colour scale.

    Args:
        records: `pointspider.evaluate.zero_shot.corruption_records`.
        preset: named at the foot.

    Raises:
        InputError: a column is missing.
    """
    require(records, ("model", "measure", "corruption", "severity", "n", "value"), "corruption records")
    records = records[records["measure"] == "top1"]
    models = list(dict.fromkeys(records["model"]))
    corruptions = list(dict.fromkeys(records["corruption"]))
    rows, columns = -(-len(models) // PER_ROW), min(len(models), PER_ROW)
    height = 1.1 + rows * (0.6 + 0.22 * len(corruptions))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    # Tenths around all values.
    low, high = np.floor(10 * records["value"].min()) / 10, np.ceil(10 * records["value"].max()) / 10
    for axes, model in zip(panels, models, strict=False):
        values = _by_severity(records[records["model"] == model]).reindex(corruptions)
        image = _heat_map(axes, values, low, max(high, low + 0.1))
        axes.set_title(wrap(model, 22 if columns == PER_ROW else 40), fontsize=8)
        axes.set_xlabel("severity", fontsize=8)
    for axes in panels[len(models) :]:
        axes.set_axis_off()
    panels[0].set_yticks(range(len(corruptions)), [name.replace("_", " ") for name in corruptions])
    cells = records.loc[records["corruption"] != ORIGINAL, "n"]
    n = " to ".join(map(str, sorted({cells.min(), cells.max()})))
    figure.supxlabel(
        f"in each cell top-1 accuracy in %, of {n} test clouds at each severity\n{footnote(preset)}",
        x=0.01, ha="left", fontsize=7, color=GREY,
    )  # fmt: skip
    figure.colorbar(image, ax=panels, label="top-1 accuracy", shrink=0.8, aspect=30)
    return figure


def _by_severity(records: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by corruption (rows), and by severity and over all severities (columns); gaps are NaN.

    The clean clouds, which have no severity, stand in the column of all.
    """
    corrupted = records[records["corruption"] != ORIGINAL]
    single = corrupted.pivot(index="corruption", columns="severity", values="value")
    hits = (records["n"] * records["value"]).groupby(records["corruption"]).sum()
    total = hits / records.groupby("corruption")["n"].sum()
    return single.reindex(total.index).assign(**{ALL: total})


def _heat_map(axes: Axes, values: pd.DataFrame, low: float, high: float) -> AxesImage:
    """`values` as cells coloured from `low` to `high`, with their percentages."""
    image = axes.imshow(values.to_numpy(), cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(values.to_numpy()):
        if not np.isnan(value):
            ink = "white" if value < 0.45 * low + 0.55 * high else "black"
            axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.axvline(values.shape[1] - 1.5, color="white", lw=2)
    axes.set_xticks(range(values.shape[1]), values.columns)
    axes.tick_params(length=0, labelsize=7)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return image
