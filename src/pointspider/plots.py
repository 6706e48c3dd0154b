"""The workflow's figures: Tables I-III and loss curves as plots, renders and clouds as contact sheets.

Every `plot_*` and `*_sheet` returns a matplotlib Figure that names its preset at the foot; `save` writes it
as PNG and SVG, the same bytes for the same figure.
"""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pointspider.errors import InputError
from pointspider.render.scene import (
    CAMERA_ORIGIN,
    FIELD_OF_VIEW,
    RADIUS,
    axes_towards_scene,
    place,
    to_srgb,
)
from pointspider.storage import atomic
from pointspider.tables import require, top_ranks

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


def save(figure: Figure, stem: str | Path) -> None:
    """Write `figure` as `<stem>.png` and `<stem>.svg`, each whole or not at all."""
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        path = Path(stem)
        with matplotlib.style.context(STYLE), atomic(path.with_name(path.name + suffix)) as temporary:
            figure.savefig(temporary, metadata=metadata)


# ---------------------------------------------------------------------------------------- contact sheets

CELL, GAP = 1.3, 0.08  # inches: side of a picture, space between pictures
LINE = 0.14  # inches: height of a caption line of 7 points
CAPTION = 20  # characters of 7 points in a cell's width


@styled
def contact_sheet(images: Sequence[np.ndarray], labels: Sequence[str], columns: int, preset: str) -> Figure:
    """Renders with captions, row by row (the paper's Fig. 1, for any number of clouds).

    Args:
        images: (H, W, 3) uint8 each.
        labels: a caption per image.
        columns: images per row.
        preset: named at the foot.
    """
    figure, axes, corners = _sheet(labels, columns, preset)
    for image, (left, top) in zip(images, corners, strict=True):
        axes.imshow(image, extent=(left, left + CELL, top + CELL, top), aspect="auto")
    return figure


@styled
def cloud_sheet(clouds: Mapping[str, np.ndarray], columns: int, preset: str) -> Figure:
    """Point clouds with captions, row by row, as dots seen by the renderer's camera.

    Args:
        clouds: {caption: (N, 3) float, y up}; N may differ.
        columns: clouds per row.
        preset: named at the foot.

    Raises:
        InputError: a cloud cannot be drawn; see `pointspider.render.scene.place`.
    """
    figure, axes, corners = _sheet(list(clouds), columns, preset)
    dots = []
    for (label, points), (left, top) in zip(clouds.items(), corners, strict=True):
        try:
            xy, radius, colour = _project(points)
        except InputError as error:
            raise InputError(f"cloud '{label}': {error}") from error
        centre = np.array([left + CELL / 2, top + CELL / 2])
        dots.append(np.column_stack([centre + CELL / 2 * xy * [1, -1], CELL / 2 * radius, colour]))
    x, y, radius, *colour = np.concatenate(dots).T
    colour = np.stack(colour, 1)
    axes.scatter(
        x, y, s=(2 * 72 * radius) ** 2, c=colour, edgecolors=0.7 * colour, linewidths=0.2, rasterized=True
    )  # a scatter's s is the squared diameter in points, 1/72 inch
    return figure


