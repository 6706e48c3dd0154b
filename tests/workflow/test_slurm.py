"""profiles/slurm on a Slurm of one node without accounting, from Debian's packages slurm-wlm and munge."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RESULTS = "results/embedded"
CONFIGURATION = Path("/etc/slurm/slurm.conf")  # job steps read it there
DAEMONS = ("munged", "slurmctld", "slurmd")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start the daemons of a cluster of this machine, and stop them."""
    if os.geteuid() or not all(map(shutil.which, (*DAEMONS, "sbatch"))):
        pytest.skip("needs Slurm and root")
    if CONFIGURATION.exists():
        pytest.skip(f"{CONFIGURATION} exists")
    directory = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "munge"):
        (directory / name).mkdir(mode=0o700)
    key = directory / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host, munge = socket.gethostname().split(".")[0], directory / "munge/socket"
    settings = {
        "ClusterName": "test", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmUser": "root",
        "AuthType": "auth/munge", "AuthInfo": f"socket={munge}", "CredType": "cred/munge",
        "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core_Memory",
        "SlurmdParameters": "config_overrides", "ReturnToService": "2", "MpiDefault": "none",
        "SlurmctldPort": "26817", "SlurmdPort": "26818", "StateSaveLocation": directory / "state",
        "SlurmdSpoolDir": directory / "spool",
    }  # fmt: skip
    for name in DAEMONS[1:]:
        prefix = name.capitalize()
        settings |= {
            f"{prefix}PidFile": directory / f"{name}.pid",
            f"{prefix}LogFile": directory / f"{name}.log",
        }
    node = f"NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000 State=UNKNOWN"
    partition = f"PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP"
    lines = [*(f"{name}={value}" for name, value in settings.items()), node, partition]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text("\n".join(lines) + "\n")
    munged = ["munged", "--force", f"--key-file={key}", f"--socket={munge}", f"--seed-file={munge}.seed"]
    munged += [f"--pid-file={directory}/munged.pid", f"--log-file={munge}.log"]
    try:
        for command in (munged, ["slurmctld"], ["slurmd"]):
            subprocess.run(command, check=True)
        wait(lambda: "idle" in output("sinfo", "--noheader", "--format=%T"))
        yield directory
    finally:
        output("scancel", "--user=root")
        for name in reversed(DAEMONS):
            path = directory / f"{name}.pid"
            if path.exists():
                os.kill(int(path.read_text()), signal.SIGTERM)
        CONFIGURATION.unlink()


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


def wait(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_jobs_run_as_arrays_without_accounting(cluster, project):
    result = project.run("snakemake", "--profile", "profiles/slurm", "data")
    assert "6 of 6 steps (100%) done" in result.stdout
    assert len(list((project.directory / RESULTS / "clouds").glob("*.h5"))) == 3
    assert result.stdout.count("Submitted array job") == 1


def test_the_log_of_a_failed_job_is_printed(cluster, project):
    project.edit(
        "workflow/scripts/list_objects.py", "    write_csv(", "    raise ZeroDivisionError\n    write_csv("
    )
    options = ("--retries", "0", f"{RESULTS}/objects.csv")
    result = project.run("snakemake", "--profile", "profiles/slurm", *options, check=False)
    assert result.returncode != 0
    assert "Error in rule list_objects:" in result.stdout
    assert "ZeroDivisionError" in result.stdout
