import os

import pytest

from pointspider.study.slurm import impossible_requests


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """A cluster of a small node with GPUs and a large one without."""
    sinfo = tmp_path / "sinfo"
    sinfo.write_text('#!/bin/sh\necho "8 32000 gpu:a100:2(S:0-1),gpu:1"\necho "64 256000+ (null)"\n')
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_requests_that_one_node_fulfils_are_possible(nodes):
    requests = {"small": {"_cores": 8, "mem_mb": 32000, "gpu": 3}, "large": {"_cores": 64, "mem_mb": 256000}}
    assert impossible_requests(requests | {"none": {"_cores": 1, "gpu": 0, "tmpdir": "/tmp"}}) == []


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"_cores": 65}, "65 CPUs"),
        ({"_cores": 1, "mem_mb": 300000}, "1 CPUs, 300000 MB of memory"),
        ({"_cores": 16, "gpu": 1}, "16 CPUs, 1 GPUs"),  # no node has both
        ({"gpu": 4}, "4 GPUs"),
    ],
)
def test_a_request_that_no_node_fulfils_is_named(nodes, resources, words):
    expected = f"train asks for {words}: no node of Slurm has them."
    assert impossible_requests({"train": resources}) == [expected]


def test_without_slurm_every_request_is_possible(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert impossible_requests({"train": {"_cores": 1000}}) == []
