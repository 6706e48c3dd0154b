"""Table V as plots: mAP by severity, precision and recall of duplicates, and seconds per cloud."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointspider.study.evaluate.search import SEARCHES
from pointspider.study.plots.style import (
    BESIDE,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    name_rows,
    side_by_side,
    styled,
)
from pointspider.study.tables.common import require
from pointspider.study.tables.search import ALL, PATH, STEPS

MARKS = {"renders": (BLUE, "s"), "points": (GREEN, "^")}
#: Of mapped clouds, in the order of the predictors.
MAPPED = ((VERMILION, "o"), (ORANGE, "D"), (GREY, "v"), (INK, "P"))
TITLES = {"class": "clouds of the same class", "object": "the clean cloud of the same object"}


@styled
def plot_search(measures: pd.DataFrame, preset: str) -> Figure:
    """MAP of each path by severity, a panel per search.

    Args:
        measures: the table `search`.
        preset: named in the footnote.
    """
    require(measures, [*PATH, "measure", "corruption", "severity", "value", "low", "high"], "search")
    rows = measures[(measures["corruption"] == ALL) & measures["severity"].notna()]
    figure, panels = side_by_side(len(SEARCHES), height=3.2, preset=preset)
    for axes, search in zip(panels, SEARCHES, strict=True):
        own = rows[rows["measure"] == f"{search}_map"]
        shown = list(_paths(measures))
        for number, (path, model, colour, marker) in enumerate(shown):
            line = own[(own["path"] == path) & (own["model"] == model)].sort_values("severity")
            x = line["severity"].to_numpy(np.float64) + 0.06 * (number - (len(shown) - 1) / 2)
            value = line["value"].to_numpy(np.float64)
            errors = np.abs(line[["low", "high"]].to_numpy(np.float64).T - value)
            axes.errorbar(x, value, errors, fmt=f"{marker}-", color=colour, ms=4, lw=1, elinewidth=0.8,
                          label=_label(path, model))  # fmt: skip
        axes.set(title=TITLES[search], xlabel="severity of the query (0: clean)", ylim=(0, 1.02))
        axes.set_xticks(sorted(own["severity"].unique()))
    panels[0].set_ylabel("mean average precision")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper left", ncols=4)
    return figure


@styled
def plot_duplicates(curves: pd.DataFrame, preset: str) -> Figure:
    """Precision and recall of duplicates: all severities, the lowest and the highest.

    Args:
        curves: the table `duplicates`.
        preset: named in the footnote.
    """
    require(curves, [*PATH, "severity", "recall", "precision"], "duplicates")
    single = sorted(set(curves["severity"]) - {0})
    shown = [0, *dict.fromkeys([single[0], single[-1]])] if single else [0]
    figure, panels = side_by_side(len(shown), height=3.2, preset=preset)
    for axes, severity in zip(panels, shown, strict=True):
        own = curves[curves["severity"] == severity]
        for path, model, colour, _ in _paths(curves):
            line = own[(own["path"] == path) & (own["model"] == model)]
            axes.plot(line["recall"], line["precision"], color=colour, lw=1.2, label=_label(path, model))
        title = f"severity {severity}" if severity else "all severities"
        axes.set(title=title, xlabel="duplicates found (recall)", xlim=(0, 1), ylim=(0, 1.02))
    panels[0].set_ylabel("precision")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


@styled
def plot_seconds(table: pd.DataFrame, preset: str) -> Figure:
    """Seconds per cloud of each path, stacked by step.

    Args:
        table: the table `table5_seconds`.
        preset: named in the footnote.
    """
    rows = table[table["severity"].isna()].set_index(["path", "step"])["seconds"]
    figure, [axes] = side_by_side(1, height=1.9, preset=preset)
    colours = {"render": BLUE, "image_embedding": ORANGE, "point_embedding": GREEN, "prediction": VERMILION}
    for row, (path, steps) in enumerate(STEPS.items()):
        ends = np.cumsum([0, *(1e3 * rows[path, step] for step in steps)])
        for step, (left, right) in zip(steps, pairwise(ends), strict=True):
            axes.barh(row, right - left, left=left, color=colours[step], height=0.6)
        axes.annotate(f"{ends[-1]:.3g} ms", (ends[-1], row), xytext=(4, 0), color=INK, **BESIDE)
    for step, colour in colours.items():
        axes.barh(0, 0, color=colour, label=step.replace("_", " "))
    name_rows([axes], list(STEPS))
    axes.set_xlabel("wall milliseconds per cloud")
    axes.margins(x=0.12)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def _paths(table: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Each path with its model, colour and marker."""
    mapped = iter(MAPPED)
    pairs = table[PATH].drop_duplicates().itertuples(index=False)
    return [
        (path, model, *(MARKS[path] if path in MARKS else next(mapped, MAPPED[-1]))) for path, model in pairs
    ]


def _label(path: str, model: str) -> str:
    return f"{path}, {model}"
