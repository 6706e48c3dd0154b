"""Table I, from hand-made times."""

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render.scene import RESOLUTION, SAMPLES_PER_PIXEL
from pointspider.study.tables.pages import speed_page
from pointspider.study.tables.schemas import read_table, write_table
from pointspider.study.tables.speed import PAPER_PICTURE, PAPER_POINTS_PER_SECOND, speed_measures
from pointspider.study.tables.verdicts import Decision, speed_verdicts

STUDENT_2 = 4.3026527  # 97.5 % quantile of 2 degrees of freedom


def measured(tables, measure: str, **task: str) -> dict:
    rows = tables.measures[tables.measures["measure"] == measure]
    for name, value in task.items():
        rows = rows[rows[name] == value]
    return {} if rows.empty else rows.iloc[0].to_dict()


def orders(tables) -> dict:
    """The verdicts on the paper's order of the variants, by the faster variant."""
    verdicts = speed_verdicts(tables.table, tables.measures, tables.made["variants"])
    return {verdict.subject: verdict for verdict in verdicts if verdict.comparison == "next_slower"}


def test_the_table_has_a_row_per_task_and_per_variant_that_is_not_available(speed_tables):
    table = speed_tables().table
    assert table["variant"].tolist() == ["cuda_ad_rgb", "llvm_ad_rgb", "llvm_ad_rgb"]
    assert table["status"].tolist() == ["unavailable", "measured", "measured"]
    cuda, reference, ours = table.to_dict("records")
    assert (cuda["clouds"], reference["clouds"], ours["clouds"]) == (0, 3, 3)
    assert (reference["points_per_second"], ours["points_per_second"]) == pytest.approx((250, 10_000))
    assert (reference["ratio"], ours["ratio"]) == pytest.approx((1, 40))
    assert (reference["resolution"], ours["resolution"]) == (800, 224)
    assert np.isnan(cuda["points_per_second"])


def test_every_measure_is_computed_over_the_clouds(speed_tables):
    tables = speed_tables()
    assert measured(tables, "first_points_per_second")["value"] == pytest.approx(200)  # 1000 points in 5 s
    assert measured(tables, "cpu_seconds", quality="clip")["value"] == pytest.approx(0.2)
    assert measured(tables, "psnr_db", method="reference")["value"] == 47
    assert measured(tables, "mean_abs_error", method="reference") == {}
    assert measured(tables, "mean_abs_error", method="ours")["value"] == 0.25
    assert set(tables.measures["n"]) == {3}


def test_the_interval_is_over_the_clouds(speed_tables):
    rate = measured(speed_tables(), "points_per_second", method="reference")
    factor = np.exp(STUDENT_2 * 0.1 / 3**0.5 / 4)  # 3.9, 4.0 and 4.1 s have the standard deviation 0.1 s
    assert (rate["low"], rate["high"]) == pytest.approx((250 / factor, 250 * factor))


@pytest.mark.parametrize("seconds", [[4.5], [4.0, 5.0]])
def test_fewer_than_three_clouds_have_no_interval(seconds, reference_tables):
    tables = reference_tables(llvm_ad_rgb=seconds, scalar_rgb=[2 * value for value in seconds])
    assert tables.table["points_per_second"].tolist() == pytest.approx([1000 / 4.5, 1000 / 9])
    assert tables.table["low"].isna().all()
    assert measured(tables, "times_slower")["value"] == 2
    verdict = orders(tables)["llvm_ad_rgb"]
    assert (verdict.decision, verdict.figures["reason"]) == (Decision.NOT_COMPARABLE, "few_clouds")


def test_the_papers_figures_appear_only_with_its_preset(speed_tables):
    assert speed_tables("paper").table["paper_points_per_second"].tolist() == [56.161, 18.720, 18.720]
    assert speed_tables().table["paper_points_per_second"].isna().all()
    assert orders(speed_tables()) == {}


def test_the_papers_figures_agree_with_its_text():
    """Section III: cuda about 3 times as fast as llvm, which is preferred to scalar."""
    cuda, llvm, scalar = PAPER_POINTS_PER_SECOND.values()
    assert cuda / llvm == pytest.approx(3, abs=0.01)
    assert llvm > scalar
    assert PAPER_PICTURE == (RESOLUTION, SAMPLES_PER_PIXEL)


