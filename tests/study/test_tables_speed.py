"""Table I, from hand-made records."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv
from pointspider.render.scene import RESOLUTION, SAMPLES_PER_PIXEL
from pointspider.study.tables.speed import (
    PAPER_PICTURE,
    PAPER_POINTS_PER_SECOND,
    TIMES_SLOWER,
    cells,
    read,
    speed_table,
)


def speed_records() -> pd.DataFrame:
    """Measurements of 1000 points a picture: ours 40 times as fast as the reference with llvm. No cuda."""
    common = {"variant": "llvm_ad_rgb", "device": "a CPU, LLVM 19.1.7", "samples_per_pixel": 64, "reason": ""}
    common |= {"clouds": 2, "points": 1000, "pictures": 2}
    reference = {"method": "reference", "quality": "", "resolution": 800, "points_per_second": 250.0}
    reference |= {"cloud_seconds": "3.9 4.1"}
    reference |= {"first_image_seconds": 5.0, "cpu_seconds_per_cloud": 8.0}
    ours = {
        "method": "ours",
        "quality": "clip",
        "resolution": 224,
        "points_per_second": 10_000.0,
        "first_image_seconds": 0.5,
    }
    ours |= {
        "pictures": 10,
        "cloud_seconds": "0.1 0.1",
        "cpu_seconds_per_cloud": 0.2,
        "psnr_db": 45.5,
        "worst_psnr_db": 44.0,
        "psnr_to_reference_db": 44.5,
        "mean_abs_error": 0.25,
    }
    absent = {"variant": "cuda_ad_rgb", "device": "", "reason": "no NVIDIA driver", "clouds": 0, "points": 0}
    absent |= {"samples_per_pixel": 64, "pictures": 0}
    return pd.DataFrame(
        [
            common | reference,
            common | ours,
            absent | {"method": "reference", "quality": "", "resolution": 800},
            absent | {"method": "ours", "quality": "clip", "resolution": 224},
        ]
    )


def references(**seconds: str) -> pd.DataFrame:
    """The reference procedure's measurements of 1000 points a picture, by variant, as the paper renders."""
    rows = []
    for variant, each in seconds.items():
        clouds = np.array(each.split(), dtype=float)
        row = {"variant": variant, "method": "reference", "quality": "", "device": "a machine", "reason": ""}
        row |= {"resolution": 800, "samples_per_pixel": 256, "clouds": len(clouds), "points": 1000}
        row |= {"pictures": len(clouds), "cloud_seconds": each, "points_per_second": 1000 / clouds.mean()}
        row |= {"first_image_seconds": 5.0, "cpu_seconds_per_cloud": 8.0, "psnr_db": 47.0}
        row |= {"worst_psnr_db": 46.0, "psnr_to_reference_db": None, "mean_abs_error": None}
        rows.append(row)
    return pd.DataFrame(rows)


def paper_table(**seconds: str) -> pd.DataFrame:
    return speed_table(references(**seconds), "paper", "modelnet40c", seed=6)


def claims(table: pd.DataFrame) -> list[str]:
    return [sentence for sentence in read(table) if sentence.startswith("That ")]


@pytest.fixture
def speed() -> pd.DataFrame:
    return speed_records()


def test_speed_stands_beside_its_ratio_to_the_reference(speed):
    table = speed_table(speed, "embedded", "procedural", seed=6)
    assert len(table) == 4
    assert (table[["preset", "data", "seed"]] == ["embedded", "procedural", 6]).all(axis=None)
    reference, ours = table.iloc[0], table.iloc[1]
    assert reference["n"] == ours["n"] == 2
    assert (reference["pictures"], ours["pictures"]) == (2, 10)
    assert (reference["points_per_second"], ours["points_per_second"]) == (250, 10_000)
    assert reference["first_points_per_second"] == pytest.approx(200)  # 1000 points in 5 s
    assert ours["first_points_per_second"] == pytest.approx(2_000)
    assert (reference["ratio"], ours["ratio"]) == pytest.approx((1, 40))
    assert ours["cpu_seconds_per_cloud"] == 0.2
    assert (ours["psnr_db"], ours["mean_abs_error"]) == (45.5, 0.25)
    assert (reference["resolution"], ours["resolution"]) == (800, 224)
    assert ours["device"] == "a CPU, LLVM 19.1.7"
    assert ours["status"] == "measured"


