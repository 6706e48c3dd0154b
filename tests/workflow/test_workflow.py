"""The workflow, really run by Snakemake on a tiny preset."""

import ast
import hashlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import trimesh
import yaml
from conftest import ROOT

from pointspider.core.files import read_csv, read_json, read_png
from pointspider.study.cloud_files import read_clouds

pytestmark = pytest.mark.workflow
RESULTS = "results/embedded"


def hashes(directory, pattern="**/*"):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob(pattern))
        if path.is_file()
    }


def planned(project, *arguments):
    """{rule: number of jobs} that Snakemake would run."""
    output = project.snakemake("--dry-run", *arguments).stdout
    if "Nothing to be done" in output:
        return {}
    table = output.rpartition("Job stats:")[2].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in table if not line.startswith(("total", "all "))}


# ------------------------------------------------------------------------------------- a run that succeeds


def test_every_deliverable_is_there(finished_project):
    results = finished_project.directory / RESULTS
    extensions = ("table2_extended", "table2_pairs", "table3_extended", "per_corruption")
    for name in ("table1", "table2", "table3", *extensions):
        assert (results / f"tables/{name}.csv").stat().st_size > 100
    plots = ["speed", "zero_shot", "corruptions", "alignment", "alignment_corruptions", "retrieval"]
    for name in (*plots, "loss_curves", "renders", "classes", "variants"):
        assert read_png(results / f"plots/{name}.png").std() > 1
        assert (results / f"plots/{name}.svg").read_text().startswith("<?xml")
    hidden = {path.name for path in results.rglob(".*")}
    assert hidden <= {".snakemake_timestamp"}


def test_the_tables_say_what_made_them(finished_project):
    tables = finished_project.directory / RESULTS / "tables"
    first, second, third = (read_csv(tables / f"table{k}.csv") for k in (1, 2, 3))
    for table in (first, second, third):
        assert set(table["preset"]) == {"embedded"}
        assert set(table["data"]) == {"procedural"}
        paper = [name for name in table.columns if name.startswith("paper_")]
        assert paper
        assert table[paper].isna().all(axis=None)
    assert {"cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb"} <= set(first["variant"])
    assert set(second["model"]) == {"tiny-clip-patch8", "tiny-clip-patch16"}
    assert set(second["n"]) == {3}
    baselines = ["procrustes", "ridge", "reduced_rank", "lad", "linear_layer"]
    assert third["mapper"].tolist() == ["zero", "mean", "median", *baselines, "BASE", "LNORM", "RNORM"]
    np.testing.assert_allclose(third["l1div_last"] * third["l1_last"], 1, rtol=0.2)
    assert "Not comparable with the paper" in (tables / "summary.md").read_text()


def test_every_cloud_of_the_manifests_is_rendered_once(finished_project):
    results = finished_project.directory / RESULTS
    manifests = [read_csv(path) for path in sorted((results / "manifests").glob("*.csv"))]
    wanted = set(pd.concat(manifests)["cloud_id"])
    found = {
        str(path.relative_to(results / "renders").with_suffix(""))
        for path in results.glob("renders/*/*/*.png")
    }
    assert found == wanted
    assert {read_png(path).shape for path in results.glob("renders/cone/*/*.png")} == {(32, 32, 3)}


def test_the_selected_mapper_is_the_one_of_mapper_norm(finished_project):
    metrics = read_json(finished_project.directory / RESULTS / "metrics.json")
    table = read_csv(finished_project.directory / RESULTS / "tables/table3.csv").set_index("mapper")
    assert metrics["mapper"] == "LNORM"
    assert metrics["l1"] == pytest.approx(table.loc["LNORM", "l1_last"], abs=1e-6)


def test_a_second_run_has_nothing_to_do(finished_project):
    assert "Nothing to be done" in finished_project.snakemake().stdout


def test_a_change_reruns_what_depends_on_it_and_nothing_else(finished_project):
    only = planned(finished_project, "--config", "mapper={norm: none}")
    assert only == {"select_mapper": 1}


def test_the_same_parameters_give_the_same_bytes(finished_project):
    results = finished_project.directory / RESULTS
    made = (
        "manifests/roulette.csv",
        "clouds/cone.h5",
        "renders/cone",
        "encoders/tiny-clip-patch16",
        "mappers/objects/layer/runs.json",
    )
    before = hashes(results)
    finished_project.snakemake("--forcerun", "draw_manifests", "--", *(f"{RESULTS}/{name}" for name in made))
    after = hashes(results)
    kept = (*made[:-1], "mappers/objects/layer/")
    assert {name for name in before if name.startswith(kept) and before[name] != after.get(name)} == set()
    finished_project.snakemake()  # leaves the fixture finished


