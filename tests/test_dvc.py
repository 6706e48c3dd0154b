"""The workflow under DVC: stages, experiments, and the reasons for the shape of dvc.yaml."""

import json

import pytest
import yaml
from conftest import ROOT

from pointspider.storage import read_csv, read_png

pytestmark = pytest.mark.workflow
RENDERS = "results/embedded/renders"


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A tiny project after `dvc repro`, committed."""
    from conftest import Project

    project = Project(tmp_path_factory.mktemp("dvc"))
    project.commit()
    project.run("dvc", "repro", "--quiet")
    project.commit()
    return project


def sizes(project):
    return {read_png(path).shape[0] for path in (project.directory / RENDERS).rglob("*.png")}


def test_every_file_that_a_stage_names_exists():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        for path in stage["deps"]:
            assert path.startswith("results/") or (ROOT / path).exists(), path
        for output in stage.get("outs", []):
            assert "persist" not in str(output)


def test_every_rule_belongs_to_a_stage_and_every_script_is_a_dependency():
    text = (ROOT / "dvc.yaml").read_text()
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for line in path.read_text().splitlines():
            if line.startswith("rule "):
                assert line.removeprefix("rule ").rstrip(":") in text.split(), line
    for path in sorted((ROOT / "workflow/scripts").glob("*.py")):
        assert str(path.relative_to(ROOT)) in text


def test_reproducing_again_runs_nothing(reproduced):
    assert "Data and pipelines are up to date." in reproduced.run("dvc", "repro").stdout
    metrics = json.loads(reproduced.run("dvc", "metrics", "show", "--json").stdout)
    assert metrics[""]["data"]["results/embedded/metrics.json"]["data"]["mapper"] == "LNORM"


def test_selecting_another_mapper_reruns_no_render_and_no_embedding(reproduced):
    output = reproduced.run("dvc", "exp", "run", "-S", "mapper.norm=none").stdout
    for stage in ("data", "render", "encoders", "embed", "map"):
        assert f"Stage '{stage}' didn't change, skipping" in output
    assert "Running stage 'select'" in output
    metrics = json.loads((reproduced.directory / "results/embedded/metrics.json").read_text())
    assert metrics["mapper"] == "BASE"
    shown = json.loads(reproduced.run("dvc", "exp", "show", "--json").stdout)
    assert len(shown[0]["experiments"] or []) + len(shown[1]["experiments"] or []) >= 1
    reproduced.run("git", "checkout", "--quiet", ".")
    reproduced.run("dvc", "checkout", "--quiet")


def test_no_experiment_takes_the_renders_of_another(reproduced):
    """Snakemake keeps no hashes of outputs: only wiped outputs and phase isolation keep experiments apart."""
    resolution, corruptions = "presets.embedded.render.resolution", "clouds.corruptions"
    assert sizes(reproduced) == {32}
    reproduced.run("dvc", "exp", "run", "-S", f"{resolution}=48", "render")
    assert sizes(reproduced) == {48}
    reproduced.run("git", "checkout", "--quiet", ".")
    reproduced.run("dvc", "checkout", "--quiet")
    assert sizes(reproduced) == {32}
    reproduced.run("dvc", "exp", "run", "-S", f"{corruptions}=[uniform,occlusion,shear]", "render")
    assert sizes(reproduced) == {32}
    drawn = read_csv(reproduced.directory / "results/embedded/manifests/alignment.csv")
    assert "shear" in set(drawn["corruption"])
    found = {
        str(p.relative_to(reproduced.directory / RENDERS).with_suffix(""))
        for p in (reproduced.directory / RENDERS).rglob("*.png")
    }
    assert set(drawn["cloud_id"]) <= found
    reproduced.run("git", "checkout", "--quiet", ".")
    reproduced.run("dvc", "checkout", "--quiet")


def test_an_experiment_without_a_commit_is_refused(project):
    result = project.run("dvc", "exp", "run", check=False)
    assert result.returncode != 0
    assert "Empty git repo" in result.stdout
    assert not (project.directory / "results").exists()
