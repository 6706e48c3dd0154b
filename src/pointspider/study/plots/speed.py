"""Table I as a plot."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointspider.study.plots.style import (
    BESIDE,
    BLUE,
    GREY,
    ORANGE,
    PAPER,
    name_rows,
    named,
    side_by_side,
    styled,
    wrap,
)
from pointspider.study.tables.speed import TASK

#: Mark, colour and distance from the centre of the row, by quality; the reference has none.
MARKS = {"": ("s", ORANGE, -0.18), "reference": ("^", BLUE, 0.0), "clip": ("o", BLUE, 0.18)}


@styled
def plot_speed(table: pd.DataFrame, measures: pd.DataFrame, made: Mapping[str, Any]) -> Figure:
    """Table I: points per second of each Mitsuba variant, reference procedure and ours, on a log axis.

    Each is measured at its own picture size; the reference's is the parameter `speed.reference`.

    Args:
        table: the table `table1`.
        measures: the table `speed_measures`.
        made: its provenance: preset, and the device or the reason by variant.
    """
    variants: list[str] = list(made["variants"])
    first = measures[measures["measure"] == "first_points_per_second"].rename(columns={"value": "first"})
    rows = table[table["status"] == "measured"].merge(first[[*TASK, "first"]], how="left", on=TASK)
    row = rows["variant"].map(variants.index).astype(float)
    figure, [axes] = side_by_side(1, height=1.6 + 0.8 * len(variants), preset=made["preset"])
    axes.set_xscale("log")
    for quality, (marker, colour, shift) in MARKS.items():
        own = rows[rows["quality"].fillna("") == quality]
        if own.empty:
            continue
        y = row[own.index] + shift
        picture = f"{own['resolution'].iloc[0]:.0f}² pixels of {own['samples_per_pixel'].iloc[0]:.0f} samples"
        name = f"ours, quality {quality}" if quality else "reference"
        axes.plot(own["points_per_second"], y, marker, color=colour, label=f"{name}, {picture}")
        known = own.dropna(subset="low")
        axes.hlines(y[known.index], known["low"], known["high"], color=colour, lw=1.5)
        axes.plot(own["first"], y, marker, color=colour, mfc="white", zorder=1.9)
    if len(rows):
        axes.plot([], [], "o", color=GREY, mfc="white", label="hollow: the first picture, a cold start")
        if rows["low"].notna().any():
            axes.plot([], [], color=GREY, lw=1.5, label="bar: 95 % interval over the clouds")
    else:
        axes.tick_params(which="both", bottom=False, labelbottom=False)
        axes.grid(visible=False)
    for ours in rows[(rows["method"] == "ours") & rows["ratio"].notna()].to_dict("records"):
        place = variants.index(ours["variant"]) + MARKS[ours["quality"]][2]
        mark = np.nanmax([ours["points_per_second"], ours["high"], ours["first"]]), place
        axes.annotate(f"{ours['ratio']:.3g} × reference, each at its size", mark, (9, 0), **BESIDE)
    papers = table.dropna(subset="paper_points_per_second").drop_duplicates("variant")
    if len(papers):
        y = papers["variant"].map(variants.index).astype(float) - 0.34
        axes.plot(papers["paper_points_per_second"], y, "D", label="the paper, on its own machine", **PAPER)
    for name, facts in made["variants"].items():
        if "reason" in facts:
            text = wrap(textwrap.shorten(f"not available: {facts['reason']}", 160), 78)
            style: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "va": "center",
                "fontsize": 8,
                "color": GREY,
            }
            axes.text(0.01, variants.index(name), text, **style)
    name_rows([axes], [named(name, facts.get("device", "")) for name, facts in made["variants"].items()])
    axes.set(
        xlabel="points rendered per second, ours and reference each at its own picture size\n"
        "(the reference's is speed.reference; in the paper 800² pixels of 256 samples)"
    )
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.5, high * max(8, (high / low) ** 0.5))  # room for the ratios
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2)
    return figure
