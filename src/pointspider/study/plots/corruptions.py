"""Heat maps: a measure by corruption level, one for each model or predictor."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pointspider.clouds.names import ORIGINAL
from pointspider.study.plots.style import GREY, WIDTH, footnote, styled, wrap
from pointspider.study.tables.common import require


class Scale(NamedTuple):
    """The colours of a measure: its name, matplotlib's colour map, and whether 0 has the middle colour."""

    label: str
    colours: str
    centred: bool


SCALES = {
    "top1": Scale("top-1 accuracy", "cividis", centred=False),
    "skill": Scale("skill", "RdBu", centred=True),
}

PER_ROW = 4  # heat maps side by side
ALL = "all"  # the column of the mean over severities, which ratios such as skill do not have
CLEAN = "none"  # that column if it contains only the clean clouds
BELOW = "≪"  # for a value below the scale


@styled
def plot_corruptions(records: pd.DataFrame, measure: str, preset: str) -> Figure:
    """A measure by corruption level, a heat map per model or predictor, all on one colour scale.

    Args:
        records: rows of the table zero_shot_corruptions or alignment_corruptions.
        measure: a key of `SCALES`.
        preset: named in the footnote.

    Raises:
        InputError: a column is missing.
    """
    by = "predictor" if "predictor" in records else "model"
    require(records, (by, "measure", "corruption", "severity", "n", "value"), "corruption records")
    scale, records = SCALES[measure], records[records["measure"] == measure]
    models = list(dict.fromkeys(records[by]))
    corruptions = list(dict.fromkeys(records["corruption"]))
    rows, columns = -(-len(models) // PER_ROW), min(len(models), PER_ROW)
    height = 1.1 + rows * (0.6 + 0.22 * len(corruptions))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    low, high = _limits(records["value"], scale.centred)
    for axes, model in zip(panels, models, strict=False):
        values = _by_severity(records[records[by] == model], not scale.centred).reindex(corruptions)
        image = _heat_map(axes, values, low, high, scale.colours)
        axes.set_title(wrap(model, 22 if columns == PER_ROW else 40), fontsize=8)
        axes.set_xlabel("severity", fontsize=8)
    for axes in panels[len(models) :]:
        axes.set_axis_off()
    panels[0].set_yticks(
        range(len(corruptions)),
        ["clean" if name == ORIGINAL else name.replace("_", " ") for name in corruptions],
    )
    counts = records.loc[records["corruption"] != ORIGINAL, "n"]
    n = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    below = f", {BELOW} below {100 * low:.0f} %" if records["value"].min() < low else ""
    figure.supxlabel(
        f"{scale.label} in %{below}, of {n} test clouds at each level\n{footnote(preset)}",
        x=0.01, ha="left", fontsize=7, color=GREY,
    )  # fmt: skip
    beyond = "min" if below else "neither"
    figure.colorbar(image, ax=panels, label=scale.label, shrink=0.8, aspect=30, extend=beyond)
    return figure


def _limits(values: pd.Series, centred: bool) -> tuple[float, float]:
    """The tenths that contain all values; for a centred scale symmetric about 0, at most 1."""
    if centred:
        reach = np.clip(np.ceil(10 * values.abs().max()) / 10, 0.1, 1)
        return -reach, reach
    low, high = np.floor(10 * values.min()) / 10, np.ceil(10 * values.max()) / 10
    return low, max(high, low + 0.1)


def _by_severity(records: pd.DataFrame, averaged: bool) -> pd.DataFrame:
    """Values by corruption (rows), and by severity and, if `averaged`, their mean over clouds (columns).

    The clean clouds, which have no severity, are in the last column. Absent levels are NaN.
    """
    corrupted = records[records["corruption"] != ORIGINAL]
    single = corrupted.pivot(index="corruption", columns="severity", values="value")
    total = (records["n"] * records["value"]).groupby(records["corruption"]).sum()
    total = total / records.groupby("corruption")["n"].sum()
    last = {ALL: total} if averaged else {CLEAN: total[total.index == ORIGINAL]}
    return single.reindex(total.index).assign(**last)


def _heat_map(axes: Axes, values: pd.DataFrame, low: float, high: float, colours: str) -> AxesImage:
    """Draw `values` coloured from `low` to `high`, with their percentages."""
    image = axes.imshow(values.to_numpy(np.float64), cmap=colours, vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(values.to_numpy(np.float64)):
        if not np.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.5 else "black"
            text = BELOW if value < low else str(round(100 * value))  # round: no "-0"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=ink)
    axes.axvline(values.shape[1] - 1.5, color="white", lw=2)
    axes.set_xticks(range(values.shape[1]), values.columns)
    axes.tick_params(length=0, labelsize=7)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return image
