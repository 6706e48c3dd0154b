"""Table I as a plot."""

import textwrap

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


@styled
def plot_speed(table: pd.DataFrame) -> Figure:
    """Table I: points per second of each Mitsuba variant, reference procedure and ours, on a log axis.

    They are compared each at its own picture size; the reference's is the parameter `speed.reference`.

    Args:
        table: `pointspider.study.tables.speed_table`.
    """
    variants = list(dict.fromkeys(table["variant"]))
    row = table["variant"].map(variants.index)
    figure, [axes] = side_by_side(1, height=1.6 + 0.8 * len(variants), table=table)
    axes.set_xscale("log")
    measured = table["points_per_second"].notna()
    styles = {"": ("s", ORANGE, -0.18), "reference": ("^", BLUE, 0), "clip": ("o", BLUE, 0.18)}
    quality = table["quality"].replace("-", "")
    for kind, (marker, colour, shift) in styles.items():
        own = table[measured & (quality == kind)]
        if own.empty:
            continue
        y = row[own.index] + shift
        picture = f"{own['resolution'].iloc[0]:.0f}² pixels of {own['samples_per_pixel'].iloc[0]:.0f} samples"
        name = f"ours, quality {kind}" if kind else "reference"
        axes.plot(own["points_per_second"], y, marker, color=colour, label=f"{name}, {picture}")
        sure = own.dropna(subset="points_per_second_low")
        low, high = sure["points_per_second_low"], sure["points_per_second_high"]
        axes.hlines(y[sure.index], low, high, color=colour, lw=1.5)
        axes.plot(own["first_points_per_second"], y, marker, color=colour, mfc="white", zorder=1.9)
    if measured.any():
        axes.plot([], [], "o", color=GREY, mfc="white", label="hollow: the first picture, a cold start")
        if table["points_per_second_low"].notna().any():
            axes.plot([], [], color=GREY, lw=1.5, label="bar: 95 % interval over the clouds")
    else:
        axes.tick_params(which="both", bottom=False, labelbottom=False)
        axes.grid(visible=False)
    ends = ["points_per_second", "points_per_second_high", "first_points_per_second"]
    for index, own in table[measured & (table["method"] == "ours") & table["ratio"].notna()].iterrows():
        place = row[index] + styles[own["quality"]][2]
        mark = (own[ends].max(), place)
        axes.annotate(f"{own['ratio']:.3g} × reference, each at its size", mark, (9, 0), **BESIDE)
    if table["paper_points_per_second"].notna().any():
        axes.plot(
            table["paper_points_per_second"], row - 0.34, "D", label="the paper, on its own machine", **PAPER
        )
    for name, rows in table[~measured].groupby("variant", sort=False):
        told = wrap(textwrap.shorten(rows["status"].iloc[0], 160), 78)
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8, "color": GREY}
        axes.text(0.01, variants.index(name), told, **style)
    devices = dict(zip(table["variant"], table["device"].where(measured, ""), strict=True))
    name_rows([axes], [named(name, devices[name]) for name in variants])
    axes.set(
        xlabel="points rendered per second, ours and reference each at its own picture size\n"
        "(the reference's is speed.reference; in the paper 800² pixels of 256 samples)"
    )
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.5, high * max(8, (high / low) ** 0.5))  # room for the ratios
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2)
    return figure
