"""The style of every figure, and how it is written."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pointspider.core.files import atomic

# Okabe and Ito's colours, distinguishable with every common colour vision deficiency
# (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE = "#222222", "#767676", "#DDDDDD"
# On top of matplotlib's defaults, so that no matplotlibrc of the machine changes a byte.
STYLE: list[str | dict[str, Any]] = [
    "default",
    {
        "figure.dpi": 100,
        "savefig.dpi": 160,  # pixels per inch of the PNG
        "svg.hashsalt": "pointspider",  # otherwise the SVG's ids are random
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GREY,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": PALE,
        "grid.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "legend.fontsize": 8,
    },
]
styled = matplotlib.style.context(STYLE)
# Marks of the paper's figures, and text next to a mark.
PAPER: dict[str, Any] = {"color": VERMILION, "mfc": "none"}
BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8}
WIDTH = 8.0  # inches


def save(figure: Figure, path: str | Path) -> None:
    """Write `figure` as SVG or PNG, by the suffix of `path`; equal figures give equal bytes."""
    suffix = Path(path).suffix[1:]
    metadata = {"png": {"Software": None}, "svg": {"Date": None}}[suffix]
    with matplotlib.style.context(STYLE), atomic(path) as temporary:
        figure.savefig(temporary, format=suffix, metadata=metadata)


def side_by_side(panels: int, height: float, preset: str) -> tuple[Figure, list[Axes]]:
    """Panels side by side that share their y axis, with the preset in the footnote."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    figure.supxlabel(footnote(preset), x=0.01, ha="left", fontsize=7, color=GREY)
    return figure, list(axes)


def name_rows(panels: Sequence[Axes], names: Sequence[str]) -> None:
    """Name the rows of marks, from top to bottom, in panels that share their y axis."""
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)


def named(name: str, detail: str) -> str:
    """The name of a row with a detail below it, wrapped."""
    return wrap(f"{name}\n{detail}", 36)


def wrap(text: str, width: int) -> str:
    """Wrap each line of `text` at `width` characters."""
    return "\n".join(itertools.chain.from_iterable(textwrap.wrap(line, width) for line in text.splitlines()))


def footnote(preset: str) -> str:
    return f"preset: {preset}" + ("" if preset == "paper" else " — not comparable with the paper's figures")
