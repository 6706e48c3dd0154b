"""The workflow under DVC: stages and experiments."""

import hashlib
import json
import time

import pytest

from pointspider.core.files import read_csv, read_png

pytestmark = pytest.mark.workflow
RESULTS = "results/embedded"
RENDERS = f"{RESULTS}/renders"


@pytest.fixture(scope="module")
def reproduced(finished_project, tmp_path_factory):
    """A clone of the finished project after `dvc repro`, committed."""
    project = type(finished_project)(tmp_path_factory.mktemp("dvc") / "clone")
    finished_project.run("git", "clone", "--quiet", ".", str(project.directory))
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@localhost")
    project.run("dvc", "repro", "--quiet")
    assert project.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"
    assert project.run("git", "ls-files", "results").stdout == ""
    project.commit()
    return project


def hashes(directory) -> dict[str, str]:
    """{path: SHA-256} of every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_stages_write_the_bytes_of_a_plain_run(finished_project, reproduced):
    """Except measurements: of the speed, and of the time in logs."""
    first, second = hashes(finished_project.directory / RESULTS), hashes(reproduced.directory / RESULTS)
    assert set(first) == set(second)
    assert {name for name in first if first[name] != second[name] and not name.startswith("speed")} == set()


def sizes(project):
    return {read_png(path).shape[0] for path in (project.directory / RENDERS).rglob("*.png")}


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


def test_no_experiment_uses_the_renders_of_another(reproduced):
    """Snakemake stores no hashes of outputs: deleted outputs and --allowed-rules separate experiments."""
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


def test_an_experiment_needs_a_commit(project):
    result = project.run("dvc", "exp", "run", check=False)
    assert result.returncode != 0
    assert "Empty git repo" in result.stdout
    assert not (project.directory / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [["--temp"], ["--queue"]], ids=["temp", "queue"])
def test_an_experiment_outside_of_the_workspace_runs_its_stages_only(reproduced, mode):
    """Modification times are wrong there. Snakemake must not measure Table I again to tabulate it."""
    output = reproduced.run(
        "dvc", "exp", "run", *mode, "-S", "zero_shot.top=[1,2]", "--name", mode[0][2:]
    ).stdout
    if mode == ["--queue"]:
        reproduced.run("dvc", "queue", "start", "--jobs", "2")
        wait_for_queue(reproduced)
        output = reproduced.run("dvc", "queue", "logs", "queue").stdout
    assert "Running stage 'tables'" in output
    assert "write Table I\n" in output
    assert "measure the speed" not in output
    assert reproduced.run("git", "status", "--porcelain").stdout == ""
    reproduced.run("dvc", "exp", "apply", mode[0][2:])
    assert "speed.csv" not in reproduced.run("dvc", "status").stdout
    reproduced.run("git", "checkout", "--quiet", ".")
    reproduced.run("dvc", "checkout", "--quiet")


def wait_for_queue(project, seconds=900):
    deadline = time.monotonic() + seconds
    while "Success" not in (status := project.run("dvc", "queue", "status").stdout):
        assert "Failed" not in status, status
        assert time.monotonic() < deadline
        time.sleep(2)


@pytest.mark.slow
def test_a_clone_gets_the_results_from_a_remote(reproduced, tmp_path):
    """`make sync`: after `dvc pull`, Snakemake has nothing to do."""
    clone = type(reproduced)(tmp_path / "clone")
    reproduced.run("dvc", "remote", "add", "--quiet", "--default", "here", str(tmp_path / "remote"))
    reproduced.commit()
    reproduced.run("dvc", "push", "--quiet")
    reproduced.run("git", "clone", "--quiet", ".", str(clone.directory))
    clone.run("dvc", "pull", "--quiet")
    assert clone.run("dvc", "status", "--json").stdout.strip() == "{}"
    clone.snakemake("--touch", "--forceall")
    assert clone.planned() == {}
    assert clone.run("git", "status", "--porcelain").stdout == ""
