"""The figures: content, sizes, equal bytes, and labels that stay inside."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_tables_alignment import L1, make_cells, make_tables
from test_tables_speed import speed_records

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
from pointspider.study.plots.alignment import plot_alignment, plot_loss_curves, plot_retrieval
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.sheets import cloud_sheet, contact_sheet
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.tables.alignment import corruption_rows
from pointspider.study.tables.speed import speed_table


def draw_speed(preset: str, available: bool = True) -> Figure:
    records = speed_records()
    if not available:
        message = (
            "aborted by signal 6: LLVM ERROR: Cannot select: " + "0x55d0c8e7f3b0: v8f32 = fminimum " * 20
        )
        records = records[records["reason"] != ""].assign(reason=message)
    device = "Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz, LLVM 19.1.7"
    records["device"] = records["device"].where(records["reason"] != "", device)
    return plot_speed(speed_table(records, preset, "procedural", seed=6))


def draw_alignment(preset: str, l1: dict[str, list[float]]) -> Figure:
    tables = make_tables(l1, preset)
    return plot_alignment(tables["table3"], tables["records"])


def draw_retrieval(l1: dict[str, list[float]]) -> Figure:
    return plot_retrieval(make_tables(l1, "embedded")["table3_extended"])


def draw_skills(l1: dict[str, list[float]]) -> Figure:
    rows = corruption_rows(make_cells(l1))
    rows = rows[(rows["task"] == "alignment") & rows["model"].isin(["ridge", *l1])]
    return plot_corruptions(rows, "skill", "embedded")


def draw_curves(l1: dict[str, list[float]]) -> Figure:
    runs = [
        pd.DataFrame({"mapper": mapper, "seed": seed, "epoch": np.arange(1, 101), "train": 3.0, "test": 0.3})
        for mapper, values in l1.items()
        for seed in range(len(values))
    ]
    return plot_loss_curves(pd.concat(runs), make_tables(l1, "embedded")["table3"])


def draw_contact(count: int = 5) -> Figure:
    images = [np.full((64, 64, 3), 40 * index, np.uint8) for index in range(count)]
    labels = ["airplane/distortion_rbf_inv_5/0003", "one", "two", "three", "night_stand original"][:count]
    return contact_sheet(images, labels, 3, "embedded")


def draw_clouds() -> Figure:
    rng = np.random.default_rng(0)
    sizes = {"original": 1024, "cutout_5": 724, "distortion_rbf_inv_5": 1024, "upsampling_5": 2048}
    return cloud_sheet({name: rng.normal(size=(n, 3)) for name, n in sizes.items()}, 3, "embedded")


FIGURES: dict[str, Callable[[], Figure]] = {
    "speed": partial(draw_speed, "embedded"),
    "speed of the paper": partial(draw_speed, "paper"),
    "no variant works": partial(draw_speed, "embedded", available=False),
    "alignment": partial(
        draw_alignment, "paper", {"BASE": [0.6, 0.62], "LNORM": [0.3, 0.31], "RNORM": [0.55]}
    ),
    "diverged": partial(draw_alignment, "embedded", L1),
    "off the axis": partial(draw_alignment, "embedded", {"BASE": [0.6, 3e5], "LNORM": [0.3], "RNORM": [1e9]}),
    "retrieval": partial(draw_retrieval, L1),
    "skill on each corruption": partial(draw_skills, {"BASE": [0.3, 0.31], "LNORM": [0.45], "RNORM": [4.0]}),
    "loss curves": partial(draw_curves, L1),
    "contact sheet": draw_contact,
    "one picture": partial(draw_contact, count=1),
    "clouds": draw_clouds,
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_a_saved_figure_has_its_size_its_content_and_nothing_clipped(name, tmp_path):
    figure = FIGURES[name]()
    save(figure, tmp_path / "plots" / "name.of.it.png")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["name.of.it.png"]
    image = read_png(tmp_path / "plots" / "name.of.it.png")
    width, height = figure.get_size_inches()
    np.testing.assert_allclose(image.shape, (160 * height, 160 * width, 3), atol=1)
    assert image.std() > 5
    assert (image == 255).all(2).mean() > 0.05  # the background is white
    left, bottom, right, top = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer()).extents
    assert -0.01 <= left < right <= width + 0.01
    assert -0.01 <= bottom < top <= height + 0.01
    assert any("preset: " in text for text in texts(figure))


@pytest.mark.parametrize("name", ["alignment", "clouds"])
def test_equal_figures_have_equal_bytes(name, tmp_path):
    for directory in ("first", "second"):
        save(FIGURES[name](), tmp_path / directory / "plot.png")
        save(FIGURES[name](), tmp_path / directory / "plot.svg")
    for suffix in (".png", ".svg"):
        first, second = (tmp_path / directory / f"plot{suffix}" for directory in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert b"<dc:date>" not in first.read_bytes()
        assert b"matplotlib version" not in first.read_bytes()


def test_the_machines_matplotlibrc_changes_nothing(tmp_path):
    import matplotlib

    save(draw_speed("embedded"), tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30}):
        save(draw_speed("embedded"), tmp_path / "changed.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "changed.png").read_bytes()


def test_speed_names_device_ratio_and_what_does_not_work():
    said = " | ".join(texts(draw_speed("embedded"))).replace("\n", " ")
    assert "40 × reference, each at its size" in said
    assert "each at its own picture size (the reference's is speed.reference; in the paper 800²" in said
    assert "LLVM 19" in said
    assert "not available: no NVIDIA driver" in said
    assert "reference, 800² pixels of 64 samples" in said
    assert "not comparable with the paper's figures" in said
    assert "the paper, on its own machine" not in said
    assert "the paper, on its own machine" in texts(draw_speed("paper"))


def test_speed_is_on_a_log_axis():
    assert draw_speed("embedded").axes[0].get_xscale() == "log"


def test_speed_has_its_interval_as_a_bar():
    table = speed_table(speed_records(), "embedded", "procedural", seed=6)
    figure = plot_speed(table)
    bars = [bar.get_segments()[0][:, 0] for bar in figure.axes[0].collections]
    expected = table.loc[[0, 1], ["points_per_second_low", "points_per_second_high"]]
    np.testing.assert_allclose(bars, expected)
    assert "bar: 95 % interval over the clouds" in texts(figure)
    one = speed_records().assign(cloud_seconds=["4.0", "0.1", None, None])
    assert not any(
        "interval" in text for text in texts(plot_speed(speed_table(one, "embedded", "x", seed=6)))
    )


def test_failed_mappers_are_said_in_words():
    diverged = texts(draw_alignment("embedded", L1))
    assert "BASE\n2 of 2 diverged" in diverged
    assert "LNORM" in diverged
    assert "RNORM\n1 of 2 diverged" in diverged
    axes = draw_alignment("embedded", {"BASE": [0.6, 3e5], "LNORM": [0.3], "RNORM": [0.5]}).axes[0]
    assert axes.get_xlim()[1] < 2  # the one at 300,000 does not flatten the others
    assert any("3e+05" in text.get_text() for text in axes.texts)


def test_l1div_is_the_reciprocal_axis():
    figure = draw_alignment("embedded", {"BASE": [0.6], "LNORM": [0.3], "RNORM": [0.5]})
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    reciprocal = axes.child_axes[0]
    np.testing.assert_allclose(1 / np.array(axes.get_xlim()), reciprocal.get_xlim()[::-1])
    boxes = [label.get_window_extent() for label in reciprocal.get_xticklabels()]
    boxes = sorted((box for box in boxes if box.width), key=lambda box: box.x0)
    assert len(boxes) >= 3
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_loss_curves_have_a_line_per_seed_and_split():
    panels = draw_curves(L1).axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "BASE (2 diverged)",
        "LNORM",
        "RNORM (1 diverged)",
    ]
    assert [len(axes.get_lines()) for axes in panels] == [5, 5, 5]  # two seeds, two splits, the median


def test_retrieval_shows_every_predictor_and_chance():
    figure = draw_retrieval(L1)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "cloud → image, 40 clean test clouds",
        "image → cloud, 40 clean test clouds",
    ]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[-3:] == ["BASE", "LNORM", "RNORM"]
    dotted = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert dotted == [1 / 40, 5 / 40, 10 / 40]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label for label in labels if "chance" in label] == [f"R@{k} by chance" for k in (1, 5, 10)]


def test_skill_has_white_at_the_median_and_equal_reach_to_both_sides():
    figure = draw_skills({"BASE": [0.3], "LNORM": [0.45], "RNORM": [4.0]})
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in panels] == ["ridge", "BASE", "LNORM", "RNORM"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-1.0, 1.0)}
    np.testing.assert_allclose(panels[0].images[0].cmap(0.5)[:3], 1, atol=0.05)
    assert {text.get_text() for text in panels[3].texts} == {"≪"}  # 1 - 4.0 / 0.5 is far below -1
    assert any("≪ below -100 %" in text for text in texts(figure))
    columns = [label.get_text() for label in panels[0].get_xticklabels()]
    assert columns == ["1", "3", "clean"], "the mean of ratios is no skill"


def test_contact_sheet_shows_the_images_in_reading_order(tmp_path):
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8)
    images = [np.tile(colour, (8, 8, 1)) for colour in colours]
    save(contact_sheet(images, list("abcd"), 2, "paper"), tmp_path / "sheet.png")
    picture = read_png(tmp_path / "sheet.png").astype(int)
    centres = [np.argwhere((picture == colour).all(2)).mean(0) for colour in colours]
    assert centres[0][0] == pytest.approx(centres[1][0], abs=1)
    assert centres[0][1] == pytest.approx(centres[2][1], abs=1)
    assert centres[1][1] > centres[0][1] + 200
    assert centres[2][0] > centres[0][0] + 200


def scatter(clouds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (inches, downwards), diameters (points) and colours of the dots, in drawing order."""
    dots = cloud_sheet(clouds, 1, "embedded").axes[0].collections[0]
    return np.asarray(dots.get_offsets()), np.sqrt(dots.get_sizes()), dots.get_facecolors()[:, :3]


