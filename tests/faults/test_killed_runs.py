"""Runs and jobs that are killed: the next run resumes, and its results are those of an undisturbed run."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.workflow]
RESULTS = "results/embedded"
KILLS = 22
MAX_SECONDS = 1800
#: Name of the rule's script in the command of a job.
SCRIPT = re.compile(r"\.snakemake/scripts/\w+\.(\w+)\.py")
#: Files that hold measured times, and logs; the page to explore shows Table I.
MEASURED = ("speed", "table5_seconds")


def hashes(directory: Path) -> dict[str, str]:
    """{path: SHA-256} of the files below a directory, without measurements."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        for name in [str(path.relative_to(directory))]
        if not any(part in name for part in MEASURED)
    }


def descendants(pid: int) -> list[tuple[int, str]]:
    """(pid, command line) of the processes that a process started, the nearest first."""
    found = []
    with contextlib.suppress(OSError):  # one that has just ended
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [(int(child), command), *descendants(int(child))]
    return found


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for has."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def unlock(project) -> None:
    """As `snakemake --unlock` does."""
    shutil.rmtree(project.directory / ".snakemake/locks", ignore_errors=True)


def test_a_run_killed_at_random_moments_loses_no_byte(finished_project, make_project, tmp_path):
    """Half of the kills hit Snakemake alone, whose jobs then end too; half of them the jobs as well."""
    project = make_project(tmp_path / "project")
    start = time.monotonic()
    project.planned()
    start = time.monotonic() - start  # of Snakemake, before the first job
    rng, kills, hit = np.random.default_rng(0), 0, set()
    deadline = time.monotonic() + MAX_SECONDS
    while kills < KILLS:
        assert time.monotonic() < deadline
        run = project.start("snakemake", "--cores", "2")
        time.sleep(start * rng.uniform(0.3, 4))
        if run.poll() is not None:  # all is done: lose the last phases
            assert run.returncode == 0
            shutil.rmtree(project.directory / RESULTS / "embeddings")
            continue
        jobs = {pid: match[1] for pid, command in descendants(run.pid) if (match := SCRIPT.search(command))}
        if rng.random() < 0.5:
            os.killpg(run.pid, signal.SIGKILL)
        else:
            run.kill()
        run.wait()
        kills += 1
        hit |= set(jobs.values())
        last = time.monotonic() + 120  # one that is importing ends after that
        while any(map(runs, jobs)) and time.monotonic() < last:
            time.sleep(0.05)
        assert not any(map(runs, jobs))
        unlock(project)
    project.snakemake()
    assert len(hit) >= 4, hit  # rules in the middle of whose jobs the run was killed
    assert hashes(project.directory / RESULTS) == hashes(finished_project.directory / RESULTS)
    assert project.planned() == {}


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_and_resumes(project, finished_project, signal_):
    run = project.start("snakemake", "--cores", "1", "render")
    renders = project.directory / RESULTS / "renders"
    run.run_until(lambda: list(renders.rglob("*.png")))
    os.kill(run.pid, signal_)
    assert run.wait(timeout=60) != 0
    project.snakemake("render")
    for folder in ("clouds", "renders"):
        expected = finished_project.directory / RESULTS / folder
        assert hashes(project.directory / RESULTS / folder) == hashes(expected)


def test_a_killed_job_stops_the_run_with_its_name_and_is_repeated(project, finished_project):
    project.snakemake("data")
    run = project.start("snakemake", "--cores", "1", f"{RESULTS}/renders/cone")
    renders = project.directory / RESULTS / "renders/cone"
    run.run_until(lambda: list(renders.rglob("*.png")))
    job = next(pid for pid, command in reversed(descendants(run.pid)) if "render_class.py" in command)
    os.kill(job, signal.SIGKILL)
    assert run.wait(timeout=60) != 0
    assert not renders.exists()
    log = max((project.directory / ".snakemake/log").glob("*.log")).read_text(encoding="utf-8")
    assert "Error in rule render_class" in log
    project.snakemake(f"{RESULTS}/renders/cone")
    assert hashes(renders) == hashes(finished_project.directory / RESULTS / "renders/cone")
