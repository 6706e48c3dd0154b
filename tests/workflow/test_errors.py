"""Bad input and interrupted runs: one line that says what to do, and nothing half-written."""

import os
import signal

import numpy as np
import pytest
import trimesh
import yaml

from pointspider.core.files import read_csv, read_png
from pointspider.study.cloud_files import read_clouds

pytestmark = pytest.mark.workflow
RESULTS = "results/embedded"


def test_an_unknown_parameter_stops_the_run_with_its_path(project):
    project.change({"mapper.epohcs": 3})
    result = project.snakemake(check=False)
    assert result.returncode != 0
    assert "params.yaml: mapper.epohcs: unknown key; did you mean 'epochs'?" in result.stdout


def test_a_preset_that_does_not_exist_is_named(project):
    result = project.snakemake("--config", "preset=quick", check=False)
    assert result.returncode != 0
    assert "preset: 'quick' does not exist; choose one of ['embedded', 'paper']" in result.stdout


def test_a_class_with_too_few_objects_is_named(project):
    for name, count in (("chair", 6), ("cone", 2)):
        folder = project.directory / "mine" / name
        folder.mkdir(parents=True)
        for index in range(count):
            np.save(folder / f"{index}.npy", np.random.default_rng(index).normal(size=(1024, 3)))
    project.change(
        {
            "zero_shot.top": [1, 2],
            "presets.embedded.clouds.source": "folder",
            "presets.embedded.clouds.directory": "mine",
            "presets.embedded.clouds.classes": "all",
        }
    )
    result = project.snakemake("data", check=False)
    assert result.returncode != 0
    assert "class 'cone' has 2 objects and needs 6" in result.stdout
    assert "Traceback" not in result.stdout
    assert not (project.directory / RESULTS / "objects.csv").exists()


def test_the_documented_preset_runs_on_clouds_of_the_user(project):
    """docs/folder.yaml as it is, but for the number of objects, on points and on meshes."""
    shapes = {
        "cone": lambda rng: trimesh.creation.cone(rng.uniform(0.3, 1), 1),
        "NA": lambda rng: trimesh.creation.box(rng.uniform(0.5, 1, 3)),
    }
    for name, make in shapes.items():
        folder = project.directory / "my_clouds" / name
        folder.mkdir(parents=True)
        for index in range(6):
            mesh = make(np.random.default_rng(index))
            if index % 2:
                mesh.export(folder / f"{index}.off")
            else:
                np.save(folder / f"{index}.npy", mesh.sample(700, seed=index))
    preset = yaml.safe_load((project.directory / "docs/folder.yaml").read_text())
    preset["presets"]["folder"]["clouds"] |= {"evaluation_objects": 4, "encoder_objects": 2}
    preset["presets"]["folder"]["alignment"] |= {"split": {"train": 4, "test": 4}, "held_out_classes": 1}
    preset["zero_shot"] = {"top": [1, 2]}
    (project.directory / "mine.yaml").write_text(yaml.safe_dump(preset))
    project.snakemake("--configfile", "mine.yaml", "--", "data", "results/folder/sheets/corruptions.png")
    manifest = read_csv(project.directory / "results/folder/manifests/alignment.csv")
    assert set(manifest["class"]) == {"NA", "cone"}
    built = read_clouds(project.directory / "results/folder/clouds/NA.h5")
    assert {points.shape[1:] for _, points in built.values()} == {(1024, 3)}


def test_a_broken_cloud_of_the_user_is_named(project):
    for name in ("chair", "cone"):
        folder = project.directory / "mine" / name
        folder.mkdir(parents=True)
        for index in range(6):
            np.save(folder / f"{index}.npy", np.random.default_rng(index).normal(size=(1024, 3)))
    bad = np.zeros((1024, 3))
    bad[5, 1] = np.nan
    np.save(project.directory / "mine/cone/3.npy", bad)
    project.change(
        {
            "clouds.corruptions": ["uniform"],
            "zero_shot.top": [1, 2],
            "presets.embedded.clouds.source": "folder",
            "presets.embedded.clouds.directory": "mine",
            "presets.embedded.clouds.classes": "all",
            "presets.embedded.alignment.split": {"train": 6, "test": 2},
            "seeds.split": 4,
        }
    )
    result = project.snakemake("data", check=False)
    assert result.returncode != 0
    assert "mine/cone/3.npy: 1 of 1024 points have NaN or inf coordinates" in result.stdout
    assert not (project.directory / RESULTS / "clouds/cone.h5").exists()


