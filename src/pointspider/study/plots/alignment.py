"""Table III as plots: L1, retrieval, and the loss curves."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

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
from pointspider.study.tables.verdicts import Alignment


@styled
def plot_alignment(alignment: Alignment, records: pd.DataFrame, preset: str) -> Figure:
    """Table III: mean L1 of every baseline, and of each mapper's seeds; L1DIV on the upper axis.

    Args:
        alignment: the tables of Table III.
        records: the records that they were computed from, for the single seeds.
        preset: named in the footnote.
    """
    table = alignment.table
    l1 = dict(zip(table["predictor"], table["l1"].astype(float), strict=True))
    figure, [axes] = side_by_side(1, height=1.8 + 0.31 * len(table), preset=preset)
    axes.axvline(l1["median"], color=INK, lw=1, ls="--", label="predict the training median")
    # Beyond this a predictor has failed; an axis that includes it would show nothing else.
    limit = 2 * l1["zero"]
    records = records[(records["split"] == "objects") & records["diverged_at"].isna()]
    names = []
    for i, row in enumerate(table.to_dict("records")):
        own = records[records["predictor"] == row["predictor"]]
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
                text = f"→ {(~near).sum()} beyond, up to {values.max():.2g}"
                edge = axes.get_yaxis_transform()
                axes.annotate(text, (1, i + shift), (4, 0), xycoords=edge, color=colour, **BESIDE)
        diverged = f"{row['diverged']} of {row['seeds']} diverged" if row["diverged"] else ""
        names.append(named(row["predictor"], diverged))
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


#: Epoch in the records, mark, colour, label and distance from the centre of the row.
MARKS = (
    ("fit", "D", INK, "fitted", 0.0),
    ("last", "o", BLUE, "last epoch, a mark per seed", -0.2),
    ("best", "s", GREEN, "best epoch, a mark per seed", 0.2),
)


@styled
def plot_retrieval(alignment: Alignment, preset: str) -> Figure:
    """How often predictions and renders retrieve each other among the test objects, for every predictor.

    Args:
        alignment: the tables of Table III; the predictors with objects held out are drawn.
        preset: named in the footnote.
    """
    names = alignment.table["predictor"].tolist()
    last = alignment.measures[
        (alignment.measures["split"] == "objects") & (alignment.measures["epoch"] != "best")
    ]
    gallery = alignment.size("gallery")
    figure, panels = side_by_side(2, height=1.8 + 0.27 * len(names), preset=preset)
    for axes, what, title in (
        (panels[0], "image", "cloud → image"),
        (panels[1], "cloud", "image → cloud"),
    ):
        marks = zip(RECALLED, "osD", (BLUE, GREEN, ORANGE), (-0.22, 0, 0.22), strict=True)
        for k, marker, colour, shift in marks:
            rows = last[last["measure"] == f"{what}_r{k}"].set_index("predictor").reindex(names)
            recall, ends = rows["value"].to_numpy(), rows[["low", "high"]].to_numpy()
            axes.errorbar(
                recall, np.arange(len(names)) + shift, xerr=np.abs(ends.T - recall), fmt=marker, color=colour,
                mfc="none", ms=5, lw=1, label=f"R@{k}",
            )  # fmt: skip
            axes.axvline(min(k / gallery, 1), color=colour, lw=1, ls=":", label=f"R@{k} by chance")
        axes.set(title=f"{title}, {gallery} clean test clouds", xlabel="recall", xlim=(-0.03, 1.03))
    name_rows(panels, names)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        title="95 % intervals are over the seeds, for fits over the test objects",
        title_fontsize=8,
        alignment="left",
        loc="outside upper left",
        ncols=6,
    )
    return figure


@styled
def plot_loss_curves(curves: pd.DataFrame, alignment: Alignment, preset: str) -> Figure:
    """Train and test loss by epoch, a panel per mapper, a line per seed, on a log axis.

    Args:
        curves: columns predictor (BASE, LNORM, RNORM), seed, epoch (from 1), train_l1 and test_l1.
        alignment: the tables of Table III, for the L1 of the median.
        preset: named in the footnote.

    Raises:
        InputError: a column is missing.
    """
    require(curves, ("predictor", "seed", "epoch", "train_l1", "test_l1"), "loss curves")
    table = alignment.table
    trained = table[table["kind"] == "mapper"]
    constants = dict(zip(table["predictor"], table["l1"].astype(float), strict=True))
    figure, panels = side_by_side(len(trained), height=3.2, preset=preset)
    for axes, (_, mapper) in zip(panels, trained.iterrows(), strict=True):
        own = curves[curves["predictor"] == mapper["predictor"]]
        for split, colour in (("train", ORANGE), ("test", BLUE)):
            for i, (_, run) in enumerate(own.groupby("seed")):
                label = f"{split}, a line per seed" if i == 0 else None
                axes.plot(run["epoch"], run[f"{split}_l1"], color=colour, lw=0.8, alpha=0.8, label=label)
        axes.axhline(constants["median"], color=INK, lw=1, ls="--", label="predict the training median")
        diverged = f" ({mapper['diverged']} diverged)" if mapper["diverged"] else ""
        axes.set(title=f"{mapper['predictor']}{diverged}", xlabel="epoch", xlim=(0, curves["epoch"].max()))
    # The first epochs, and mappers that diverge, exceed the axis.
    losses = curves[["train_l1", "test_l1"]].to_numpy(np.float64)
    low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
    panels[0].set(ylabel="mean L1 (log)", yscale="log")
    panels[0].set_ylim(0.9 * min(low, constants["median"]), min(1.1 * high, 20 * constants["zero"]))
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _legend(figure, panels, columns=3)
    return figure


def _legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """A legend above all panels, each label once."""
    entries = [zip(*axes.get_legend_handles_labels()[::-1], strict=True) for axes in panels]
    handles = dict(itertools.chain.from_iterable(entries))
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=columns)


def _reciprocal(values: ArrayLike) -> np.ndarray:
    """1 / value; matplotlib evaluates it at 0 during layout."""
    return np.asarray(1 / np.maximum(values, 1e-9))
