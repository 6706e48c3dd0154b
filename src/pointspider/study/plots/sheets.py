"""Contact sheets: renders and clouds with captions, row by row."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pointspider.core.errors import InputError
from pointspider.render.scene import Camera, place, to_srgb
from pointspider.study.plots.style import GREY, footnote, styled, wrap

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
        preset: named in the footnote.
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
        preset: named in the footnote.

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
    drawn = np.concatenate(dots)  # (n, 6): x, y, radius, red, green, blue
    x, y, radius = drawn[:, :3].T
    axes.scatter(
        x, y, s=(2 * 72 * radius) ** 2, c=drawn[:, 3:], edgecolors=list(map(tuple, 0.7 * drawn[:, 3:])),
        linewidths=0.2, rasterized=True,
    )  # fmt: skip  # a scatter's s is the squared diameter in points, 1/72 inch
    return figure


def _sheet(
    labels: Sequence[str], columns: int, preset: str
) -> tuple[Figure, Axes, list[tuple[float, float]]]:
    """An empty captioned grid: figure, axes in inches from the top left, and the cells' corners."""
    if not labels:
        raise InputError("a contact sheet needs at least one picture.")
    captions = [wrap(label.replace("_", " "), CAPTION) for label in labels]
    caption_height = LINE * (1 + max(caption.count("\n") for caption in captions))
    columns = min(columns, len(labels))
    foot = wrap(footnote(preset), columns * CAPTION)
    rows = -(-len(labels) // columns)
    step = CELL + caption_height + GAP
    width = columns * (CELL + GAP) + GAP
    height = GAP + rows * step + LINE * (1 + foot.count("\n")) + GAP
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    corners = [(GAP + i % columns * (CELL + GAP), GAP + i // columns * step) for i in range(len(labels))]
    for caption, (left, top) in zip(captions, corners, strict=True):
        axes.text(left + CELL / 2, top + CELL + 0.02, caption, fontsize=7, ha="center", va="top")
    axes.text(GAP, height - GAP, foot, fontsize=7, color=GREY, ha="left", va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return figure, axes, corners


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the renderer's camera sees of a cloud, farthest point first.

    Returns:
        xy (N, 2) in the part of the picture that a cloud can reach, whose edges are at -1 and 1; radius (N,)
        of a point's sphere, same unit; colour (N, 3) sRGB in [0, 1], without the scene's light.
    """
    spheres = place(points)
    places, half_picture, depth = Camera().project(spheres.centres)
    xy = (2 * places - 1) * [1, -1]
    order = np.argsort(-depth, kind="stable")
    # The corners of the largest box fall on |x| <= 0.74 and -0.64 <= y <= 0.94 of the picture.
    radius = spheres.radius / half_picture[order]
    return (xy[order] - [0, 0.15]) / 0.83, radius / 0.83, to_srgb(spheres.colours[order]) / 255
