"""The workflow under DVC: stages, experiments, and the reasons for the shape of dvc.yaml."""

import ast
import json
import re

import pytest
import yaml
from conftest import ROOT

from pointspider.core.files import read_csv, read_png
from pointspider.study.code_digest import imported_files

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


def test_every_file_that_a_stage_names_exists_or_is_made_before():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    outputs = set()
    for name, stage in stages.items():
        made = [*stage.get("outs", []), *stage.get("metrics", [])]
        assert made, f"{name}: nothing for DVC to keep"
        assert "persist" not in str(made)
        for path in stage["deps"]:
            if path.startswith("results/"):
                assert any(path == made or path.startswith(f"{made}/") for made in outputs), (name, path)
            else:
                assert (ROOT / path).exists(), path
        outputs |= {next(iter(output)) if isinstance(output, dict) else output for output in made}


def test_a_stage_depends_on_exactly_what_its_rules_run():
    """Snakemake computes a rule's library files from its script's imports; dvc.yaml lists them by hand."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    rules = {
        line.removeprefix("rule ").rstrip(":"): (path, text)
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for text in path.read_text().split("\n\n\n")
        for line in text.splitlines()
        if line.startswith("rule ")
    }
    run = set()
    for name, stage in stages.items():
        allowed = stage["cmd"].partition("--allowed-rules")[2].partition(" -- ")[0].split()
        wanted = {"Snakefile", "workflow/rules/common.smk"}
        library = set()
        for rule in allowed:
            path, text = rules[rule]
            run.add(rule)
            wanted.add(str(path.relative_to(ROOT)))
            if re.search(r"sources\.csv|clip_revision", text):
                wanted.add("data/sources.csv")
            if match := re.search(r"scripts/(\w+\.py)", text):
                script = ROOT / "workflow/scripts" / match[1]
                wanted |= {str(script.relative_to(ROOT)), re.search(r"envs/\w+\.yaml", text)[0]}
                library |= {str(file.relative_to(ROOT)) for file in imported_files(script, ROOT / "src")}
        listed = {path for path in stage["deps"] if not path.startswith("results/")}
        assert {path for path in listed if not path.startswith("src/")} == wanted, name
        roots = {path for path in listed if path.startswith("src/")}
        covers = {root: {f for f in library if f == root or f.startswith(f"{root}/")} for root in roots}
        assert all(covers.values()), (name, "not needed", [root for root in roots if not covers[root]])
        missing = library - set().union(*covers.values())
        assert {file for file in missing if len(ast.parse((ROOT / file).read_text()).body) > 1} == set(), name
    assert set(rules) == run, "rules of no stage"


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