def test_outputs_of_a_killed_run_are_made_again(project):
    """The run is killed in the middle of a class, and one of its pictures is truncated."""
    renders = project.directory / RESULTS / "renders"
    project.snakemake("data")
    run = project.start("snakemake", "--cores", "1", f"{RESULTS}/renders/cone")
    run.run_until(lambda: list(renders.glob("cone/*/[0-9]*.png")))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    victim = next(renders.glob("cone/*/[0-9]*.png"))
    victim.write_bytes(victim.read_bytes()[:50])

    locked = project.snakemake(f"{RESULTS}/renders/cone", check=False)
    assert locked.returncode != 0
    assert "Directory cannot be locked" in locked.stdout
    project.snakemake("--unlock")
    project.snakemake(f"{RESULTS}/renders/cone")
    assert read_png(victim).shape == (32, 32, 3)
    assert not list(renders.rglob(".*.png"))


def test_a_truncated_file_is_named_and_made_again_once_it_is_deleted(finished_copy):
    results = finished_copy.directory / RESULTS
    embedding = results / "embeddings/points/pointnet.h5"
    complete = embedding.read_bytes()
    embedding.write_bytes(complete[: len(complete) // 2])
    result = finished_copy.snakemake(
        "--forcerun", "train_mapper", "--", f"{RESULTS}/mappers/objects/none/runs.json", check=False
    )
    assert result.returncode != 0
    assert "embeddings/points/pointnet.h5: is damaged, it does not match its checksum" in result.stdout
    assert not (results / "mappers/objects/none/runs.json").exists()
    embedding.unlink()
    finished_copy.snakemake(f"{RESULTS}/mappers/objects/none/runs.json")
    assert embedding.read_bytes() == complete


@pytest.mark.slow
def test_two_runs_in_one_directory_do_not_mix(project):
    first = project.start("snakemake", "--cores", "1", "render")
    locks = project.directory / ".snakemake/locks"
    first.run_until(lambda: locks.is_dir() and list(locks.iterdir()))
    second = project.snakemake("render", check=False)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    assert first.wait() == 0


def test_the_log_of_a_failed_job_is_printed(project):
    """The default profile prints a line per job, and the log of a job that fails."""
    project.edit("workflow/scripts/list_objects.py", "with job(", "import warnings\n\nwith job(")
    project.edit(
        "workflow/scripts/list_objects.py",
        "    write_csv(",
        '    warnings.warn("only in the log")\n    raise ZeroDivisionError\n    write_csv(',
    )
    result = project.snakemake(f"{RESULTS}/objects.csv", check=False)
    assert result.returncode != 0
    assert "list the objects of the source 'procedural'" in result.stdout
    assert "Error in rule list_objects:" in result.stdout
    assert "Logfile logs/embedded/list_objects.log:" in result.stdout
    assert "only in the log" in result.stdout


def test_jobs_of_a_killed_run_in_the_queue_of_slurm_stop_a_new_run(project, tmp_path_factory):
    """Otherwise they and the jobs of the new run write the same files."""
    squeue = tmp_path_factory.mktemp("bin") / "squeue"
    log = f"{project.directory}/.snakemake/slurm_logs/rule_render_class/%j.log"
    jobs = f"15 {project.directory}/notebook.log 16 /elsewhere/.snakemake/slurm_logs/%j.log 17 {log}"
    squeue.write_text(f"#!/bin/sh\nprintf '%-32s%-99s\\n' {jobs}\n")
    squeue.chmod(0o755)
    path = f"{squeue.parent}{os.pathsep}{project.environment['PATH']}"
    result = project.snakemake(f"{RESULTS}/objects.csv", environment={"PATH": path}, check=False)
    assert result.returncode != 0
    assert "jobs of an earlier run are still in the queue: 17. Wait for them, or cancel them" in result.stdout
    assert not (project.directory / RESULTS).exists()
    project.snakemake(f"{RESULTS}/objects.csv", environment={"PATH": path, "SLURM_JOB_ID": "17"})
