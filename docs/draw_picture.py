"""Draw docs/picture.png: the pipeline, with real clouds and renders. Run from the repository's root."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import atomic
from pointspider.render.backends import activate, choose
from pointspider.render.renderer import Renderer, RenderSettings
from pointspider.study.plots.sheets import cloud_sheet

SHOWN = ("airplane", "chair", "lamp", "piano", "guitar", "plant")
BLUE, GREEN, ORANGE, INK = "#0072B2", "#009E73", "#D55E00", "#222222"


def box(axes, x, y, text, colour, width=1.75, height=0.62):
    """A rounded box of one step, centred on (x, y)."""
    shape = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height,
        boxstyle="round,pad=0.02,rounding_size=0.12", fc="white", ec=colour, lw=1.6,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, color=INK)


def arrow(axes, start, end, text="", colour=INK):
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.3})
    if text:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.13)
        axes.text(*middle, text, ha="center", fontsize=8, color=colour)


def picture_of(figure) -> np.ndarray:
    """A figure's pixels without its foot."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


activate(choose(), threads=2)
source = ProceduralSource(ProceduralSettings(evaluation_objects=1), seed=1)
clouds = {name: source.load(name, "0000").points[:1024] for name in SHOWN}
renders = Renderer(RenderSettings(224)).render(np.stack(list(clouds.values())))
scatter = picture_of(cloud_sheet({" ": clouds["chair"]}, 1, "embedded"))
side = scatter.shape[1]

figure, axes = plt.subplots(figsize=(11, 4.9), dpi=130)
axes.set(xlim=(0, 11), ylim=(0, 4.9))
axes.axis("off")
axes.imshow(scatter[: int(side * 0.98)], extent=(0.05, 1.65, 1.5, 3.1), aspect="auto", zorder=0)
axes.text(0.85, 1.42, "point cloud\n(N, 3)", ha="center", va="top", fontsize=9)
box(axes, 3.0, 3.2, "Mitsuba\nTable I: speed", BLUE)
axes.imshow(renders[1], extent=(4.25, 5.75, 2.4, 3.9), aspect="auto", zorder=0)
box(axes, 7.1, 3.2, "CLIP image tower\n(frozen)", BLUE)
box(axes, 9.75, 3.2, "image embedding", BLUE)
box(axes, 7.1, 4.4, "CLIP text tower\nA model of chair", GREEN)
box(axes, 9.75, 4.4, "Table II: zero-shot\ntop-1, top-3", GREEN)
box(axes, 3.0, 1.5, "PointNet\n(frozen)", ORANGE)
box(axes, 6.0, 1.5, "mapper: 3 doubling +\n3 halving layers", ORANGE, width=2.2)
box(axes, 9.75, 1.5, "mapped embedding", ORANGE)
axes.text(
    9.75, 2.35, "mean L1: Table III", ha="center", va="center", fontsize=9.5, color=INK, backgroundcolor="w"
)
for start, end, text in (
    ((1.6, 2.6), (2.1, 3.1), ""), ((1.6, 2.0), (2.1, 1.6), ""), ((3.9, 3.2), (4.35, 3.2), ""),
    ((5.65, 3.2), (6.2, 3.2), ""), ((8.0, 3.2), (8.85, 3.2), ""), ((8.0, 4.4), (8.85, 4.4), ""),
    ((9.75, 3.53), (9.75, 4.07), ""), ((3.9, 1.5), (4.88, 1.5), "1024-d"), ((7.12, 1.5), (8.85, 1.5), ""),
    ((9.75, 2.5), (9.75, 2.87), ""), ((9.75, 2.2), (9.75, 1.83), ""),
):  # fmt: skip
    arrow(axes, start, end, text)
for index, image in enumerate(renders):
    left = 1.9 + 1.5 * index
    axes.imshow(image, extent=(left, left + 1.3, 0.0, 1.12), aspect="auto", zorder=0)
with atomic(Path("docs/picture.png")) as temporary:
    figure.savefig(temporary, format="png", bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})
