"""The README, from its text: commands and the example run, figures are those of the tables, links exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trimesh
import yaml
from PIL import Image

from pointspider.encoders.points.registry import create_point_encoder, save_point_encoder
from pointspider.encoders.points.settings import PointSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

TARGET = "test_readme.py::test_targets_of_make_exist"
DECLARED = "test_packaging.py::test_every_import_is_declared_and_every_declaration_is_used"
SELECTED = "workflow/test_dvc.py::test_selecting_another_mapper_reruns_no_render_and_no_embedding"
FOLDER = "workflow/test_errors.py::test_the_documented_preset_runs_on_clouds_of_the_user"
SLURM = "workflow/test_errors.py::test_jobs_of_a_killed_run_in_the_queue_of_slurm_stop_a_new_run"
PLANNED = "workflow/test_run.py::test_the_paper_is_planned_without_its_data"
#: Commands that take minutes or change the environment, and the test that runs the same or a smaller one.
COVERED = {
    'pip install ".[render]"': "test_packaging.py::test_the_extra_render_renders",
    'pip install ".[learn]"': DECLARED,
    'pip install ".[all]"': DECLARED,
    "make tables": "workflow/test_run.py::test_every_deliverable_is_there",
    "make test": TARGET,
    "make paper-dry-run": "workflow/test_paper_dry_run.py::test_existing_files_are_not_fetched",
    "make paper-smoke": TARGET,
    "snakemake --cores 8 --config preset=paper": PLANNED,
    "snakemake --profile profiles/slurm --config preset=paper": SLURM,
    "snakemake --cores all --configfile docs/folder.yaml": FOLDER,
    "dvc exp run -S mapper.norm=none": SELECTED,
    "dvc exp show --only-changed": SELECTED,
}


def commands() -> list[str]:
    """The commands of the README, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]


def inline_commands(program: str) -> list[str]:
    """Commands with arguments between backticks, once each, outside of blocks."""
    text = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(rf"`({program} [^`]+)`", text)
    return list(dict.fromkeys(" ".join(command.split()) for command in found))


def test_every_command_is_run_by_a_test():
    covered = {shlex.join(shlex.split(command)): test for command, test in COVERED.items()}
    others = [command for command in commands() if not command.startswith("pointspider ")]
    assert sorted(others) == sorted(covered)
    for name, _, function in (test.partition("::") for test in covered.values()):
        assert f"def {function}(" in (ROOT / "tests" / name).read_text(encoding="utf-8"), function


#: What is added to a command so that it takes seconds. Targets of `make` that take minutes are planned only.
SHORT = {
    "pip": "--dry-run --no-deps --no-build-isolation",
    "snakemake": "--dry-run",
    "make": "INSTALLED=",
    "make test": "INSTALLED= --dry-run",
    "make paper-smoke": "INSTALLED= --dry-run",
    "snakemake --unlock --cores 1": "",
    "dvc repro": "--dry",
}