def test_every_rule_passes_lint():
    result = subprocess.run(["snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_paper_is_planned_without_its_data(project):
    plan = planned(project, "--config", "preset=paper")
    assert plan["render_class"] == 40
    assert plan["embed_images"] == 4
    assert plan["train_points"] == 1
    assert plan["fetch_archive"] == 2
    assert "train_clip" not in plan


def conda_pins(path):
    entries = yaml.safe_load(path.read_text())["dependencies"]
    return next(entry["pip"] for entry in entries if isinstance(entry, dict))


def test_the_conda_environments_pin_what_the_lock_pins():
    lock = (ROOT / "requirements.lock").read_text()
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        pins = conda_pins(path)
        assert len(pins) > 5
        for pin in pins:
            assert f"\n{pin} " in lock, f"{path.name}: {pin} is not in requirements.lock"


IMPORT_CHECK = """
import importlib.metadata as metadata, re, sys
pins, statements = sys.argv[1].split(), sys.argv[2]
allowed, queue = set(), [re.sub("[-_.]+", "-", pin).lower() for pin in pins]
while queue:
    name = queue.pop()
    if name not in allowed:
        allowed.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            needs = []  # for another platform or Python
        needs = [re.match(r"[\\w.-]+", need)[0] for need in needs if "extra ==" not in need]
        queue += [re.sub("[-_.]+", "-", need).lower() for need in needs]
owners = metadata.packages_distributions()
class Environment:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, module, path=None, target=None):
        dists = {re.sub("[-_.]+", "-", d).lower() for d in owners.get(module.split(".")[0], ())}
        if dists and not dists & (allowed | {"pointspider"}):
            return None  # as if it were not installed
        return self.finder.find_spec(module, path, target)
sys.meta_path = [Environment(finder) for finder in sys.meta_path]
exec(statements)
"""


@pytest.mark.parametrize("environment", ["render", "learn", "report"])
def test_a_conda_environment_holds_what_its_scripts_import(environment):
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")).split("\nrule ")
    scripts = [
        re.search(r"scripts/(\w+\.py)", rule)[1] for rule in rules if f"envs/{environment}.yaml" in rule
    ]
    assert len(scripts) >= 3
    statements = []
    for name in scripts:
        tree = ast.parse((ROOT / "workflow/scripts" / name).read_text())
        statements += [
            ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
    # What is imported only where it is used.
    statements += {
        "render": ["import mitsuba, drjit"],
        "learn": [],
        "report": [
            "import pointspider.clouds.sources.procedural.source, pointspider.clouds.sources.folder, pointspider.clouds.sources.modelnet40c",
            "import pointspider.clouds.sources.modelnet40, pointspider.study.fetch",
            "import embreex, mapbox_earcut, shapely",
        ],
    }[environment]
    names = " ".join(pin.split("==")[0] for pin in conda_pins(ROOT / f"envs/{environment}.yaml"))
    command = [sys.executable, "-c", IMPORT_CHECK, names, "\n".join(statements)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


# ---------------------------------------------------------------------------------------------- bad input


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
    project.snakemake("--configfile", "mine.yaml", "--", "data", "results/folder/plots/variants.png")
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
        }
    )
    result = project.snakemake("data", check=False)
    assert result.returncode != 0
    assert "mine/cone/3.npy: 1 of 1024 points have NaN or inf coordinates" in result.stdout
    assert not (project.directory / RESULTS / "clouds/cone.h5").exists()


def test_what_a_crash_left_is_made_again(project):
    """The run is killed in the middle of a class, and a picture of it is truncated: none of it is trusted."""
    renders = project.directory / RESULTS / "renders"
    project.snakemake("data")
    run = project.start("snakemake", "--cores", "1", f"{RESULTS}/renders/cone")
    deadline = time.monotonic() + 60
    while not list(renders.glob("cone/*/[0-9]*.png")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
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


def test_a_truncated_file_is_refused_by_name_and_made_again_once_it_is_deleted(finished_project):
    results = finished_project.directory / RESULTS
    embedding = results / "embeddings/points/cone.h5"
    whole = embedding.read_bytes()
    embedding.write_bytes(whole[: len(whole) // 2])
    result = finished_project.snakemake(
        "--forcerun", "train_mapper", "--", f"{RESULTS}/mappers/objects/none/runs.json", check=False
    )
    assert result.returncode != 0
    assert "embeddings/points/cone.h5: not a complete HDF5 file" in result.stdout
    assert not (results / "mappers/objects/none/runs.json").exists()
    embedding.unlink()
    finished_project.snakemake(f"{RESULTS}/mappers/objects/none/runs.json")
    finished_project.snakemake()  # leaves the fixture finished
    assert embedding.read_bytes() == whole


def test_two_runs_in_one_directory_do_not_mix(project):
    first = project.start("snakemake", "--cores", "1", "data")
    locks = project.directory / ".snakemake/locks"
    while not (locks.is_dir() and list(locks.iterdir())) and first.poll() is None:
        time.sleep(0.02)
    second = project.snakemake("data", check=False)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    assert first.wait() == 0