def test_clouds_are_seen_by_the_renderers_camera():
    """Against a look-at camera built step by step, up to the zoom and shift of the cell."""
    cloud = np.random.default_rng(0).uniform(-0.5, 0.5, size=(60, 3))
    cloud[:2] = [[-0.5] * 3, [0.5] * 3]  # the box is the unit cube: nothing is moved or scaled
    drawn, diameters, _ = scatter({"cloud": cloud})
    eye = np.full(3, 2.75)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 0, 1]) / np.linalg.norm(np.cross(forward, [0, 0, 1]))
    up = np.cross(right, forward)
    x, y, z = cloud.T
    seen = np.stack([-z, x, y + 0.25], axis=1) - eye  # z up, the lowest point at -0.25
    seen = seen[np.argsort(-seen @ forward)]  # the farthest is drawn first
    ahead = seen @ forward
    np.testing.assert_allclose(diameters * ahead, diameters[0] * ahead[0], rtol=1e-6)
    slope_x, left = np.polyfit(seen @ right / ahead, drawn[:, 0], 1)
    slope_y, top = np.polyfit(seen @ up / ahead, drawn[:, 1], 1)
    np.testing.assert_allclose(drawn[:, 0], slope_x * (seen @ right / ahead) + left, atol=1e-6)
    np.testing.assert_allclose(drawn[:, 1], slope_y * (seen @ up / ahead) + top, atol=1e-6)
    assert slope_x == pytest.approx(-slope_y, rel=1e-5)  # y points down in a figure's inches from its top
    assert slope_x > 0
    np.testing.assert_allclose(
        diameters[0] / 72 * ahead[0], 2 * 0.025 * slope_x, rtol=1e-5
    )  # spheres of radius 0.025