@pytest.mark.slow
@pytest.mark.workflow
def test_the_commands_of_the_workflow_run_as_printed(finished_copy):
    """In a finished small project, recorded by DVC as the README says."""
    finished_copy.run("dvc", "commit", "--force", "--quiet")
    finished_copy.commit()
    for name in (f"class_{number}" for number in range(40)):  # as many as docs/folder.yaml aligns
        (finished_copy.directory / "my_clouds" / name).mkdir(parents=True)
        for index in range(32):
            points = np.random.default_rng(index).normal(size=(1024, 3))
            np.save(finished_copy.directory / f"my_clouds/{name}/{index}.npy", points)
    others = [command for command in commands() if not command.startswith("pointspider ")]
    assert len(others) >= 12
    for command in others:
        added = SHORT.get(command, SHORT.get(command.split()[0], ""))
        output = finished_copy.run(*shlex.split(f"{command} {added}")).stdout
        assert "does not provide the extra" not in output, command
    assert "mapper.norm" in output  # of the last, `dvc exp show`
    others = inline_commands("(?:snakemake|dvc|pointspider)")
    others.remove("dvc exp run")  # above, with an option
    assert len(others) >= 7
    for command in others:
        added = SHORT.get(command, SHORT.get(command.split()[0], ""))
        finished_copy.run(*shlex.split(f"{command} {added}"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """The files that the README names: a directory of clouds, and a trained PointNet."""
    directory = tmp_path_factory.mktemp("readme")
    (directory / "clouds").mkdir()
    for index, name in enumerate(("chair", "cone", "cup", "table")):
        points = np.random.default_rng(index).normal(size=(256, 3)) * [1, 1 + index, 1]
        trimesh.PointCloud(points).export(directory / "clouds" / f"{name}.ply")
    save_point_encoder(directory / "pointnet.safetensors", "pointnet", create_point_encoder("pointnet", 4))
    return directory


def run(directory: Path, code: str, *arguments: str) -> str:
    """Run Python code in a new process and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_commands_run_as_printed(directory):
    ours = [shlex.split(command)[1:] for command in commands() if command.startswith("pointspider ")]
    assert len(ours) == 5
    for arguments in ours:
        if arguments[0] == "render":
            arguments = [*arguments, "--resolution", "32"]  # in seconds
        printed = run(directory, "from pointspider.cli.main import main; main()", *arguments)
        if arguments[0] == "search":
            assert len(printed.splitlines()) == 3
    with Image.open(directory / "chair.png") as picture:
        assert picture.size == (32, 32)
    assert len(list((directory / "pictures").glob("*.png"))) == 4


def test_the_example_runs_as_printed(directory):
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    printed = run(directory, code.replace("resolution=400", "resolution=32"))
    assert printed.startswith("1.000 ")
    assert "chair.ply" in printed.splitlines()[0]
    assert len([line for line in code.splitlines() if line]) <= 10


PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        targets = re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE)
        assert page != "README.md" or len(targets) >= 8
        for target in targets:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: make {target}"


@pytest.mark.parametrize("page", PAGES)
def test_links_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:\s]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_published_recipes_of_encoders_are_valid():
    """They are written to be copied to params.yaml."""
    page = (ROOT / "docs/encoders.md").read_text(encoding="utf-8")
    recipes = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `(\{epochs: .*\})` \|$", page, re.MULTILINE)
    encoders = [name for names, _ in recipes for name in re.findall(r"\w+", names)]
    assert {"pointnet", "pointnet2_ssg", "dgcnn", "pointmlp_elite", "pointnext_s", "pointbert"} <= set(
        encoders
    )
    for _, recipe in recipes:
        assert PointSettings(**yaml.safe_load(recipe)).epochs >= 200


FINDINGS = " ".join(README.partition("## What the tables show")[2].partition("## In Python")[0].split())


def test_the_figures_of_rendering_are_those_of_the_benchmark():
    rows = (ROOT / "benchmarks/rendering.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows if row.startswith("| llvm |")]
    reference, ours, clip = cells
    assert f"draws {ours[2]} points per second where" in FINDINGS
    assert f"draws {reference[2]}, with the same picture ({ours[7].split()[0]} dB)" in FINDINGS
    assert f"are {clip[5]} times as fast" in FINDINGS


def test_the_figures_of_the_study_are_those_of_the_tables():
    tables = ROOT / "docs/embedded/tables"
    models = pd.read_csv(tables / "table2.csv")
    first, second = (f"{value:.0%}".replace("%", " %") for value in models.top1)
    accuracy = (
        pd.read_csv(tables / "zero_shot.csv")
        .set_index(["prompts", "set", "measure", "model"])["value"]
        .sort_index()
    )
    test = accuracy.loc["spaces", "test", "top1"][models.model]
    all_first, all_second = (f"{value:.0%}".replace("%", " %") for value in test)
    assert f"name the class of {first} and {second} of the 40 clouds" in FINDINGS
    assert f"and of {all_first} and {all_second} of all 960 test clouds" in FINDINGS
    rows = pd.read_csv(tables / "alignment.csv")
    rows = rows[(rows.measure == "skill") & rows.epoch.isin(["fit", "last"])].set_index(
        ["split", "predictor"]
    )
    skill = {key: f"{value:.0%}".replace("%", " %") for key, value in rows.value.items()}
    objects = [skill["objects", name] for name in ("BASE", "LNORM", "RNORM")]
    assert "of {}, {} and {}.".format(*objects) in FINDINGS
    assert f"fitted in closed form, has {skill['objects', 'ridge']}." in FINDINGS
    classes = [skill["classes", name] for name in ("ridge", "BASE", "RNORM", "LNORM")]
    assert "ridge has a skill of {}, BASE {}, RNORM {} and LNORM {}.".format(*classes) in FINDINGS


def test_the_figures_of_search_are_those_of_table_v():
    tables = ROOT / "docs/embedded"
    rows = pd.read_csv(tables / "tables/table5.csv").set_index("path")
    chosen = rows[rows.index == "mapped"].iloc[0]
    renders = rows.loc["renders"]
    assert f"a mAP of {chosen.class_map:.2f}, renders with {renders.class_map:.2f}," in FINDINGS
    assert f"their object with {chosen.object_map:.2f} against {renders.object_map:.2f}." in FINDINGS
    seconds = pd.read_csv(tables / "speed/table5_seconds.csv")
    total = seconds[(seconds.step == "total") & seconds.severity.isna()].set_index("path")["seconds"] * 1000
    assert (
        f"takes {total['mapped']:.0f} ms, a render and its embedding {total['renders']:.0f} ms." in FINDINGS
    )


@pytest.mark.slow
def test_the_commands_that_render_md_shows_draw_its_pictures(tmp_path):
    """Smaller: the last --resolution and --quality count."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from draw_render import draw_pictures\n"
        "draw_pictures(Path(), ('--resolution', '32', '--quality', 'clip'))"
    )
    run(tmp_path, code, str(ROOT / "docs"))
    shown = set(re.findall(r"\]\(render/(.*?)\)", (ROOT / "docs/render.md").read_text(encoding="utf-8")))
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == shown - {"compare.png"}  # of benchmarks/render_tool.py


def test_the_pictures_are_drawn_by_their_script(tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from draw_pictures import draw_pictures; draw_pictures(Path(), resolution=32, points=200)"
    )
    run(tmp_path, code, str(ROOT / "docs"))
    for name in ("render.png", "picture.png"):
        with Image.open(tmp_path / name) as picture:
            picture.load()
