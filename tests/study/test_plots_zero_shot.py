"""Table II's figures: what they show, and nothing clipped."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_tables_zero_shot import BEST, SECOND, make_hits, make_tables

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
from pointspider.study.evaluate.zero_shot import corruption_records
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.style import save
from pointspider.study.plots.zero_shot import plot_zero_shot

RIGHT = {BEST: [12, 8, 4, 150], SECOND: [9, 8, 7, 100], "tiny": [1, 1, 1, 3]}


def draw_accuracies(preset: str = "paper", right: dict[str, list[int]] = RIGHT) -> Figure:
    tables = make_tables(right, preset)
    return plot_zero_shot(tables["table2"], tables["records"])


def draw_corruptions(models: int = 3) -> Figure:
    names = [BEST, SECOND, "tiny", "another-model-with-a-name-that-is-long", "fifth"][:models]
    hits = make_hits({name: [12, 150 - 9 * i] for i, name in enumerate(names)})
    return plot_corruptions(corruption_records(hits), "top1", "paper")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize(
    "figure",
    [
        draw_accuracies(),
        draw_accuracies("embedded", {"tiny": [4, 20]}),
        draw_corruptions(1),
        draw_corruptions(5),
    ],
    ids=["accuracies", "one model, one draw", "one heat map", "two rows of heat maps"],
)
def test_nothing_is_clipped_and_the_preset_is_named(figure, tmp_path):
    save(figure, tmp_path / "plot.png")
    image = read_png(tmp_path / "plot.png")
    width, height = figure.get_size_inches()
    np.testing.assert_allclose(image.shape, (160 * height, 160 * width, 3), atol=1)
    left, bottom, right, top = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer()).extents
    assert -0.01 <= left < right <= width + 0.01
    assert -0.01 <= bottom < top <= height + 0.01
    assert any("preset: " in text for text in texts(figure))


def test_equal_figures_have_equal_bytes(tmp_path):
    for name in ("first", "second"):
        save(draw_corruptions(), tmp_path / f"{name}.png")
        save(draw_corruptions(), tmp_path / f"{name}.svg")
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()


def test_accuracies_span_the_whole_axis_and_show_every_set():
    figure = draw_accuracies("embedded")
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
    assert "the paper, n = 40" in texts(draw_accuracies("paper"))


def test_published_models_are_not_named_twice():
    said = texts(draw_accuracies())
    assert BEST in said
    assert "tiny\ntrained by this workflow" in said


def test_a_heat_map_shows_the_shares_and_their_mean_over_severities():
    hits = make_hits({"tiny": [1, 0]})
    hits["top1"] = (hits["corruption"] == "original") | (
        (hits["corruption"] == "shear") & (hits["severity"] == 1)
    )
    figure = plot_corruptions(corruption_records(hits), "top1", "embedded")
    [axes] = [axes for axes in figure.axes if axes.images]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    nan = np.nan  # columns: severities 1 and 3, and all; rows: original, shear, uniform
    np.testing.assert_array_equal(shown, [[nan, nan, 1], [1, 0, 0.5], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "all"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "shear", "uniform"]
    cells = {(int(t.get_position()[0]), int(t.get_position()[1])): t.get_text() for t in axes.texts}
    assert cells[1, 1] == "0"
    assert cells[2, 1] == "50"
    assert any("of 40 test clouds at each severity" in text for text in texts(figure))


def test_heat_maps_share_one_scale_of_tenths_around_all_values():
    limits = {axes.images[0].get_clim() for axes in draw_corruptions().axes if axes.images}
    [(low, high)] = limits
    assert (10 * low) % 1 == pytest.approx(0)
    assert high == 1.0


def test_missing_columns_are_named():
    with pytest.raises(InputError, match=r"corruption records: no columns \['value'\]"):
        plot_corruptions(
            pd.DataFrame(columns=["model", "measure", "corruption", "severity", "n"]), "top1", "paper"
        )