def test_dots_have_the_colours_of_the_renderers_points():
    """The position in the bounding box, of unit length, in sRGB: grey along the diagonal."""
    cloud = np.array([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0], [-1, 1, 1]])
    _, _, colours = scatter({"cloud": cloud})
    third, half = (1.055 * value ** (1 / 2.4) - 0.055 for value in (3**-0.5, 2**-0.5))
    expected = np.array([[third] * 3] * 3 + [[0.0004 / 2**0.5 * 12.92, half, half]])
    gap = np.abs(colours[:, None] - expected).max(2)
    np.testing.assert_allclose(gap.min(0), 0, atol=1 / 255)
    assert (gap < 1 / 255).sum(1).all()


def test_clouds_fill_their_cell_whatever_their_scale_and_place():
    rng = np.random.default_rng(1)
    cloud = rng.uniform(-1, 1, size=(500, 3))
    (there, size, colour), (here, same_size, same_colour) = (
        scatter({"a": cloud}),
        scatter({"a": 7 * cloud + 30}),
    )
    np.testing.assert_allclose(there, here, atol=1e-6)
    np.testing.assert_allclose(size, same_size)
    np.testing.assert_allclose(colour, same_colour, atol=1e-6)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
    positions, _, _ = scatter({"cube": corners})
    assert (positions > 0.08).all()
    assert (positions < 0.08 + 1.3).all()


def test_bad_input_is_named():
    with pytest.raises(InputError, match="at least one picture"):
        contact_sheet([], [], 3, "embedded")
    with pytest.raises(InputError, match="cloud 'chair': 4 of 4 points hold NaN or inf"):
        cloud_sheet({"chair": np.full((4, 3), np.nan)}, 3, "embedded")
    with pytest.raises(InputError, match=r"cloud 'chair': .* not \(4, 2\)"):
        cloud_sheet({"chair": np.zeros((4, 2))}, 3, "embedded")
    with pytest.raises(InputError, match="cloud 'chair': all 4 points are the same"):
        cloud_sheet({"chair": np.zeros((4, 3))}, 3, "embedded")
    table = make_tables(L1, "embedded")["table3"]
    with pytest.raises(InputError, match=r"loss curves: no columns \['test'\]"):
        plot_loss_curves(pd.DataFrame(columns=["mapper", "seed", "epoch", "train"]), table)
