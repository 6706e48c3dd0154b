"""Table IV as a plot: each encoder through ridge and through the mapper."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointspider.study.plots.style import BESIDE, BLUE, INK, ORANGE, name_rows, side_by_side, styled

#: Column of Table IV, title and label of a panel.
PANELS = (
    ("skill", "skill", "1 - L1 / L1 of the median"),
    ("image_r10", "retrieval", "render among the first 10"),
    ("top1", "classes", "top-1 accuracy"),
)
#: A mapper with a lower skill has failed; an axis that includes it would show nothing else.
LOWEST_SKILL = -1.0


@styled
def plot_encoders(table: pd.DataFrame, preset: str) -> Figure:
    """Skill, retrieval and classes of every encoder.

    Args:
        table: the table `table4`.
        preset: named in the footnote.
    """
    encoders, predictors = list(table["encoder"].unique()), list(table["predictor"].unique())
    figure, panels = side_by_side(len(PANELS), height=1.7 + 0.36 * len(encoders), preset=preset)
    rows = np.arange(len(encoders))
    for axes, (column, title, label) in zip(panels, PANELS, strict=True):
        for predictor, marker, colour, shift in zip(
            predictors, "Do", (INK, BLUE), (-0.15, 0.15), strict=False
        ):
            own = table[table["predictor"] == predictor].set_index("encoder").loc[encoders]
            value, reach = own[column].to_numpy(np.float64), None
            if column == "skill":
                reach = np.abs(own[["skill_low", "skill_high"]].to_numpy(np.float64).T - value)
                for row in np.flatnonzero(value < LOWEST_SKILL):
                    text = f"← {value[row]:.2g}"
                    edge = axes.get_yaxis_transform()
                    axes.annotate(text, (0, row + shift), (4, 0), xycoords=edge, color=colour, **BESIDE)
                value = np.where(value < LOWEST_SKILL, np.nan, value)
            axes.errorbar(value, rows + shift, xerr=reach, fmt=marker, color=colour, mfc="none", ms=5, lw=1,
                          label=predictor)  # fmt: skip
        if column == "top1":
            of_encoder = table.groupby("encoder")["classifier_top1"].first().loc[encoders]
            axes.plot(of_encoder, rows, "|", color=ORANGE, ms=14, mew=2, label="classifier of the encoder")
        axes.axvline(0, color=INK, lw=1, ls=":")
        axes.set(title=title, xlabel=label, xlim=(min(axes.get_xlim()[0], -0.03), 1.03))
    name_rows(panels, encoders)
    figure.legend(
        *panels[-1].get_legend_handles_labels(),
        title="95 % intervals are over the seeds",
        title_fontsize=8,
        alignment="left",
        loc="outside upper left",
        ncols=3,
    )
    return figure
