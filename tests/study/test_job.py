"""The wrapper of the workflow's jobs."""

import logging
import os
import subprocess
import sys

import pytest

from pointspider.core.errors import InputError
from pointspider.study.job import job


def test_a_job_ends_with_one_line_on_bad_input(tmp_path, capsys):
    log = tmp_path / "logs/step.log"
    with pytest.raises(SystemExit, match=r"^1$"), job(log):
        raise InputError("cloud.npy: holds NaN.")
    assert capsys.readouterr().err == "pointspider: cloud.npy: holds NaN.\n"
    assert "cloud.npy: holds NaN." in log.read_text()


def test_a_job_prints_its_warnings_and_logs_those_of_libraries(tmp_path, capsys):
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


@pytest.mark.parametrize("conda", [False, True])
def test_a_job_in_a_conda_environment_leaves_out_the_packages_of_snakemake(conda):
    """Before it imports anything else."""
    added = ["/snakemake/lib/site-packages", "/snakemake/src"]
    code = (
        f"import sys; before = [*sys.path]; sys.path.extend({added}); import pointspider.study.job; "
        "print([path for path in sys.path if path not in before], set(before) <= set(sys.path))"
    )
    environment = os.environ | {"CONDA_PREFIX": sys.prefix if conda else "/elsewhere"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == f"{added[conda:]} True"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
@pytest.mark.parametrize("importing", [False, True])
def test_a_job_ends_when_its_workflow_is_killed(tmp_path, importing):
    """Also one that has not finished its imports, and does not watch its workflow yet."""
    script = tmp_path / "job.py"
    ready = "print('ready', flush=True)\n"
    script.write_text(
        "import time\nfrom pointspider.study.job import job\n"
        f"{ready + 'time.sleep(1)' if importing else ''}\n"
        f"with job({str(tmp_path / 'log')!r}):\n    {ready}    time.sleep(60)\n"
    )
    workflow = (
        "import subprocess\nfrom pointspider.study.job import announce_workflow\nannounce_workflow()\n"
        f"subprocess.run([{sys.executable!r}, {str(script)!r}])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", workflow], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    # The end of the pipe: the job, which has it too, has ended
    assert parent.communicate(timeout=30)[0] == ""
