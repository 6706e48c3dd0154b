"""Table V, from embeddings of the fixture `searched`."""

import numpy as np
import pandas as pd
import pytest

from pointspider.study.evaluate.search import search_records
from pointspider.study.search_speed import choose_clouds, time_steps
from pointspider.study.tables.pages import search_speed_page
from pointspider.study.tables.search import (
    renders_of,
    search_verdicts,
    seconds_table,
    seconds_verdict,
)
from pointspider.study.tables.verdicts import Decision


def test_measures_are_means_of_the_queries_with_intervals(searched, search_tables):
    records = search_records(*searched)
    measures = search_tables["search"].set_index(["model", "measure", "corruption", "severity"])
    own = records[records["model"] == "pointnet"]
    for severity, corruption in ((1, "all"), (5, "all"), (5, "uniform")):
        row = measures.loc[("pointnet", "object_map", corruption, severity)]
        assert row["value"] == pytest.approx(own.loc[own["severity"] == severity, "object_ap"].mean())
        assert (row["n"], row["low"] <= row["value"] <= row["high"]) == (8, True)
    assert ("pointnet", "object_map", "all", 0) not in measures.index  # a clean cloud has nothing to find


def test_table_5_has_a_row_per_path(search_tables):
    table = search_tables["table5"].set_index("model")
    assert list(table["path"]) == ["renders", "points", "mapped", "mapped"]
    assert table.loc["ridge", "object_map"] == table.loc["tiny", "object_map"]
    assert table.loc["constant", "object_r1"] == 0
    assert len(search_tables["table5"].columns) <= 12


def test_verdicts_are_paired_by_object(search_tables):
    verdicts = search_verdicts(search_tables["search"], search_tables["search_differences"])
    known = {(v.subject, v.comparison, v.figures["other"]): v for v in verdicts}
    assert len(known) == 2 * 2 * 2
    assert known["ridge", "object_map", "renders"].decision is Decision.UNDECIDED
    assert known["ridge", "object_map", "renders"].figures["gain"].value == 0
    assert known["ridge", "object_map", "points"].figures["gain"].value > 0
    assert known["constant", "object_map", "renders"].decision is Decision.WORSE
    assert known["constant", "class_map", "renders"].decision is Decision.WORSE


@pytest.fixture
def timed(speed_tables):
    """Seconds of the steps of two clouds per severity, and renders that take 0.1 s."""
    rows = [
        {
            "step": step,
            "severity": severity,
            "cloud_id": f"c{k}",
            "seconds": value + 0.001 * k,
            "cpu_seconds": value,
        }
        for step, value in (("image_embedding", 0.03), ("point_embedding", 0.02), ("prediction", 0.001))
        for severity in (0, 5)
        for k in range(3)
    ]
    return pd.DataFrame(rows), renders_of(speed_tables().records, 224)


def test_the_seconds_of_a_path_are_the_sum_of_its_steps(timed):
    table = seconds_table(*timed)
    known = table[table["severity"].isna()].set_index(["path", "step"])
    assert known.loc[("renders", "total"), "seconds"] == pytest.approx(0.1 + 0.031)
    assert known.loc[("points", "total"), "seconds"] == pytest.approx(0.021)
    assert known.loc[("mapped", "total"), "seconds"] == pytest.approx(0.023)
    assert known.loc[("mapped", "total"), "n"] == 6
    assert (known["low"] > 0).all()
    verdict = seconds_verdict(table)
    assert verdict.decision is Decision.BETTER
    assert verdict.figures["saved"] == pytest.approx(0.108)
    made = {
        "preset": "embedded",
        "data": "procedural",
        "device": "a CPU",
        "variant": "llvm_ad_rgb",
        "fit": "ridge",
    }
    page = search_speed_page(
        table, {**made, "resolution": 64, "image_model": "tiny", "point_encoder": "pointnet"}
    )
    assert "Skipping the render saves 108 ms per cloud: a mapped cloud takes 23 ms, 5.7 times less" in page
    assert "| renders | 5 | 3 |" in page


def test_clouds_are_timed_one_by_one_at_every_severity():
    manifest = pd.DataFrame({"cloud_id": [f"c{k}" for k in range(20)], "severity": [0] * 5 + [3] * 15})
    clouds = choose_clouds(manifest, 4)
    assert clouds["severity"].tolist() == [0] * 4 + [3] * 4
    assert clouds["cloud_id"].iloc[0] == "c0"
    assert clouds["cloud_id"].iloc[-1] == "c19"
    sizes = []
    rows = time_steps({"prediction": (lambda batch: sizes.append(len(batch)), np.zeros((8, 2)))}, clouds)
    assert sizes == [1] * 9  # one more, which does not count
    assert len(rows) == 8
    assert all(row["seconds"] >= 0 for row in rows)
