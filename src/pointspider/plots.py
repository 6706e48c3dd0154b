"""The workflow's figures: Tables I-III and the loss curves as plots, renders and point clouds as contact sheets.

Every `plot_*` and `*_sheet` returns a matplotlib Figure; `save` writes it as PNG and SVG, the same bytes for the
same figure. Each figure names its preset at the foot.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pointspider.errors import InputError
from pointspider.storage import atomic

# Okabe and Ito's colours, told apart with every common colour vision deficiency
# (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE = "#222222", "#767676", "#DDDDDD"

# On top of matplotlib's own defaults, so that no matplotlibrc of the machine changes a byte.
STYLE = [
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
