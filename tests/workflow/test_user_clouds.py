"""A folder of clouds that its owner changes: the jobs that run are those that the change needs."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from pointspider.core.files import read_csv

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture
def own(project):
    """A project with clouds of three classes, one of them behind a link, and with its data built."""
    for name in ("chair", "cone", "store"):
        folder = project.directory / ("store" if name == "store" else f"mine/{name}")
        folder.mkdir(parents=True)
        for index in range(7):
            np.save(folder / f"{index}.npy", np.random.default_rng(index).normal(size=(1024, 3)))
    (project.directory / "mine/table").symlink_to(project.directory / "store")
    project.change(
        {
            "clouds.corruptions": ["uniform"],
            "presets.embedded.clouds.source": "folder",
            "presets.embedded.clouds.directory": "mine",
            "presets.embedded.clouds.classes": "all",
        }
    )
    project.snakemake("data", "render")
    return project


#: Jobs that a change of one class's objects runs: a new draw, and that class.
REDRAWN = {
    "list_objects": 1,
    "draw_manifests": 1,
    "build_clouds": 1,
    "render_class": 1,
    "data": 1,
    "render": 1,
}


def clouds(project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.directory.glob("results/embedded/clouds/*.h5")}


def test_changes_run_what_they_need(own):
    """Nothing for files that are no clouds. Other classes keep their bytes."""
    mine, store = own.directory / "mine", own.directory / "store"
    for name in (
        "chair/.DS_Store",
        ".DS_Store",
        "README",
        "chair/._0.npy",
        "chair/README.md",
        "cone/Thumbs.db",
    ):
        (mine / name).write_text("not a cloud")
    os.utime(mine / "chair")
    assert own.planned("data", "render") == {}

    before = clouds(own)
    np.save(store / "new.npy", np.random.default_rng(9).normal(size=(1024, 3)))
    assert own.planned("data", "render") == REDRAWN
    own.snakemake("data", "render")
    objects = read_csv(own.directory / "results/embedded/objects.csv")
    assert own.planned("data", "render") == {}

    used = objects.loc[(objects["class"] == "table") & (objects["role"] == "evaluation"), "object"]
    (store / f"{used.iloc[0]}.npy").rename(store / "renamed.npy")
    assert own.planned("data", "render") == REDRAWN
    own.snakemake("data", "render")
    (store / "renamed.npy").unlink()  # seven are left, of which the preset needs six
    assert own.planned("data", "render") == REDRAWN
    own.snakemake("data", "render")
    objects = read_csv(own.directory / "results/embedded/objects.csv")
    assert not {used.iloc[0], "renamed"} & set(objects.loc[objects["class"] == "table", "object"])
    assert own.planned("data", "render") == {}

    after = clouds(own)
    assert {name for name in after if after[name] != before[name]} == {"table.h5"}
    own.snakemake("--forceall", "data")
    assert clouds(own) == after


def test_other_directories_and_places(project, tmp_path):
    """`-s` from elsewhere, and `--directory`."""
    target = "results/embedded/objects.csv"
    for number, options in enumerate((["-s", f"{project.directory}/Snakefile"], ["--directory", "there"])):
        here = tmp_path / f"here{number}"
        (here / "there").mkdir(parents=True)
        place = here / "there" if number else here
        snakefile = ["-s", f"{project.directory}/Snakefile"] if number else []
        command = ["snakemake", "--cores", "1", target, *options, *snakefile]
        subprocess.run(
            command, cwd=here, env=project.environment, check=True, capture_output=True, timeout=300
        )
        assert (place / target).exists()


@pytest.mark.parametrize("git", ["no repository", "no commit"])
def test_without_a_commit_the_run_is_the_same(project, finished_project, git):
    """A ZIP of the repository, and `git init` in it."""
    if git == "no repository":
        shutil.rmtree(project.directory / ".git")
    project.snakemake("results/embedded/mappers/objects/none/runs.json")
    files = sorted(path for path in project.directory.glob("results/embedded/curves/**/*.csv"))
    assert len(files) == 2
    for path in files:
        same = finished_project.directory / path.relative_to(project.directory)
        assert path.read_bytes() == same.read_bytes()
    assert (project.directory / ".git").exists() == (git == "no commit")


def test_a_locale_without_utf8(project, tmp_path):
    locale = tmp_path / "locale"
    locale.mkdir()
    command = ["localedef", "-i", "zh_CN", "-f", "GB18030", str(locale / "zh_CN.GB18030")]
    if not shutil.which("localedef") or subprocess.run(command, capture_output=True).returncode > 1:
        pytest.skip("needs localedef and its character maps")
    environment = {"LOCPATH": str(locale), "LC_ALL": "zh_CN.GB18030"}
    project.snakemake("results/embedded/objects.csv", environment=environment)


def test_apostrophes_in_paths_work_and_braces_are_refused_in_one_sentence(project, tmp_path):
    place = project.copy(tmp_path / "o'brien")
    place.snakemake("results/embedded/objects.csv")
    place = project.copy(tmp_path / "{a}")
    result = place.snakemake("results/embedded/objects.csv", check=False)
    assert result.returncode != 0
    assert "cannot run in a path with braces; rename it" in result.stdout


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_a_user_without_an_entry_and_without_a_home(project):
    """As in a container. Snakemake needs a name and a cache, which the Makefile gives."""
    subprocess.run(["chmod", "-R", "a+rwX", project.directory], check=True)
    for folder in project.directory.parents:
        if str(folder).count("/") > 1:
            folder.chmod(folder.stat().st_mode | 0o055)
    # Python and this test's files may be in a home directory that others cannot read
    read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *read]
    cache = f"{project.directory}/tmp/cache"
    environment = {
        "HOME": "/nonexistent",
        "USER": "user",
        "XDG_CACHE_HOME": cache,
        "POINTSPIDER_CACHE_DIR": cache,
    }
    target = "results/embedded/renders/cone"
    project.run(*user, "snakemake", "--cores", "1", target, environment=environment)
