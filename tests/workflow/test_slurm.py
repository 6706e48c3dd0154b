"""profiles/slurm on a Slurm of one node without accounting, from Debian's packages slurm-wlm and munge."""

import hashlib
import os
import re
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
GPUS = CONFIGURATION.with_name("gres.conf")
MAX_SECONDS = 300
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
        "SlurmdSpoolDir": directory / "spool", "GresTypes": "gpu",
    }  # fmt: skip
    for name in DAEMONS[1:]:
        prefix = name.capitalize()
        settings |= {
            f"{prefix}PidFile": directory / f"{name}.pid",
            f"{prefix}LogFile": directory / f"{name}.log",
        }
    node = f"NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000 Gres=gpu:1 State=UNKNOWN"
    partition = f"PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP"
    lines = [*(f"{name}={value}" for name, value in settings.items()), node, partition]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text("\n".join(lines) + "\n")
    GPUS.write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    munged = ["munged", "--force", f"--key-file={key}", f"--socket={munge}", f"--seed-file={munge}.seed"]
    munged += [f"--pid-file={directory}/munged.pid", f"--log-file={munge}.log"]
    try:
        for command in (munged, ["slurmctld"], ["slurmd"]):
            subprocess.run(command, check=True, timeout=60)
        wait(lambda: "idle" in output("sinfo", "--noheader", "--format=%T"))
        yield directory
    finally:
        output("scancel", "--user=root")
        for name in reversed(DAEMONS):
            path = directory / f"{name}.pid"
            if path.exists():
                os.kill(int(path.read_text()), signal.SIGTERM)
        CONFIGURATION.unlink()
        GPUS.unlink()


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


def wait(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


#: Ask for the status of jobs every 2 s instead of 40, as suits jobs of seconds.
PROFILE = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
PROFILE += ("--seconds-between-status-checks", "2", "--latency-wait", "5")


def restart_slurmctld(directory: Path, job: str, seconds: float) -> None:
    """Kill the controller when it has saved the state of a job, and start it again after some time.

    It saves within 5 s. After an earlier crash, Slurm gives the number of a running job to another one.
    """
    changed = time.time()
    subprocess.run(["scontrol", "update", f"jobid={job}", "comment=saved"], check=True, timeout=60)
    wait(lambda: (directory / "state/job_state").stat().st_mtime > changed)
    path = directory / "slurmctld.pid"
    os.kill(int(path.read_text()), signal.SIGKILL)
    time.sleep(seconds)
    path.unlink(missing_ok=True)
    subprocess.run(["slurmctld"], check=True, timeout=60)


def queue(state: str = "RUNNING") -> list[str]:
    return output("squeue", "--noheader", f"--states={state}", "--format=%A").split()


def hashes(directory: Path) -> dict[str, str]:
    """{path: SHA-256}, without measured times."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.relative_to(directory).parts[0].startswith("speed")
    }


def test_the_results_are_those_of_a_local_run(cluster, project, finished_project, count_submissions):
    """Without accounting."""
    planned, started = count_submissions(project), time.monotonic()
    run = project.start("snakemake", *PROFILE)
    assert run.wait() == 0
    seconds = time.monotonic() - started
    assert hashes(project.directory / RESULTS) == hashes(finished_project.directory / RESULTS)
    (log,) = (project.directory / ".snakemake/log").glob("*.log")
    text = log.read_text()
    assert text.count("has been submitted with SLURM jobid") == planned
    job = re.search(r"has been submitted with SLURM jobid (\d+) \(log: \S+group_speed", text)[1]
    shown = output("scontrol", "show", "job", job)
    for text in ("NumCPUs=4", "TimeLimit=06:00:00", "MinMemoryNode=4000M"):
        assert text in shown
    assert seconds < MAX_SECONDS or "CI" not in os.environ, seconds  # other machines may have other work


def test_the_log_of_a_failed_job_is_printed(cluster, project):
    project.edit(
        "workflow/scripts/list_objects.py", "    write_csv(", "    raise ZeroDivisionError\n    write_csv("
    )
    result = project.run("snakemake", *PROFILE, "--retries", "0", f"{RESULTS}/objects.csv", check=False)
    assert result.returncode != 0
    assert "list_objects" in result.stdout
    assert "ZeroDivisionError" in result.stdout


def test_a_killed_job_is_tried_again(cluster, project, finished_project):
    """Then the controller is away for longer than the 9 s for which Slurm's commands wait for it.

    The second job ends in that time.
    """
    project.edit(
        "workflow/scripts/draw_manifests.py", "with job(", "import time\n\ntime.sleep(15)\nwith job("
    )
    run = project.start(
        "snakemake",
        *PROFILE,
        "--set-resources",
        "draw_manifests:gpu=1",
        "--",
        f"{RESULTS}/manifests/test.csv",
    )
    wait(queue)
    (job,) = queue()
    assert "TresPerJob=gres:gpu:1" in output("scontrol", "show", "job", job)
    subprocess.run(["scancel", job], check=True, timeout=60)
    wait(lambda: set(queue()) - {job})
    (second,) = set(queue()) - {job}
    restart_slurmctld(cluster, second, seconds=40)
    assert run.wait() == 0
    manifest = f"{RESULTS}/manifests/test.csv"
    assert (project.directory / manifest).read_bytes() == (finished_project.directory / manifest).read_bytes()
    (log,) = (project.directory / ".snakemake/log").glob("*.log")
    assert log.read_text().count("has been submitted with SLURM jobid") == 2


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_workflow_that_was_killed_or_cancelled_continues(cluster, project, finished_project, sent):
    target = (f"{RESULTS}/renders/cone",)
    run = project.start("snakemake", *PROFILE, *target)
    wait(queue)
    os.killpg(run.pid, sent)
    assert run.wait(timeout=60) != 0
    if sent == signal.SIGKILL:  # its job is still there: a second one would write the same files
        jobs = queue()
        output("scontrol", "suspend", ",".join(jobs))  # until the next run has started
        project.snakemake("--unlock")
        refused = project.run("snakemake", *PROFILE, *target, check=False)
        assert refused.returncode != 0
        assert f"are still in the queue: {' '.join(jobs)}." in refused.stdout
        assert queue("PENDING,RUNNING,SUSPENDED") == jobs
        subprocess.run(["scancel", *jobs], check=True, timeout=60)
    wait(lambda: not queue("PENDING,RUNNING,COMPLETING"))
    project.run("snakemake", *PROFILE, *target)
    renders = f"{RESULTS}/renders/cone"
    assert hashes(project.directory / renders) == hashes(finished_project.directory / renders)


def test_a_request_that_no_node_fulfils_stops_the_run(cluster, project):
    requests = {
        "measure_speed": ("--cores", "16"),
        "list_objects": ("--set-resources", "list_objects:mem_mb=64000"),
        "draw_manifests": ("--set-resources", "draw_manifests:gpu=2"),
    }
    for rule, options in requests.items():
        result = project.run("snakemake", *PROFILE, *options, check=False)
        assert result.returncode != 0
        assert f"{rule} asks for " in result.stdout
        assert "no node of Slurm has them" in result.stdout
    assert queue("PENDING,RUNNING") == []
    assert not (project.directory / RESULTS).exists()
