"""Draw the pictures of the README, from procedural clouds: `python docs/draw_pictures.py [DIRECTORY]`.

render.png is one large render, picture.png shows the pipeline of the study. The default directory is docs/.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from pointspider import draw
from pointspider.clouds.cloud import Cloud
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import atomic, write_png

SHOWN = ("airplane", "chair", "lamp", "piano", "guitar", "plant")
BLUE, GREEN, ORANGE, INK = "#0072B2", "#009E73", "#D55E00", "#222222"


def draw_pictures(directory: Path, resolution: int = 1000, points: int = 30_000) -> None:
    """Write both pictures. `resolution` and `points` are those of render.png."""
    source = ProceduralSource(ProceduralSettings(evaluation_objects=1), seed=1)
    clouds = {name: source.load(name, "0000") for name in SHOWN}
    mesh = clouds["piano"].mesh
    assert mesh
    large = draw(mesh.sample(points, np.random.default_rng(0)), resolution=resolution)[..., :3]
    write_png(directory / "render.png", large[resolution // 6 : -resolution // 6])
    figure = draw_pipeline(clouds)
    with atomic(directory / "picture.png") as temporary:
        figure.savefig(
            temporary, format="png", bbox_inches="tight", pad_inches=0.05, metadata={"Software": None}
        )


def draw_pipeline(clouds: dict[str, Cloud]) -> Figure:
    """Draw the pipeline: a cloud, its render, both embeddings and what each table measures."""
    renders = [draw(cloud.points[:1024], resolution=224, quality="clip") for cloud in clouds.values()]
    figure = Figure(figsize=(11, 4.9), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 11), ylim=(0, 4.9))
    axes.axis("off")
    x, y, z = clouds["chair"].points[:1024].T
    axes.scatter(0.85 + 0.62 * (0.9 * x - 0.44 * z), 2.35 + 0.62 * (y - 0.2 * z - 0.1 * x), s=3, c=INK, lw=0)
    axes.text(0.85, 1.42, "point cloud\n(N, 3)", ha="center", va="top", fontsize=9)
    axes.imshow(renders[1], extent=(4.25, 5.75, 2.4, 3.9), aspect="auto", zorder=0)
    _box(axes, 3.0, 3.2, "Mitsuba\nTable I: speed", BLUE)
    _box(axes, 7.1, 3.2, "CLIP image tower\n(frozen)", BLUE)
    _box(axes, 9.75, 3.2, "image embedding", BLUE)
    _box(axes, 7.1, 4.4, "CLIP text tower\nA model of chair", GREEN)
    _box(axes, 9.75, 4.4, "Table II: zero-shot\ntop-1, top-3", GREEN)
    _box(axes, 3.0, 1.5, "PointNet\n(frozen)", ORANGE)
    _box(axes, 6.0, 1.5, "mapper: 3 doubling +\n3 halving layers", ORANGE, width=2.2)
    _box(axes, 9.75, 1.5, "predicted embedding", ORANGE)
    axes.text(9.75, 2.35, "mean L1: Table III", ha="center", va="center", fontsize=9.5, color=INK)
    for start, end, text in (
        ((1.6, 2.6), (2.1, 3.1), ""), ((1.6, 2.0), (2.1, 1.6), ""), ((3.9, 3.2), (4.35, 3.2), ""),
        ((5.65, 3.2), (6.2, 3.2), ""), ((8.0, 3.2), (8.85, 3.2), ""), ((8.0, 4.4), (8.85, 4.4), ""),
        ((9.75, 3.53), (9.75, 4.07), ""), ((3.9, 1.5), (4.88, 1.5), "1024-d"), ((7.12, 1.5), (8.85, 1.5), ""),
        ((9.75, 2.5), (9.75, 2.87), ""), ((9.75, 2.2), (9.75, 1.83), ""),
    ):  # fmt: skip
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.3})
        axes.text((start[0] + end[0]) / 2, start[1] + 0.13, text, ha="center", fontsize=8, color=INK)
    for index, image in enumerate(renders):
        left = 1.9 + 1.5 * index
        axes.imshow(image, extent=(left, left + 1.3, 0.0, 1.12), aspect="auto", zorder=0)
    axes.set(xlim=(0, 11), ylim=(0, 4.9))
    return figure


def _box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 1.75) -> None:
    """Draw a rounded box of one step, centred on (x, y)."""
    shape = FancyBboxPatch(
        (x - width / 2, y - 0.31), width, 0.62,
        boxstyle="round,pad=0.02,rounding_size=0.12", fc="white", ec=colour, lw=1.6,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, color=INK)


if __name__ == "__main__":
    draw_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
