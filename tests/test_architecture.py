"""Seeds, names, the job wrapper, and the direction of imports."""

import ast
import logging
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES, CorruptionLevel, cloud_id, levels
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.study.job import job


def test_streams_depend_on_their_names_alone():
    draws = [generator(1, "chair", 3).random(4) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    others = [
        generator(1, "chair", 4),
        generator(2, "chair", 3),
        generator(1, "chair/3"),
        generator(1, "chai", "r", 3),
    ]
    assert not any(np.array_equal(draws[0], other.random(4)) for other in others[:2] + others[3:])


def test_modelnet40_has_40_sorted_classes():
    assert len(MODELNET40_CLASSES) == 40
    assert sorted(MODELNET40_CLASSES) == list(MODELNET40_CLASSES)


def test_names_of_clouds():
    assert cloud_id("chair", CLEAN, "0003") == "chair/original/0003"
    assert cloud_id("chair", CorruptionLevel("uniform", 2), "0003") == "chair/uniform_2/0003"
    assert [str(v) for v in levels(["a", "b"], [1, 5])] == ["a_1", "a_5", "b_1", "b_5"]


def test_a_job_ends_with_one_line_on_bad_input(tmp_path, capsys):
    log = tmp_path / "logs/step.log"
    with pytest.raises(SystemExit, match=r"^1$"), job(log):
        raise InputError("cloud.npy: holds NaN.")
    assert capsys.readouterr().err == "pointspider: cloud.npy: holds NaN.\n"
    assert "cloud.npy: holds NaN." in log.read_text()


def test_a_job_tells_its_warnings_on_the_terminal_and_others_to_the_log(tmp_path, capsys):
    log = tmp_path / "step.log"
    with job(log):
        logging.getLogger("pointspider.render.backends").warning("rendering with scalar_rgb")
        logging.getLogger("drjit").warning("of a library")
    assert capsys.readouterr().err == "pointspider: rendering with scalar_rgb\n"
    assert "of a library" in log.read_text()


def test_a_job_logs_an_unexpected_traceback(tmp_path):
    log = tmp_path / "step.log"
    with pytest.raises(ZeroDivisionError), job(log):
        _ = 1 / 0
    assert "ZeroDivisionError" in log.read_text()


HEAVY = {"drjit", "mitsuba", "numpy", "open_clip", "pandas", "pydantic", "scipy", "torch", "transformers"}


def test_imports_run_one_way():
    """The contracts are in pyproject.toml, [tool.importlinter]."""
    result = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_no_module_imports_relatively():
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path


def test_importing_the_package_is_instant():
    code = f"import sys, pointspider; print(sorted(set(sys.modules) & {HEAVY!r}))"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    empty = time.perf_counter() - start
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start - empty < 0.2
    assert result.stdout.strip() == "[]"
