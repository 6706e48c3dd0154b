"""Shared fixtures: the repository's parameters, and a tiny project on which the workflow really runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/params.schema.yaml"


@pytest.fixture
def params() -> dict:
    """The repository's params.yaml, unresolved; free to be changed."""
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture(scope="session", autouse=True)
def machine_cache(tmp_path_factory) -> Path:
    """The cache of working Mitsuba variants: one for all tests and their children, not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["POINTSPIDER_CACHE_DIR"] = str(folder)
    return folder


class Project:
    """A git checkout of the working tree in a directory of its own, with a preset that runs in seconds."""

    def __init__(self, directory: Path):
        self.directory = directory
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for name in filter(None, listing.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(("results/", "dvc.lock", "tests/")):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, directory / name)
        self.change(TINY)
        self.run("git", "init", "--quiet")
        self.run("git", "config", "user.name", "test")
        self.run("git", "config", "user.email", "test@localhost")

    def change(self, values: dict) -> None:
        """Set dotted keys of params.yaml."""
        path = self.directory / "params.yaml"
        params = yaml.safe_load(path.read_text())
        for key, value in values.items():
            *parents, last = key.split(".")
            node = params
            for parent in parents:
                node = node[parent]
            node[last] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "state")

    @property
    def environment(self) -> dict[str, str]:
        """This process's, with the virtual environment's programs first."""
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def start(self, *command: str) -> subprocess.Popen:
        """Start a command in the project, in a process group of its own, and leave it running."""
        return subprocess.Popen(
            command, cwd=self.directory, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command in the project."""
        result = subprocess.run(
            command, cwd=self.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment,
        )  # fmt: skip
        if check and result.returncode:
            raise AssertionError(
                f"{' '.join(command)} exited with {result.returncode}:\n{result.stdout[-6000:]}"
            )
        return result

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.run("snakemake", "--cores", "2", *arguments, check=check)


#: The embedded preset, shrunk until the whole workflow takes well under a minute.
TINY = {
    "clouds.corruptions": ["uniform", "occlusion"],
    "clouds.severities": [1, 5],
    "presets.embedded.clouds.classes": ["chair", "cone", "table"],
    "presets.embedded.clouds.evaluation_objects": 4,
    "presets.embedded.clouds.encoder_objects": 2,
    "presets.embedded.alignment.split": {"train": 8, "test": 4},
    "presets.embedded.alignment.held_out_classes": 1,
    "presets.embedded.roulette.repeats": 2,
    "presets.embedded.render": {"resolution": 32, "quality": "clip"},
    "presets.embedded.speed": {"clouds": 1, "reference": {"resolution": 32, "samples_per_pixel": 2}},
    "presets.embedded.encoders.images.tiny-clip-patch8.epochs": 2,
    "presets.embedded.encoders.images.tiny-clip-patch16.epochs": 2,
    "presets.embedded.encoders.points.epochs": 1,
    "presets.embedded.mapper.base_width": 8,
    "presets.embedded.mapper.epochs": 3,
    "presets.embedded.mapper.seeds": [0, 1],
}


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory) -> Project:
    """A tiny project on which `snakemake` has run to the end and whose results are committed."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.commit()
    project.snakemake()
    return project


@pytest.fixture
def project(tmp_path) -> Project:
    """A tiny project in which nothing has run yet."""
    return Project(tmp_path)