def test_only_the_papers_picture_is_compared_with_its_figure(speed_tables):
    assert measured(speed_tables("paper", samples=64), "times_paper") == {}
    tables = speed_tables("paper", samples=256)
    assert measured(tables, "times_paper")["value"] == pytest.approx(250 / 18.720)
    assert measured(tables, "times_paper", method="ours") == {}
    assert measured(speed_tables(samples=256), "times_paper") == {}


def test_variants_are_compared_cloud_by_cloud(reference_tables):
    tables = reference_tables(cuda_ad_rgb=[1, 1, 1], llvm_ad_rgb=[3, 4, 5], scalar_rgb=[6, 8, 10])
    factor = np.exp(STUDENT_2 * 0.25 / 3**0.5)  # relative seconds, cuda - llvm: 0.25, 0, -0.25
    ends = [measured(tables, "times_slower", variant=name) for name in ("cuda_ad_rgb", "llvm_ad_rgb")]
    cuda, llvm = ([row[end] for end in ("value", "low", "high")] for row in ends)
    assert cuda == pytest.approx([4, 4 / factor, 4 * factor])
    assert llvm == pytest.approx([2, 2, 2])  # twice as fast on every cloud, however they differ
    assert measured(tables, "times_slower", variant="scalar_rgb") == {}


@pytest.mark.parametrize(
    ("scalar", "decision", "figures", "place"),
    [
        ([6, 8, 10], Decision.HOLDS, "2.00 [2.00, 2.00]", "below"),
        ([3.3, 4.4, 5.5], Decision.HOLDS, "1.10 [1.10, 1.10]", "above"),
        ([3, 5, 7], Decision.UNDECIDED, "1.25 [0.86, 1.81]", "inside"),
        ([1.5, 2, 2.5], Decision.FAILS, "0.50 [0.50, 0.50]", "above"),
    ],
)
def test_the_papers_order_of_two_variants(scalar, decision, figures, place, reference_tables):
    """The standard error of the logarithm, where it is not 0, is that of the differences 0.15, 0, -0.15."""
    tables = reference_tables(llvm_ad_rgb=[3, 4, 5], scalar_rgb=scalar)
    verdict = orders(tables)["llvm_ad_rgb"]
    assert (verdict.decision, verdict.figures["place"]) == (decision, place)
    page = speed_page(tables.table, tables.measures, tables.made)
    assert f"{figures} times at 800², 256 samples (n = 3); the paper's 1.28 is {place} the interval." in page
    assert (
        "- That `cuda_ad_rgb` is faster than `llvm_ad_rgb`, 3.00 times in the paper, cannot be tested here: "
        "`cuda_ad_rgb` was not measured." in page
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"scalar_rgb": {"samples_per_pixel": 32}}, "unequal_pictures"),
        ({"scalar_rgb": {"resolution": 256}}, "unequal_pictures"),
        ({name: {"resolution": 128} for name in ("scalar_rgb", "llvm_ad_rgb")}, "other_pictures"),
    ],
)
def test_variants_that_are_not_comparable_have_a_reason(facts, reason, reference_tables):
    tables = reference_tables(facts=facts, llvm_ad_rgb=[3, 4, 5], scalar_rgb=[6, 8, 10])
    verdict = orders(tables)["llvm_ad_rgb"]
    assert (verdict.decision, verdict.figures["reason"]) == (Decision.NOT_COMPARABLE, reason)
    assert "cannot be tested" in speed_page(tables.table, tables.measures, tables.made)


def test_the_page_has_the_reason_of_a_variant_that_is_not_available(speed_tables):
    tables = speed_tables("paper")
    page = speed_page(tables.table, tables.measures, tables.made)
    assert "- `cuda_ad_rgb`: not available: no NVIDIA driver." in page
    assert (
        "- `llvm_ad_rgb` (a CPU, LLVM 19.1.7): relative to the reference's points per second, 800², 64 "
        "samples (`speed.reference`), ours renders 40 times as many at quality `clip`, 224², 64 samples."
        in page
    )
    assert "whose GPU was an NVIDIA GeForce GTX 1050" in page
    assert "nan" not in page
    assert "<NA>" not in page


def test_the_records_survive_the_csv(speed_tables, tmp_path):
    tables = speed_tables()
    write_table(tmp_path / "speed.csv", tables.records)
    assert speed_measures(read_table(tmp_path / "speed.csv"), "embedded").equals(tables.measures)


def test_missing_columns_are_named(speed_tables):
    with pytest.raises(InputError, match="table speed: has the columns"):
        speed_measures(speed_tables().records.drop(columns="psnr_db"), "embedded")
