"""Fixtures of all tests: the repository, its parameters, and a small project on which the workflow runs."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from filelock import FileLock
from jaxtyping import install_import_hook

# Types and shapes are checked at every call, except in kernels: Dr.Jit's types depend on the variant
CHECKED = (
    "clouds", "core", "encoders", "mappers", "study.evaluate", "study.plots", "study.tables", "training",
    "render.backends", "render.colours", "render.denoiser", "render.draw", "render.layers", "render.mask",
    "render.motion", "render.path_tracer", "render.points", "render.reference", "render.renderer",
    "render.scene", "render.sheet", "render.surfaces",
)  # fmt: skip
install_import_hook([f"pointspider.{name}" for name in CHECKED], "typecheck.check")

ROOT = Path(__file__).parents[1]
if "PYTEST_XDIST_WORKER" in os.environ:  # there is a process for every core
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the tests of the finished project, which take minutes."""
    items.sort(key=lambda item: "finished_project" not in getattr(item, "fixturenames", ()))


@pytest.fixture
def params() -> dict:
    """A copy of the content of params.yaml."""
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", autouse=True)
def machine_cache(tmp_path_factory) -> Path:
    """The cache of working Mitsuba variants: one for all tests and their children, not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["POINTSPIDER_CACHE_DIR"] = str(folder)
    return folder


class Process(subprocess.Popen):
    """A process in a new process group, for which nothing waits for ever."""

    #: A command that takes longer hangs.
    MAX_SECONDS = 1200
    started: ClassVar[list["Process"]] = []

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, start_new_session=True, **options)
        self.started.append(self)

    def wait(self, timeout: float | None = MAX_SECONDS) -> int:
        return super().wait(timeout)

    def run_until(self, condition: Callable[[], Any], seconds: float = 300) -> None:
        """Return when the condition holds, or when the process has ended."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    """Kill what a failed test leaves."""
    yield
    while Process.started:
        process = Process.started.pop()
        if process.poll() is None:
            process.kill_group()
            process.wait()


class Project:
    """A git checkout of the working tree, with a preset that runs in seconds."""

    def __init__(self, directory: Path):
        self.directory = directory

    @classmethod
    def create(cls, directory: Path) -> "Project":
        """Copy the working tree into an empty directory."""
        if not (ROOT / ".git").exists():
            raise pytest.UsageError(
                "tests of the workflow need a git repository: run `git init && git add --all`"
            )
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listing.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(("results/", "dvc.lock", "tests/")):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, directory / name)
        project = cls(directory)
        project.change(TINY)
        project.run("git", "init", "--quiet")
        project.run("git", "config", "user.name", "test")
        project.run("git", "config", "user.email", "test@localhost")
        return project

    def copy(self, directory: Path) -> "Project":
        """Copy the project with its results into a directory that does not exist."""
        shutil.copytree(self.directory, directory, symlinks=True)  # keeps modification times
        return Project(directory)

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

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file; its modification time becomes newer than every result's."""
        path = self.directory / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "state")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process, with the programs of the virtual environment first."""
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def start(self, *command: str) -> Process:
        """Start a command in the project, in a new process group."""
        return Process(
            command,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(
        self, *command: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        """Run a command in the project, with additional environment variables."""
        process = Process(
            command,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment | (environment or {}),
        )
        try:
            output, _ = process.communicate(timeout=Process.MAX_SECONDS)
        except BaseException:
            process.kill_group()
            raise
        result = subprocess.CompletedProcess(command, process.returncode, output)
        if check and result.returncode:
            raise AssertionError(
                f"{' '.join(command)} exited with {result.returncode}:\n{result.stdout[-6000:]}"
            )
        return result

    def snakemake(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess:
        return self.run("snakemake", "--cores", "2", *arguments, **options)

    def planned(self, *arguments: str) -> dict[str, int]:
        """{rule: number of jobs} that Snakemake would run, without target rules."""
        output = self.snakemake("--dry-run", *arguments).stdout
        if "Nothing to be done" in output:
            return {}
        table = output.rpartition("Job stats:")[2].split("\n\n")[0].splitlines()[3:]
        counts = {line.split()[0]: int(line.split()[1]) for line in table}
        return {rule: count for rule, count in counts.items() if rule not in ("total", "all")}


#: The embedded preset, reduced until the workflow takes less than a minute.
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
def make_project() -> Callable[[Path], Project]:
    """A function that creates a small project in an empty directory."""
    return Project.create


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory) -> Project:
    """A committed small project on which `snakemake` has run; not to be changed.

    With several processes of pytest-xdist, the first that needs it creates it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    project, done = Project(folder / "finished"), folder / "finished.done"
    with FileLock(folder / "finished.lock"):
        if not done.exists():
            project.directory.mkdir()
            Project.create(project.directory).commit()
            # As in a Jupyter notebook, whose backend Matplotlib refuses where it is missing; without a locale
            backend = "module://matplotlib_inline.backend_inline"
            project.snakemake(environment={"MPLBACKEND": backend, "LC_ALL": "C", "PYTHONUTF8": "0"})
            done.touch()
    return project


@pytest.fixture
def finished_copy(finished_project, tmp_path) -> Project:
    """A copy of the finished project, which a test may change."""
    return finished_project.copy(tmp_path / "project")


@pytest.fixture
def project(tmp_path) -> Project:
    """A small project in which nothing has run."""
    return Project.create(tmp_path)
