"""Table III and the loss curves as plots."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pointspider.plots.style import (
    BESIDE,
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    name_rows,
    named,
    side_by_side,
    styled,
)
from pointspider.tables.common import require

CONSTANTS = {"zero": "zero", "mean": "the training mean", "median": "the training median"}


@styled
def plot_alignment(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table III: mean L1 of each mapper's seeds beside the constant predictors; L1DIV on the upper axis.

    Args:
        table: `pointspider.tables.alignment_table`.
        records: the frame that it was made of, for the single seeds.
    """
    constants, mappers = (table[table["kind"] == kind] for kind in ("baseline", "mapper"))
    figure, [axes] = side_by_side(1, height=2.4 + 0.5 * len(mappers), table=table)
    for style, (_, constant) in zip((":", "-.", "--"), constants.iterrows(), strict=True):
        label = f"predict {CONSTANTS[constant['mapper']]}: {constant['l1_last']:.3f}"
        axes.axvline(constant["l1_last"], color=INK, lw=1, ls=style, label=label)
    # Beyond this a mapper has failed; an axis that shows how badly would show nothing else.
    limit = 2 * constants["l1_last"].max()
    names = []
    for i, (_, mapper) in enumerate(mappers.iterrows()):
        runs = records[records["mapper"] == mapper["mapper"]]
        for epoch, marker, colour, shift in (("last", "o", BLUE, -0.14), ("best", "s", GREEN, 0.14)):
            l1 = runs.loc[runs["diverged_at"].isna(), f"l1_{epoch}"].to_numpy()
            y = np.full(len(l1), i + shift)
            near = l1 <= limit
            label = f"{epoch} epoch, a mark per seed" if i == 0 else None
            axes.plot(l1[near], y[near], marker, color=colour, mfc="none", label=label)
            if not near.all():
                told = f"→ {(~near).sum()} beyond, up to {l1.max():.2g}"
                edge = axes.get_yaxis_transform()
                axes.annotate(told, (1, i + shift), (4, 0), xycoords=edge, color=colour, **BESIDE)
        diverged = f"{mapper['diverged']} of {len(runs)} seeds diverged" if mapper["diverged"] else ""
        names.append(named(mapper["mapper"], diverged))
    if mappers["paper_l1div"].notna().any():
        axes.plot(1 / mappers["paper_l1div"], np.arange(len(mappers)) - 0.34, "D", label="the paper", **PAPER)
    name_rows([axes], names)
    low, high = axes.dataLim.intervalx
    axes.set_xlim(0.9 * low, high + 0.05 * (high - low))
    axes.set_xlabel("mean L1 on the test clouds (lower is better)")
    reciprocal = axes.secondary_xaxis("top", functions=(_reciprocal, _reciprocal))
    reciprocal.set_xlabel("L1DIV = 1 / mean L1 (higher is better)")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def plot_loss_curves(curves: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Train and test loss by epoch, a panel per mapper, a line per seed, on a log axis.

    Args:
        curves: columns mapper (BASE, LNORM, RNORM), seed, epoch (from 1), train and test (mean L1).
        table: `pointspider.tables.alignment_table`, for the median's L1.

    Raises:
        InputError: a column is missing.
    """
    require(curves, ("mapper", "seed", "epoch", "train", "test"), "loss curves")
    trained = table[table["kind"] == "mapper"]
    constants = table[table["kind"] == "baseline"].set_index("mapper")["l1_last"]
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
    entries = [zip(*axes.get_legend_handles_labels()[::-1], strict=True) for axes in panels]
    handles = dict(itertools.chain.from_iterable(entries))  # one of each label
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=3)
    return figure


def _reciprocal(values: np.ndarray) -> np.ndarray:
    """1 / value; matplotlib also asks for 0 while it lays out an axis."""
    return 1 / np.maximum(values, 1e-9)
