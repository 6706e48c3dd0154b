"""Benchmarks that need hardware or hours: their code, in small."""

import importlib
import subprocess
import sys

import pytest

from pointspider.core.files import read_json


def run(root, *arguments):
    command = [sys.executable, root / "benchmarks/gpu.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_in_small_on_a_cpu(root, tmp_path):
    child = run(root, "--device", "cpu", "--quick", "--out", tmp_path / "gpu.md")
    page = (tmp_path / "gpu.md").read_text()
    assert child.returncode == 0, page + child.stderr
    assert page.startswith("# Rehearsal on a CPU: no figure of a GPU")
    for row in ("| reference |", "| ours | clip | 32 |", "| BASE |", "| LNORM | noise |", "| ViT-B/32 |"):
        assert row in page


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_says_that_there_is_none(root):
    child = run(root)
    if child.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert child.stderr == "gpu.py: PyTorch finds no CUDA device. Rehearse with --device cpu --quick.\n"


def test_the_page_of_scale_is_computed_from_its_measurements(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "benchmarks")
    scale = importlib.import_module("scale")
    data = read_json(scale.DATA)
    assert scale.page(data) == (root / "docs/scale.md").read_text()
    few, many = (scale.costs(data["phases"], clouds) for clouds in (1000, 2000))
    assert many["total"] == pytest.approx(2 * few["total"])
    assert many["files"] == {"png": 2000, "shards": 2}
    assert scale.quantity(1234) == "1,200"
    assert scale.size(2_500_000) == "2.5 MB"
