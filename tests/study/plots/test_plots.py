"""The figures: content, sizes, equal bytes, and labels that are inside."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
from pointspider.study.evaluate.zero_shot import corruption_records
from pointspider.study.plots.alignment import plot_alignment, plot_loss_curves, plot_retrieval
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.encoders import plot_encoders
from pointspider.study.plots.search import plot_duplicates, plot_search, plot_seconds
from pointspider.study.plots.sheets import cloud_sheet, contact_sheet, project
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.plots.zero_shot import plot_zero_shot
from pointspider.study.tables.pages import alignment_of
from pointspider.study.tables.search import PATH

L1 = {"BASE": [np.nan, np.nan], "LNORM": [0.25, 0.4], "RNORM": [0.6, np.nan]}
BEST, SECOND = "CLIP-ViT-H-14-laion2B-s32B-b79K", "CLIP-ViT-L-14-DataComp.XL-s13B-b90K"
RIGHT = {BEST: [12, 8, 4, 150], SECOND: [9, 8, 7, 100], "tiny": [1, 1, 1, 3]}


class Draw:
    """Draws every figure from the tables of the fixtures."""

    def __init__(self, speed_tables, zero_shot_tables, alignment_tables, search_tables):
        self.speed_tables, self.zero_shot_tables = speed_tables, zero_shot_tables
        self.alignment_tables, self.search_tables = alignment_tables, search_tables

    def speed(self, preset: str = "embedded", available: bool = True) -> Figure:
        device = "Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz, LLVM 19.1.7"
        tables = self.speed_tables(preset, llvm_ad_rgb={"device": device})
        if available:
            return plot_speed(tables.table, tables.measures, tables.made)
        reason = "aborted by signal 6: LLVM ERROR: Cannot select: " + "0x55d0c8e7f3b0: v8f32 = fminimum " * 20
        made = {**tables.made, "variants": {"cuda_ad_rgb": {"reason": reason}}}
        return plot_speed(tables.table.iloc[:1], tables.measures.iloc[:0], made)

    def accuracies(self, preset: str = "paper", right: dict[str, list[int]] = RIGHT) -> Figure:
        tables = self.zero_shot_tables(right, preset)
        return plot_zero_shot(tables.measures, tables.made)

    def corruptions(self, models: int = 3) -> Figure:
        names = [BEST, SECOND, "tiny", "another-model-with-a-name-that-is-long", "fifth"][:models]
        tables = self.zero_shot_tables({name: [12, 150 - 9 * i] for i, name in enumerate(names)})
        return plot_corruptions(tables.corruptions, "top1", "paper")

    def alignment(self, preset: str, l1: dict[str, list[float]]) -> Figure:
        tables = self.alignment_tables(l1, preset)
        return plot_alignment(alignment_of(tables), tables["records"], preset)

    def retrieval(self, l1: dict[str, list[float]] = L1) -> Figure:
        return plot_retrieval(alignment_of(self.alignment_tables(l1)), "embedded")

    def skills(self, l1: dict[str, list[float]]) -> Figure:
        rows = self.alignment_tables(l1)["alignment_corruptions"]
        rows = rows[(rows["split"] == "objects") & rows["predictor"].isin(["ridge", *l1])]
        return plot_corruptions(rows, "skill", "embedded")

    def encoders(self, skill: float = 0.1) -> Figure:
        columns = [
            "encoder",
            "predictor",
            "skill",
            "skill_low",
            "skill_high",
            "image_r10",
            "top1",
            "classifier_top1",
        ]
        rows = [
            ("pointnet", "ridge", 0.5, np.nan, np.nan, 0.9, 0.6, 0.8),
            ("pointnet", "LNORM", skill, skill - 0.1, skill + 0.1, 0.5, 0.3, 0.8),
            ("openshape_vitb32", "ridge", 0.4, np.nan, np.nan, 0.8, 0.5, np.nan),
            ("openshape_vitb32", "LNORM", np.nan, np.nan, np.nan, np.nan, np.nan, np.nan),
        ]
        return plot_encoders(pd.DataFrame(rows, columns=columns), "embedded")

    def curves(self, l1: dict[str, list[float]] = L1) -> Figure:
        runs = [
            pd.DataFrame(
                {"predictor": name, "seed": seed, "epoch": np.arange(1, 101), "train_l1": 3.0, "test_l1": 0.3}
            )
            for name, values in l1.items()
            for seed in range(len(values))
        ]
        return plot_loss_curves(pd.concat(runs), alignment_of(self.alignment_tables(l1)), "embedded")

    def search(self) -> Figure:
        return plot_search(self.search_tables["search"], "embedded")

    def duplicates(self) -> Figure:
        return plot_duplicates(self.search_tables["duplicates"], "embedded")

    def seconds(self) -> Figure:
        rows = [
            ("renders", "render", 0.08),
            ("renders", "image_embedding", 0.008),
            ("points", "point_embedding", 0.009),
            ("mapped", "point_embedding", 0.009),
            ("mapped", "prediction", 0.001),
        ]
        table = pd.DataFrame(rows, columns=["path", "step", "seconds"])
        return plot_seconds(table.assign(severity=np.nan), "embedded")


@pytest.fixture
def draw(speed_tables, zero_shot_tables, alignment_tables, search_tables) -> Draw:
    return Draw(speed_tables, zero_shot_tables, alignment_tables, search_tables)


FIGURES = {
    "speed": lambda draw: draw.speed("embedded"),
    "speed of the paper": lambda draw: draw.speed("paper"),
    "no variant works": lambda draw: draw.speed(available=False),
    "accuracies": lambda draw: draw.accuracies(),
    "one model, one draw": lambda draw: draw.accuracies("embedded", {"tiny": [4, 20]}),
    "one heat map": lambda draw: draw.corruptions(1),
    "two rows of heat maps": lambda draw: draw.corruptions(5),
    "alignment": lambda draw: draw.alignment(
        "paper", {"BASE": [0.6, 0.62], "LNORM": [0.3, 0.31], "RNORM": [0.55]}
    ),
    "diverged": lambda draw: draw.alignment("embedded", L1),
    "off the axis": lambda draw: draw.alignment(
        "embedded", {"BASE": [0.6, 3e5], "LNORM": [0.3], "RNORM": [1e9]}
    ),
    "retrieval": lambda draw: draw.retrieval(),
    "skill on each corruption": lambda draw: draw.skills(
        {"BASE": [0.3, 0.31], "LNORM": [0.45], "RNORM": [4.0]}
    ),
    "loss curves": lambda draw: draw.curves(),
    "search": lambda draw: draw.search(),
    "duplicates": lambda draw: draw.duplicates(),
    "seconds of search": lambda draw: draw.seconds(),
    "encoders": lambda draw: draw.encoders(),
    "an encoder off the axis": lambda draw: draw.encoders(-9.0),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_a_saved_figure_has_its_size_its_content_and_nothing_clipped(name, draw, tmp_path):
    figure = FIGURES[name](draw)
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


@pytest.mark.parametrize("name", ["alignment", "one heat map"])
def test_equal_figures_have_equal_bytes(name, draw, tmp_path):
    for directory in ("first", "second"):
        for suffix in (".png", ".svg"):
            save(FIGURES[name](draw), tmp_path / directory / f"plot{suffix}")
    for suffix in (".png", ".svg"):
        first, second = (tmp_path / directory / f"plot{suffix}" for directory in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert b"<dc:date>" not in first.read_bytes()
        assert b"matplotlib version" not in first.read_bytes()


def test_the_machines_matplotlibrc_changes_nothing(draw, tmp_path):
    save(draw.speed(), tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30}):
        save(draw.speed(), tmp_path / "changed.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "changed.png").read_bytes()


def test_speed_names_device_ratio_and_the_variants_that_do_not_work(draw):
    said = " | ".join(texts(draw.speed())).replace("\n", " ")
    assert "40 × reference, each at its size" in said
    assert "each at its own picture size (the reference's is speed.reference; in the paper 800²" in said
    assert "LLVM 19" in said
    assert "not available: no NVIDIA driver" in said
    assert "reference, 800² pixels of 64 samples" in said
    assert "not comparable with the paper's figures" in said
    assert "the paper, on its own machine" not in said
    assert "the paper, on its own machine" in texts(draw.speed("paper"))


def test_speed_is_on_a_log_axis(draw):
    assert draw.speed().axes[0].get_xscale() == "log"


def test_speed_has_its_interval_as_a_bar(speed_tables, reference_tables):
    tables = speed_tables()
    figure = plot_speed(tables.table, tables.measures, tables.made)
    bars = [bar.get_segments()[0][:, 0] for bar in figure.axes[0].collections]
    np.testing.assert_allclose(bars, tables.table[["low", "high"]].dropna())
    assert "bar: 95 % interval over the clouds" in texts(figure)
    two = reference_tables("embedded", llvm_ad_rgb=[4, 5])
    assert not any("interval" in text for text in texts(plot_speed(two.table, two.measures, two.made)))


def test_failed_mappers_are_named(draw):
    diverged = texts(draw.alignment("embedded", L1))
    assert "BASE\n2 of 2 diverged" in diverged
    assert "LNORM" in diverged
    assert "RNORM\n1 of 2 diverged" in diverged
    axes = draw.alignment("embedded", {"BASE": [0.6, 3e5], "LNORM": [0.3], "RNORM": [0.5]}).axes[0]
    assert axes.get_xlim()[1] < 2  # the one at 300,000 does not flatten the others
    assert any("3e+05" in text.get_text() for text in axes.texts)


def test_l1div_is_the_reciprocal_axis(draw):
    figure = draw.alignment("embedded", {"BASE": [0.6], "LNORM": [0.3], "RNORM": [0.5]})
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    reciprocal = axes.child_axes[0]
    np.testing.assert_allclose(1 / np.array(axes.get_xlim()), reciprocal.get_xlim()[::-1])
    boxes = [label.get_window_extent() for label in reciprocal.get_xticklabels()]
    boxes = sorted((box for box in boxes if box.width), key=lambda box: box.x0)
    assert len(boxes) >= 3
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_loss_curves_have_a_line_per_seed_and_split(draw):
    panels = draw.curves().axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "BASE (2 diverged)",
        "LNORM",
        "RNORM (1 diverged)",
    ]
    assert [len(axes.get_lines()) for axes in panels] == [5, 5, 5]  # two seeds, two splits, the median


def test_retrieval_shows_every_predictor_and_chance(draw):
    figure = draw.retrieval()
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


def test_encoders_have_a_row_each_and_a_failed_mapper_does_not_flatten_the_others(draw):
    for skill, beyond in ((0.1, []), (-9.0, ["← -9"])):
        axes = draw.encoders(skill).axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["pointnet", "openshape_vitb32"]
        assert [text.get_text() for text in axes.texts] == beyond
        assert axes.get_xlim()[0] > -0.5
    labels = [text.get_text() for text in draw.encoders().legends[0].get_texts()]
    assert sorted(labels) == ["LNORM", "classifier of the encoder", "ridge"]


def test_skill_has_white_at_the_median_and_equal_reach_to_both_sides(draw):
    figure = draw.skills({"BASE": [0.3], "LNORM": [0.45], "RNORM": [4.0]})
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in panels] == ["ridge", "BASE", "LNORM", "RNORM"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-1.0, 1.0)}
    np.testing.assert_allclose(panels[0].images[0].cmap(0.5)[:3], 1, atol=0.05)
    assert {text.get_text() for text in panels[3].texts} == {"≪"}  # 1 - 4.0 / 0.5 is far below -1
    assert any("≪ below -100 %" in text for text in texts(figure))
    columns = [label.get_text() for label in panels[0].get_xticklabels()]
    assert columns == ["1", "3", "none"], "the mean of ratios is no skill"


def test_contact_sheet_shows_the_images_in_reading_order():
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8)
    images = [np.tile(colour, (8, 8, 1)) for colour in colours]
    picture = contact_sheet(images, list("abcd"), 2, "paper").astype(int)
    centres = [np.argwhere((picture == colour).all(2)).mean(0) for colour in colours]
    assert centres[0][0] == pytest.approx(centres[1][0], abs=1)
    assert centres[0][1] == pytest.approx(centres[2][1], abs=1)
    assert centres[1][1] > centres[0][1] + 200
    assert centres[2][0] > centres[0][0] + 200


def test_cloud_sheets_have_captions_and_the_preset():
    rng = np.random.default_rng(0)
    clouds = {"original": rng.normal(size=(1024, 3)), "cutout_5": rng.normal(size=(724, 3))}
    sheet = cloud_sheet(clouds, 3, "embedded")
    np.testing.assert_array_equal(sheet, cloud_sheet(clouds, 3, "embedded"))
    height, width = sheet.shape[:2]
    assert width == 2 * 208 + 12
    assert height > 208 + 20
    assert sheet[:208].std() > 20
    assert (sheet[208:] < 100).any()  # captions and the footnote
    one = {"original": clouds["original"]}
    assert (cloud_sheet(one, 3, "embedded")[:208] == sheet[:208, :208]).all()


def test_clouds_are_seen_by_the_renderers_camera():
    """Against a look-at camera built step by step, up to the zoom and shift of the cell."""
    cloud = np.random.default_rng(0).uniform(-0.5, 0.5, size=(60, 3))
    cloud[:2] = [[-0.5] * 3, [0.5] * 3]  # the box is the unit cube: nothing is moved or scaled
    drawn, radii, _ = project(cloud)
    eye = np.full(3, 2.75)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 0, 1]) / np.linalg.norm(np.cross(forward, [0, 0, 1]))
    up = np.cross(right, forward)
    x, y, z = cloud.T
    seen = np.stack([-z, x, y + 0.25], axis=1) - eye  # z up, the lowest point at -0.25
    seen = seen[np.argsort(-seen @ forward)]  # the farthest is drawn first
    ahead = seen @ forward
    np.testing.assert_allclose(radii * ahead, radii[0] * ahead[0], rtol=1e-6)
    slope_x, left = np.polyfit(seen @ right / ahead, drawn[:, 0], 1)
    slope_y, top = np.polyfit(seen @ up / ahead, drawn[:, 1], 1)
    np.testing.assert_allclose(drawn[:, 0], slope_x * (seen @ right / ahead) + left, atol=1e-6)
    np.testing.assert_allclose(drawn[:, 1], slope_y * (seen @ up / ahead) + top, atol=1e-6)
    assert slope_x == pytest.approx(slope_y, rel=1e-5)
    assert slope_x > 0
    np.testing.assert_allclose(radii[0] * ahead[0], 0.025 * slope_x, rtol=1e-5)  # spheres of radius 0.025


def test_dots_have_the_colours_of_the_renderers_points():
    """The position in the bounding box, of unit length, in sRGB: grey along the diagonal."""
    cloud = np.array([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0], [-1, 1, 1]])
    _, _, colours = project(cloud)
    third, half = (1.055 * value ** (1 / 2.4) - 0.055 for value in (3**-0.5, 2**-0.5))
    expected = np.array([[third] * 3] * 3 + [[0.0004 / 2**0.5 * 12.92, half, half]])
    gap = np.abs(colours[:, None] - expected).max(2)
    np.testing.assert_allclose(gap.min(0), 0, atol=1 / 255)
    assert (gap < 1 / 255).sum(1).all()


def test_clouds_fill_their_cell_whatever_their_scale_and_place():
    rng = np.random.default_rng(1)
    cloud = rng.uniform(-1, 1, size=(500, 3))
    (there, size, colour), (here, same_size, same_colour) = project(cloud), project(7 * cloud + 30)
    np.testing.assert_allclose(there, here, atol=1e-6)
    np.testing.assert_allclose(size, same_size)
    np.testing.assert_allclose(colour, same_colour, atol=1e-6)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
    positions, _, _ = project(corners)
    assert np.abs(positions).max() < 1


def test_bad_input_is_named(alignment_tables):
    with pytest.raises(InputError, match="at least one picture"):
        contact_sheet([], [], 3, "embedded")
    with pytest.raises(InputError, match="cloud 'chair': 4 of 4 points hold NaN or inf"):
        cloud_sheet({"chair": np.full((4, 3), np.nan)}, 3, "embedded")
    with pytest.raises(InputError, match=r"cloud 'chair': .* not \(4, 2\)"):
        cloud_sheet({"chair": np.zeros((4, 2))}, 3, "embedded")
    with pytest.raises(InputError, match="cloud 'chair': all 4 points are the same"):
        cloud_sheet({"chair": np.zeros((4, 3))}, 3, "embedded")
    with pytest.raises(InputError, match=r"loss curves: no columns \['test_l1'\]"):
        plot_loss_curves(
            pd.DataFrame(columns=["predictor", "seed", "epoch", "train_l1"]),
            alignment_of(alignment_tables(L1)),
            "x",
        )
    columns = ["model", "measure", "corruption", "severity", "n"]
    with pytest.raises(InputError, match=r"corruption records: no columns \['value'\]"):
        plot_corruptions(pd.DataFrame(columns=columns), "top1", "paper")


def test_accuracies_span_the_axis_and_show_every_set(draw):
    figure = draw.accuracies("embedded")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert low <= 0
        assert high >= 1
    said = texts(figure)
    assert "first draw, n = 40, 95 % interval" in said
    assert "each of 3 draws of 40, their mean" in said
    assert "all test clouds, n = 200, 95 % interval" in said
    assert "clean test clouds, n = 40, 95 % interval" in said
    assert "the paper, n = 40" not in said
    assert "the paper, n = 40" in texts(draw.accuracies("paper"))


def test_published_models_are_not_named_twice(draw):
    said = texts(draw.accuracies())
    assert BEST in said
    assert "tiny\ntrained here" in said


def test_a_heat_map_shows_the_shares_and_their_mean_over_severities(zero_shot_tables):
    hits = zero_shot_tables({"tiny": [1, 0]}).hits
    hits["top1"] = (hits["corruption"] == "original") | (
        (hits["corruption"] == "shear") & (hits["severity"] == 1)
    )
    figure = plot_corruptions(corruption_records(hits), "top1", "embedded")
    [axes] = [axes for axes in figure.axes if axes.images]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    nan = np.nan  # columns: severities 1 and 3, and all; rows: clean, shear, uniform
    np.testing.assert_array_equal(shown, [[nan, nan, 1], [1, 0, 0.5], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "all"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["clean", "shear", "uniform"]
    shares = {(int(t.get_position()[0]), int(t.get_position()[1])): t.get_text() for t in axes.texts}
    assert shares[1, 1] == "0"
    assert shares[2, 1] == "50"
    assert any("of 40 test clouds at each level" in text for text in texts(figure))


def test_heat_maps_share_one_scale_of_tenths(draw):
    limits = {axes.images[0].get_clim() for axes in draw.corruptions().axes if axes.images}
    [(low, high)] = limits
    assert (10 * low) % 1 == pytest.approx(0)
    assert high == 1.0


def test_search_has_a_line_per_path_with_the_values_of_the_table(draw):
    measures = draw.search_tables["search"]
    panels = draw.search().axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "clouds of the same class",
        "the clean cloud of the same object",
    ]
    for axes, search in zip(panels, ("class", "object"), strict=True):
        assert len(axes.containers) == len(measures[PATH].drop_duplicates())
        for bars in axes.containers:
            path, model = bars.get_label().split(", ")
            own = measures[(measures["path"] == path) & (measures["model"] == model)]
            own = own[(own["measure"] == f"{search}_map") & (own["corruption"] == "all")].dropna(
                subset=["severity"]
            )
            expected = own.sort_values("severity")["value"]
            np.testing.assert_array_equal(bars.lines[0].get_ydata(), expected)


def test_duplicates_have_a_curve_per_path_and_a_panel_per_severity(draw):
    curves = draw.search_tables["duplicates"]
    panels = draw.duplicates().axes
    assert [axes.get_title(loc="left") for axes in panels] == ["all severities", "severity 1", "severity 5"]
    for axes, severity in zip(panels, (0, 1, 5), strict=True):
        for line in axes.get_lines():
            path, model = line.get_label().split(", ")
            own = curves[(curves["path"] == path) & (curves["model"] == model)]
            expected = own.loc[own["severity"] == severity, ["recall", "precision"]]
            np.testing.assert_array_equal(line.get_xydata(), expected)


def test_seconds_are_stacked_by_step(draw):
    axes = draw.seconds().axes[0]
    ends = {text.get_text() for text in axes.texts}
    assert {"88 ms", "9 ms", "10 ms"} <= ends
    widths = sorted(bar.get_width() for bar in axes.patches if bar.get_width())
    np.testing.assert_allclose(widths, [1, 8, 9, 9, 80])
