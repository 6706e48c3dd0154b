"""Full and read-only disks, damaged files, wrong clocks: an error with the file, then the same bytes."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.workflow]
RESULTS = "results/embedded"


@pytest.fixture
def mount(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system on an empty directory: `mount("size=200k")`."""
    place = tmp_path / "disk"
    place.mkdir()

    def run(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("file systems can be mounted by root only")
        return place

    yield run
    with contextlib.suppress(OSError):
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)


def hashes(directory: Path) -> dict[str, str]:
    """{path: SHA-256} of the files below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_results_may_be_a_link_to_another_disk_which_fills_up(project, finished_project, mount):
    disk = mount("size=64k")
    (project.directory / "results").symlink_to(disk)
    result = project.snakemake("data", check=False)
    assert result.returncode != 0
    assert "cannot be written (No space left on device)" in result.stdout
    assert "Traceback" not in result.stdout
    assert [path for path in disk.rglob("*.h5")] == []
    assert [path for path in disk.rglob(".*.tmp")] == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    project.snakemake("data")
    expected = hashes(finished_project.directory / RESULTS / "clouds")
    assert hashes(project.directory / RESULTS / "clouds") == expected


def test_read_only_results_stop_the_run_in_one_line(project, mount):
    project.snakemake(f"{RESULTS}/objects.csv")
    disk = mount("size=8m")
    shutil.copytree(project.directory / "results", disk / "results")
    shutil.rmtree(project.directory / "results")
    (project.directory / "results").symlink_to(disk / "results")
    before = hashes(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    result = project.snakemake("--forcerun", "list_objects", "--", f"{RESULTS}/objects.csv", check=False)
    assert result.returncode != 0
    assert "Write-protected output files for rule list_objects" in result.stdout
    assert hashes(disk) == before


FLIPS = {  # a file, the rule that reads it, its target, and what the message says to delete
    "renders/cone/original/*.png": (
        "embed_images", "embeddings/prompts/tiny-clip-patch8.h5", "renders/cone",
    ),
    "clouds/cone.h5": ("render_class", "renders/cone", "clouds/cone.h5"),
    "embeddings/points/pointnet.h5": (
        "train_mapper", "mappers/objects/none/runs.json", "embeddings/points/pointnet.h5",
    ),
    "encoders/points/pointnet/model.safetensors": (
        "embed_points", "embeddings/points/pointnet.h5", "encoders/points/pointnet/model.safetensors",
    ),
    "encoders/images/tiny-clip-patch8/open_clip_model.safetensors": (
        "embed_images", "embeddings/prompts/tiny-clip-patch8.h5", "encoders/images/tiny-clip-patch8",
    ),
    "mappers/objects/none/seed_0_last.safetensors": (
        "evaluate_mappers", "evaluations/objects/records.csv", "mappers/objects/none/seed_0_last.safetensors",
    ),
}  # fmt: skip


def test_a_flipped_byte_is_named_and_the_file_is_rebuilt(finished_copy):
    """In the middle of a file, with its modification time unchanged, as a failing disk does it."""
    results = finished_copy.directory / RESULTS
    rng = np.random.default_rng(0)
    for pattern, (rule, target, delete) in FLIPS.items():
        path = next(iter(sorted(results.glob(pattern))))
        content, times = path.read_bytes(), path.stat()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        result = finished_copy.snakemake("--forcerun", rule, "--", f"{RESULTS}/{target}", check=False)
        assert result.returncode != 0, pattern
        assert f"{path.relative_to(results)}" in result.stdout, result.stdout[-3000:]
        broken = results / delete
        shutil.rmtree(broken) if broken.is_dir() else broken.unlink()
        finished_copy.snakemake("--", f"{RESULTS}/{target}")
        assert path.read_bytes() == content, pattern


def test_a_clock_that_is_set_back_loses_nothing(project, finished_project):
    """Clouds are dated an hour in the future, as after the clock was set back."""
    project.snakemake("data")
    clouds = project.directory / RESULTS / "clouds/cone.h5"
    times = clouds.stat()
    os.utime(clouds, (time.time() + 3600, time.time() + 3600))
    result = project.snakemake(f"{RESULTS}/renders/cone", check=False)
    assert result.returncode != 0
    assert "clock skew problem" in result.stdout
    renders = project.directory / RESULTS / "renders/cone"
    assert not renders.exists()
    os.utime(clouds, ns=(times.st_atime_ns, times.st_mtime_ns))
    project.snakemake(f"{RESULTS}/renders/cone")
    assert hashes(renders) == hashes(finished_project.directory / RESULTS / "renders/cone")
    assert project.planned(f"{RESULTS}/renders/cone") == {}