def _sheet(
    labels: Sequence[str], columns: int, preset: str
) -> tuple[Figure, Axes, list[tuple[float, float]]]:
    """An empty captioned grid: figure, axes in inches from the top left, and the cells' corners."""
    if not labels:
        raise InputError("a contact sheet needs at least one picture.")
    captions = [_wrap(label.replace("_", " "), CAPTION) for label in labels]
    caption_height = LINE * (1 + max(caption.count("\n") for caption in captions))
    columns = min(columns, len(labels))
    footnote = _wrap(_footnote(preset), columns * CAPTION)
    rows = -(-len(labels) // columns)
    step = CELL + caption_height + GAP
    width = columns * (CELL + GAP) + GAP
    height = GAP + rows * step + LINE * (1 + footnote.count("\n")) + GAP
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    corners = [(GAP + i % columns * (CELL + GAP), GAP + i // columns * step) for i in range(len(labels))]
    for caption, (left, top) in zip(captions, corners, strict=True):
        axes.text(left + CELL / 2, top + CELL + 0.02, caption, fontsize=7, ha="center", va="top")
    axes.text(GAP, height - GAP, footnote, fontsize=7, color=GREY, ha="left", va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return figure, axes, corners


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the renderer's camera sees of a cloud, farthest point first.

    Returns:
        xy (N, 2) in the part of the picture that a cloud can reach, whose edges are at -1 and 1; radius (N,)
        of a point's sphere, same unit; colour (N, 3) sRGB in [0, 1], without the scene's light.
    """
    centres, colours = place(points)
    right, up, forward = axes_towards_scene(CAMERA_ORIGIN)
    seen = centres - CAMERA_ORIGIN
    depth = seen @ forward
    half_picture = depth * np.tan(np.radians(FIELD_OF_VIEW / 2))
    xy = np.stack([seen @ right, seen @ up], 1) / half_picture[:, None]
    order = np.argsort(-depth, kind="stable")
    # The corners of the largest box fall on |x| <= 0.74 and -0.64 <= y <= 0.94 of the picture.
    return (xy[order] - [0, 0.15]) / 0.83, RADIUS / half_picture[order] / 0.83, to_srgb(colours[order]) / 255


def _wrap(text: str, width: int) -> str:
    """Lines of at most `width` characters; the line breaks of `text` are kept."""
    return "\n".join(itertools.chain.from_iterable(textwrap.wrap(line, width) for line in text.splitlines()))


def _footnote(preset: str) -> str:
    return f"preset: {preset}" + ("" if preset == "paper" else " — not comparable with the paper's figures")


# ------------------------------------------------------------------------------------------------ tables

WIDTH = 8.0  # inches


@styled
def plot_speed(table: pd.DataFrame) -> Figure:
    """Table I: points per second of each Mitsuba variant, reference procedure and ours, on a log axis.

    The two are compared each at its own picture size; the reference's is the parameter `speed.reference`.

    Args:
        table: `pointspider.tables.speed_table`.
    """
    variants = list(dict.fromkeys(table["variant"]))
    row = table["variant"].map(variants.index)
    figure, [axes] = _figure(1, height=1.6 + 0.65 * len(variants), table=table)
    axes.set_xscale("log")
    measured = table["points_per_second"].notna()
    for method, marker, colour, shift in (("reference", "s", ORANGE, -0.14), ("ours", "o", BLUE, 0.14)):
        own = table[measured & (table["method"] == method)]
        if own.empty:
            continue
        y = row[own.index] + shift
        picture = f"{own['resolution'].iloc[0]:.0f}² pixels of {own['samples_per_pixel'].iloc[0]:.0f} samples"
        axes.plot(own["points_per_second"], y, marker, color=colour, label=f"{method}, {picture}")
        axes.plot(own["first_points_per_second"], y, marker, color=colour, mfc="white", zorder=1.9)
    if measured.any():
        axes.plot([], [], "o", color=GREY, mfc="white", label="hollow: the first picture, a cold start")
    else:
        axes.tick_params(which="both", bottom=False, labelbottom=False)
        axes.grid(visible=False)
    for index, own in table[measured & (table["method"] == "ours") & table["ratio"].notna()].iterrows():
        mark = (own[["points_per_second", "first_points_per_second"]].max(), row[index] + 0.14)
        axes.annotate(f"{own['ratio']:.3g} × reference, each at its size", mark, (9, 0), **BESIDE)
    if table["paper_points_per_second"].notna().any():
        axes.plot(
            table["paper_points_per_second"], row - 0.34, "D", label="the paper, on its own machine", **PAPER
        )
    for name, rows in table[~measured].groupby("variant", sort=False):
        told = _wrap(textwrap.shorten(rows["status"].iloc[0], 160), 78)
        style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8, "color": GREY}
        axes.text(0.01, variants.index(name), told, **style)
    devices = dict(zip(table["variant"], table["device"].where(measured, ""), strict=True))
    _rows([axes], [_names(name, devices[name]) for name in variants])
    axes.set(
        xlabel="points rendered per second, ours and reference each at its own picture size\n"
        "(the reference's is speed.reference; in the paper 800² pixels of 256 samples)"
    )
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.5, high * max(8, (high / low) ** 0.5))  # room for the ratios
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def plot_zero_shot(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table II: accuracy of each model on the first draw, all draws and the clean set, a panel per k.

    Args:
        table: `pointspider.tables.zero_shot_table`.
        records: the frame that it was made of, for the single draws.
    """
    ranks = top_ranks(table)
    figure, panels = _figure(len(ranks), height=1.8 + 0.6 * len(table), table=table)
    y = np.arange(len(table))
    n, n_clean, draws = (int(table[name].iloc[0]) for name in ("n", "n_clean", "draws"))
    for axes, k in zip(panels, ranks, strict=True):
        for i, model in enumerate(table["model"] if draws > 1 else ()):
            own = records[(records["model"] == model) & records["set"].str.startswith("draw_")]
            shift = np.linspace(-0.08, 0.08, len(own))
            label = f"each of {draws} draws of {n}, their mean" if i == 0 else None
            axes.plot(own[f"top{k}"], i + shift, ".", color=GREY, ms=4, mew=0, alpha=0.6, label=label)
            axes.plot(table[f"top{k}_mean"].iloc[i], i, "|", color=INK, ms=12)
        for name, shift, marker, colour, label in (
            (f"top{k}", -0.24, "o", BLUE, f"first draw, n = {n}, 95 % interval"),
            (f"top{k}_clean", 0.24, "s", GREEN, f"clean test clouds, n = {n_clean}, 95 % interval"),
        ):
            value = table[name]
            reach = np.abs([value - table[f"{name}_low"], table[f"{name}_high"] - value])
            axes.errorbar(value, y + shift, xerr=reach, fmt=marker, color=colour, ms=5, lw=1.2, label=label)
        if table[f"paper_top{k}"].notna().any():
            axes.plot(table[f"paper_top{k}"], y - 0.24, "D", label="the paper, n = 40", **PAPER)
        axes.axvline(table[f"top{k}_chance"].iloc[0], color=INK, lw=1, ls=":", label="chance")
        axes.set(title=f"top-{k}", xlabel="accuracy", xlim=(-0.02, 1.02))
    named = zip(table["model"], table["weights"], strict=True)
    # A published model is named by its weights.
    _rows(panels, [_names(model, "" if model in weights else weights) for model, weights in named])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


@styled
def plot_alignment(table: pd.DataFrame, records: pd.DataFrame) -> Figure:
    """Table III: mean L1 of each mapper's seeds beside the constant predictors; L1DIV on the upper axis.

    Args:
        table: `pointspider.tables.alignment_table`.
        records: the frame that it was made of, for the single seeds.
    """
    constants, mappers = (table[table["kind"] == kind] for kind in ("baseline", "mapper"))
    figure, [axes] = _figure(1, height=2.4 + 0.5 * len(mappers), table=table)
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
        names.append(_names(mapper["mapper"], diverged))
    if mappers["paper_l1div"].notna().any():
        axes.plot(1 / mappers["paper_l1div"], np.arange(len(mappers)) - 0.34, "D", label="the paper", **PAPER)
    _rows([axes], names)
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
    figure, panels = _figure(len(trained), height=3.2, table=table)
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


CONSTANTS = {"zero": "zero", "mean": "the training mean", "median": "the training median"}
# Marks of the paper's figures, and text beside a mark.
PAPER = {"color": VERMILION, "mfc": "none"}
BESIDE = {"textcoords": "offset points", "va": "center", "fontsize": 8}


def _figure(panels: int, height: float, table: pd.DataFrame) -> tuple[Figure, list[Axes]]:
    """Panels side by side that share their y axis, with the table's preset at the foot."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    figure.supxlabel(_footnote(table["preset"].iloc[0]), x=0.01, ha="left", fontsize=7, color=GREY)
    return figure, list(axes)


def _rows(panels: Sequence[Axes], names: Sequence[str]) -> None:
    """One named row of marks per name, from the top down, in panels that share their y axis."""
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)


def _names(name: str, detail: str) -> str:
    """A row's name with a detail below it, wrapped."""
    return _wrap(f"{name}\n{detail}", 36)


def _reciprocal(values: np.ndarray) -> np.ndarray:
    """1 / value; matplotlib also asks for 0 while it lays out an axis."""
    return 1 / np.maximum(values, 1e-9)