def test_a_variant_that_does_not_work_says_why_and_has_no_figures(speed):
    rows = speed_table(speed, "embedded", "procedural", seed=6).iloc[2:]
    assert (rows["variant"] == "cuda_ad_rgb").all()
    assert (rows["status"] == "not available: no NVIDIA driver").all()
    assert (rows["n"] == 0).all()
    figures = ["points_per_second", "first_points_per_second", "ratio", "cpu_seconds_per_cloud", "psnr_db"]
    assert rows[figures].isna().all(axis=None)


def test_speed_records_may_come_from_a_csv_or_from_measurements(speed, tmp_path):
    write_csv(tmp_path / "speed.csv", speed)
    table = speed_table(speed, "embedded", "procedural", seed=6)
    read = speed_table(read_csv(tmp_path / "speed.csv"), "embedded", "procedural", seed=6)
    assert_frame_equal(read, table)
    measured = speed.astype(object).where(speed.notna(), None)  # a Measurement holds None, not NaN
    assert_frame_equal(speed_table(measured, "embedded", "procedural", seed=6), table, check_dtype=False)


def test_the_papers_speed_stands_beside_every_variant_it_gives(speed):
    table = speed_table(speed, "paper", "modelnet40c", seed=6)
    assert table["paper_points_per_second"].tolist() == [18.720, 18.720, 56.161, 56.161]


def test_the_papers_figures_agree_with_its_text():
    """Section III: cuda about 3 times as fast as llvm, which is preferred to scalar."""
    cuda, llvm, scalar = PAPER_POINTS_PER_SECOND.values()
    assert cuda / llvm == pytest.approx(3, abs=0.01)
    assert llvm > scalar
    assert PAPER_PICTURE == (RESOLUTION, SAMPLES_PER_PIXEL)


def test_missing_columns_are_named(speed):
    with pytest.raises(InputError, match=r"speed records: no columns \['psnr_db'\]"):
        speed_table(speed.drop(columns="psnr_db"), "embedded", "x", seed=6)


STUDENT_1, STUDENT_2 = 12.7062047, 4.3026527  # 97.5 % quantiles of 1 and 2 degrees of freedom


def test_the_interval_is_over_the_clouds(speed):
    table = speed_table(speed, "embedded", "procedural", seed=6)
    factor = np.exp(STUDENT_1 * 0.1 / 4)  # 3.9 and 4.1 s: the mean's standard error is 0.1 s of 4
    reference, ours = table.iloc[0], table.iloc[1]
    assert reference["points_per_second_low"] == pytest.approx(250 / factor)
    assert reference["points_per_second_high"] == pytest.approx(250 * factor)
    assert (ours["points_per_second_low"], ours["points_per_second_high"]) == (10_000, 10_000)
    assert table[["points_per_second_low", "points_per_second_high"]].iloc[2:].isna().all(axis=None)
    assert cells(reference)["95 % interval"] == "[182.0, 343.5]"
    assert cells(table.iloc[2])["95 % interval"] == ""


def test_one_cloud_has_no_interval(tmp_path):
    records = references(llvm_ad_rgb="4.5", scalar_rgb="9")
    write_csv(tmp_path / "speed.csv", records)  # the seconds come back as numbers
    for table in (
        speed_table(records, "paper", "x", seed=6),
        speed_table(read_csv(tmp_path / "speed.csv"), "paper", "x", seed=6),
    ):
        assert table["points_per_second"].tolist() == pytest.approx([1000 / 4.5, 1000 / 9])
        assert table[["points_per_second_low", "times_slower_low"]].isna().all(axis=None)
        assert table["times_slower"].tolist()[0] == 2
        assert claims(table)[1] == (
            "That `llvm_ad_rgb` is faster than `scalar_rgb`, 1.28 times in the paper, cannot be judged by "
            "one cloud: 2.00 times at 800², 256 samples (n = 1)."
        )


