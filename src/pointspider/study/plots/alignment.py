"""Table III as plots: L1, retrieval, and the loss curves."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pointspider.study.evaluate.alignment import RECALLED
from pointspider.study.plots.style import (
    BESIDE,
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
from pointspider.study.tables.common import require


@styled
def plot_alignment(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table III: mean L1 of every baseline, and of each mapper's seeds; L1DIV on the upper axis.

    Args:
        table: `pointspider.study.tables.alignment.alignment_table`.
        records: the frame that it was made of, for the single seeds.
    """
    l1 = table.set_index("mapper")["l1_last"]
    figure, [axes] = side_by_side(1, height=1.8 + 0.31 * len(table), table=table)
    axes.axvline(l1["median"], color=INK, lw=1, ls="--", label="predict the training median")
    # Beyond this a predictor has failed; an axis that shows how badly would show nothing else.
    limit = 2 * l1["zero"]
    records = records[(records["split"] == "objects") & records["diverged_at"].isna()]
    names = []
    for i, row in enumerate(table.to_dict("records")):
        own = records[records["mapper"] == row["mapper"]]
        for epoch, marker, colour, label, shift in MARKS:
            values = own.loc[own["epoch"] == epoch, "l1"].to_numpy()
            near = values <= limit
            axes.plot(
                values[near],
                np.full(near.sum(), i + shift),
                marker,
                color=colour,
                mfc="none",
                ms=5,
                label=label,
            )
            if not near.all():
                told = f"→ {(~near).sum()} beyond, up to {values.max():.2g}"
                edge = axes.get_yaxis_transform()
                axes.annotate(told, (1, i + shift), (4, 0), xycoords=edge, color=colour, **BESIDE)
        seeds = len(row["seeds"].split())
        names.append(
            named(row["mapper"], f"{row['diverged']} of {seeds} diverged" if row["diverged"] else "")
        )
    if table["paper_l1div"].notna().any():
        axes.plot(1 / table["paper_l1div"], np.arange(len(table)) - 0.3, "D", label="the paper", **PAPER)
    name_rows([axes], names)
    axes.axhline(
        (table["kind"] == "baseline").sum() - 0.5, color=GREY, lw=0.6
    )  # above: fitted, below: trained
    low, high = axes.dataLim.intervalx
    axes.set_xlim(0.9 * low, high + 0.05 * (high - low))
    axes.set_xlabel("mean L1 on the test clouds (lower is better)")
    reciprocal = axes.secondary_xaxis("top", functions=(_reciprocal, _reciprocal))
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high and tick > 0]
    reciprocal.set_xticks([1 / tick for tick in ticks], [f"{1 / tick:.3g}" for tick in ticks])
    reciprocal.set_xlabel("L1DIV = 1 / mean L1 (higher is better)")
    _legend(figure, [axes], columns=3)
    return figure


#: Of the epochs in the records: mark, colour, label and distance from the row's middle.
MARKS = (
    ("-", "D", INK, "fitted", 0.0),
    ("last", "o", BLUE, "last epoch, a mark per seed", -0.2),
    ("best", "s", GREEN, "best epoch, a mark per seed", 0.2),
)


@styled
def plot_retrieval(extended: pd.DataFrame) -> Figure:
    """How often predictions and renders find each other among the test objects, of every predictor.

    Args:
        extended: `pointspider.study.tables.alignment.extended_table`; the rows held out by objects are drawn.
    """
    rows = extended[(extended["split"] == "objects") & (extended["epoch"] != "best")]
    rows = rows[rows["kind"] != "reference"].reset_index(drop=True)
    figure, panels = side_by_side(2, height=1.8 + 0.27 * len(rows), table=extended)
    y = np.arange(len(rows))
    for axes, what, title in (
        (panels[0], "image", "cloud → image"),
        (panels[1], "cloud", "image → cloud"),
    ):
        for k, marker, colour in zip(RECALLED, "osD", (BLUE, GREEN, ORANGE), strict=True):
            recall = rows[f"{what}_r{k}"]
            reach = np.abs(rows[[f"{what}_r{k}_low", f"{what}_r{k}_high"]].sub(recall, axis=0).T)
            axes.errorbar(
                recall, y, xerr=reach, fmt=marker, color=colour, mfc="none", ms=5, lw=1, label=f"R@{k}"
            )
            chance = rows[f"chance_r{k}"].iloc[0]
            axes.axvline(chance, color=colour, lw=1, ls=":", label=f"R@{k} by chance")
        axes.set(
            title=f"{title}, {rows['gallery'].iloc[0]} clean test clouds", xlabel="recall", xlim=(-0.03, 1.03)
        )
    name_rows(panels, rows["mapper"].tolist())
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        title="95 % intervals are over the seeds, of fits over the test objects",
        title_fontsize=8,
        alignment="left",
        loc="outside upper left",
        ncols=6,
    )
    return figure


@styled
def plot_loss_curves(curves: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Train and test loss by epoch, a panel per mapper, a line per seed, on a log axis.

    Args:
        curves: columns mapper (BASE, LNORM, RNORM), seed, epoch (from 1), train and test (mean L1).
        table: `pointspider.study.tables.alignment.alignment_table`, for the median's L1.

    Raises:
        InputError: a column is missing.
    """
    require(curves, ("mapper", "seed", "epoch", "train", "test"), "loss curves")
    trained = table[table["kind"] == "mapper"]
    constants = table.set_index("mapper")["l1_last"]
    figure, panels = side_by_side(len(trained), height=3.2, table=table)
    for axes, (_, mapper) in zip(panels, trained.iterrows(), strict=True):
        own = curves[curves["mapper"] == mapper["mapper"]]
        for split, colour in (("train", ORANGE), ("test", BLUE)):
            for i, (_, run) in enumerate(own.groupby("seed")):
                label = f"{split}, a line per seed" if i == 0 else None
                axes.plot(run["epoch"], run[split], color=colour, lw=0.8, alpha=0.8, label=label)
        axes.axhline(constants["median"], color=INK, lw=1, ls="--", label="predict the training median")
        diverged = f" ({mapper['diverged']} diverged)" if mapper["diverged"] else ""
        axes.set(title=f"{mapper['mapper']}{diverged}", xlabel="epoch", xlim=(0, curves["epoch"].max()))
    # The first epochs, and mappers that diverge, leave the axis at its top.
    low, high = (curves[["train", "test"]].stack().agg(end) for end in ("min", "max"))
    panels[0].set(ylabel="mean L1 (log)", yscale="log")
    panels[0].set_ylim(0.9 * min(low, constants["median"]), min(1.1 * high, 20 * constants["zero"]))
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    _legend(figure, panels, columns=3)
    return figure


def _legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One of each label of all panels, above them."""
    entries = [zip(*axes.get_legend_handles_labels()[::-1], strict=True) for axes in panels]
    handles = dict(itertools.chain.from_iterable(entries))
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=columns)


def _reciprocal(values: np.ndarray) -> np.ndarray:
    """1 / value; matplotlib also asks for 0 while it lays out an axis."""
    return 1 / np.maximum(values, 1e-9)
