"""A run of the workflow on a small preset: its results, and what a second run or a new clone changes."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.files import read_csv, read_json, read_png
from pointspider.study.tables.schemas import SCHEMAS, read_table

pytestmark = pytest.mark.workflow
RESULTS = "results/embedded"
PLOTS = ["zero_shot", "corruptions", "alignment", "alignment_corruptions", "retrieval", "loss_curves"]


@pytest.fixture(scope="module")
def results(finished_project):
    return finished_project.directory / RESULTS


def test_every_deliverable_is_there(results):
    tables = [results / "speed.csv", results / "mappers/choice.csv"]
    tables += [path for folder in ("speed", "tables") for path in (results / folder).glob("*.csv")]
    assert {path.stem for path in tables} == {*SCHEMAS, "table2"} - {"table4", "encoders"}
    assert all(len(read_table(path)) for path in tables)
    assert "speed.svg" in (results / "speed/table1.md").read_text()
    for path in (*(f"plots/{name}.svg" for name in PLOTS), "speed/speed.svg"):
        assert (results / path).read_text().startswith("<?xml")
    for name in ("renders", "classes", "corruptions"):
        assert read_png(results / f"sheets/{name}.png").std() > 1
    assert {path.name for path in results.rglob(".*")} <= {".snakemake_timestamp"}


def test_the_tables_name_their_preset_and_data(results):
    paths = [results / path for path in ("speed/table1.csv", "tables/table2.csv", "tables/table3.csv")]
    tables = [read_table(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        made = read_json(path.with_suffix(".json"))
        assert (made["preset"], made["data"]) == ("embedded", "procedural")
        assert path.name in made["tables"]
        paper = [name for name in table.columns if name.startswith("paper_")]
        assert paper
        assert table[paper].isna().all(axis=None)
    first, second, third = tables
    assert {"cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb"} <= set(first["variant"])
    assert set(second["model"]) == {"tiny-clip-patch8", "tiny-clip-patch16"}
    assert {"zero", "ridge", "BASE", "LNORM", "RNORM"} <= set(third["predictor"])
    np.testing.assert_allclose(third["l1div"] * third["l1"], 1, rtol=0.2)
    assert "Not comparable with the paper" in (results / "tables/summary.md").read_text()


def test_every_cloud_of_the_manifests_is_rendered_once(results):
    manifests = [read_csv(path) for path in sorted((results / "manifests").glob("*.csv"))]
    drawn = set(pd.concat(manifests)["cloud_id"])
    found = [
        str(path.relative_to(results / "renders").with_suffix(""))
        for path in results.glob("renders/*/*/*.png")
    ]
    assert sorted(found) == sorted(drawn)
    assert {read_png(path).shape for path in results.glob("renders/cone/*/*.png")} == {(32, 32, 3)}


def test_the_selected_mapper_is_the_one_of_mapper_norm(results):
    metrics = read_json(results / "metrics.json")
    table = read_table(results / "tables/table3.csv").set_index("predictor")
    assert metrics["mapper"] == "LNORM"
    assert metrics["l1"] == pytest.approx(table.loc["LNORM", "l1"], abs=1e-6)


def test_a_second_run_has_nothing_to_do(finished_project):
    assert finished_project.planned() == {}


def test_selecting_another_mapper_runs_one_job(finished_project):
    assert finished_project.planned("--config", "mapper={norm: none}") == {"select_mapper": 1}


def test_the_paper_is_planned_without_its_data(project):
    plan = project.planned("--config", "preset=paper")
    assert plan["render_class"] == 40
    assert plan["embed_images"] == 4
    assert plan["train_points"] == 1
    assert plan["fetch_archive"] == 2
    assert "train_clip" not in plan


def test_the_benchmarks_pointnet_is_selected_by_one_line(project):
    project.change({"presets.paper.encoders.points.checkpoint": "modelnet40_c_pointnet"})
    plan = project.planned("--config", "preset=paper")
    assert plan["fetch_file"] == 1
    assert "train_points" not in plan


@pytest.mark.slow
def test_both_layouts_of_renders_give_the_same_results(project):
    """With every object aligned at every corruption level."""
    read = "embeddings/**/*.h5", "sheets/renders.png", "encoders/*/*/*.safetensors"
    contents = {}
    for layout in ("shards", "png"):
        project.change({"alignment.clouds": "all", "render.layout": layout})
        project.snakemake(*(["--", "points", "images", f"{RESULTS}/sheets/renders.png"] if contents else []))
        results = project.directory / RESULTS
        pictures = sorted(path.name for path in results.glob("renders/cone/**/[!.]*.*"))
        contents[layout] = {
            path.relative_to(results): path.read_bytes() for pattern in read for path in results.glob(pattern)
        }
        if layout == "shards":
            assert pictures == ["00000.h5", "index.h5", "render.json"]
            assert (results / "explorer.html").exists()
            levels = read_csv(results / "manifests/alignment.csv")[["corruption", "severity"]]
            assert len(levels) == 4 * 12
            assert len(levels.drop_duplicates()) == 4
        else:
            assert len(pictures) > 4 * 4
    # Images, prompts and projection of two CLIPs, points; the sheet; three trained encoders
    assert len(contents["png"]) == 2 * 3 + 1 + 1 + 3
    assert contents["shards"] == contents["png"]