def test_the_reference_stands_beside_the_papers_figure():
    table = paper_table(llvm_ad_rgb="50 50", scalar_rgb="100 100")
    assert table["times_paper"].tolist() == pytest.approx([20 / 18.720, 10 / 14.625])
    assert cells(table.iloc[0])["× paper"] == "1.07"
    assert (
        "`scalar_rgb`: the paper has 14.625 points per second, the reference here 10.0 [10.0, 10.0], "
        "0.68 times as many."
    ) in list(read(table))
    assert any("whose GPU was an NVIDIA GeForce GTX 1050" in sentence for sentence in read(table))


def test_other_pictures_than_the_papers_are_not_compared_with_its_figure(speed):
    assert speed_table(speed, "paper", "x", seed=6)["times_paper"].isna().all()  # 64 samples
    table = speed_table(speed.assign(samples_per_pixel=256), "paper", "x", seed=6)
    assert table["times_paper"].iloc[0] == pytest.approx(250 / 18.720)
    assert table["times_paper"].iloc[1:].isna().all()  # ours; cuda, which is not available
    other = speed_table(speed.assign(samples_per_pixel=256), "embedded", "x", seed=6)
    assert other["times_paper"].isna().all()
    assert not claims(other)


def test_variants_are_compared_cloud_by_cloud():
    table = paper_table(cuda_ad_rgb="1 1 1", llvm_ad_rgb="3 4 5", scalar_rgb="6 8 10")
    cuda, llvm, scalar = (table[[*TIMES_SLOWER]].iloc[row].tolist() for row in range(3))
    factor = np.exp(STUDENT_2 * 0.25 / 3**0.5)  # relative seconds, cuda - llvm: 0.25, 0, -0.25
    assert cuda == pytest.approx([4, 4 / factor, 4 * factor])
    assert llvm == pytest.approx([2, 2, 2])  # twice as fast on every cloud, however they differ
    assert np.isnan(scalar).all()


@pytest.mark.parametrize(
    ("scalar", "verdict", "figures", "place"),
    [
        ("6 8 10", "holds here", "2.00 [2.00, 2.00]", "below"),
        ("3.3 4.4 5.5", "holds here", "1.10 [1.10, 1.10]", "above"),
        ("3 5 7", "is not shown here", "1.25 [0.86, 1.81]", "inside"),
        ("1.5 2 2.5", "does not hold here", "0.50 [0.50, 0.50]", "above"),
    ],
)
def test_whether_the_papers_order_is_seen_here(scalar, verdict, figures, place):
    """Their logarithm's standard error, where not 0: that of the relative seconds 0.15, 0, -0.15."""
    assert claims(paper_table(llvm_ad_rgb="3 4 5", scalar_rgb=scalar)) == [
        "That `cuda_ad_rgb` is faster than `llvm_ad_rgb`, 3.00 times in the paper, cannot be judged here: "
        "`cuda_ad_rgb` is not measured.",
        f"That `llvm_ad_rgb` is faster than `scalar_rgb`, 1.28 times in the paper, {verdict}: {figures} "
        f"times at 800², 256 samples (n = 3); the paper's 1.28 is {place} the interval.",
    ]


def test_what_cannot_be_compared_is_said(speed):
    missing = claims(speed_table(speed, "paper", "x", seed=6))
    assert missing[0].endswith("cannot be judged here: `cuda_ad_rgb` is not available: no NVIDIA driver.")
    assert missing[1].endswith("cannot be judged here: `scalar_rgb` is not measured.")
    records = references(llvm_ad_rgb="3 4 5", scalar_rgb="6 8 10")
    small = claims(speed_table(records.assign(resolution=128, samples_per_pixel=16), "paper", "x", seed=6))
    assert small[1].endswith(
        "cannot be judged by other pictures than the paper's: 2.00 [2.00, 2.00] times at 128², 16 samples "
        "(n = 3)."
    )
    unequal = [
        records.assign(samples_per_pixel=[256, 32]),
        records.assign(resolution=[800, 256]),
        references(llvm_ad_rgb="3 4 5", scalar_rgb="6"),
    ]
    for each in unequal:
        table = speed_table(each, "paper", "x", seed=6)
        assert table["times_slower"].isna().all()
        assert claims(table)[1].endswith("cannot be judged here: the two were not timed on equal pictures.")
