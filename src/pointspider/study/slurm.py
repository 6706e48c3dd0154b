"""What the queue and the nodes of Slurm say before a run starts."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

#: What a job can ask for: its name in Snakemake's resources, and in a message.
UNITS = {"_cores": "CPUs", "mem_mb": "MB of memory", "gpu": "GPUs"}


def running_jobs(directory: Path) -> list[str]:
    """Return the ids of unfinished Slurm jobs of the runs in a directory.

    A run that was killed leaves its jobs in the queue. A new run would submit them again, and two jobs would
    write the same files. Jobs are found by their log files, which the executor writes below the directory.
    The job of this process does not count. Without a working `squeue`, the list is empty.
    """
    states = "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED"
    lines = _lines("squeue", "--noheader", "--me", states, "--Format=JobID:32,STDOUT:4096")
    jobs = dict(line.split(maxsplit=1) for line in lines if " " in line.strip())
    logs, own = directory.resolve() / ".snakemake/slurm_logs", os.environ.get("SLURM_JOB_ID")
    return sorted(job for job, log in jobs.items() if job != own and logs in Path(log.strip()).parents)


def impossible_requests(requests: Mapping[str, Mapping[str, object]]) -> list[str]:
    """A sentence for each request that no node of the cluster can fulfil.

    Slurm refuses such a job, or lets it wait for ever. Without a working `sinfo`, the list is empty.

    Args:
        requests: Snakemake's resources of a job, by the name of its rule.
    """
    nodes = [_capacity(line) for line in _lines("sinfo", "--noheader", "--Node", "--format=%c %m %G")]
    if not nodes:
        return []
    problems = []
    for rule, resources in requests.items():
        asked = {name: resources.get(name) for name in UNITS}
        wanted = {name: value for name, value in asked.items() if isinstance(value, int) and value > 0}
        if not any(all(node[name] >= value for name, value in wanted.items()) for node in nodes):
            request = ", ".join(f"{value} {UNITS[name]}" for name, value in wanted.items())
            problems.append(f"{rule} asks for {request}: no node of Slurm has them.")
    return problems


def _capacity(line: str) -> dict[str, int]:
    """CPUs, memory and GPUs of a node from `sinfo --format='%c %m %G'`, e.g. `8 32000 gpu:a100:2(S:0)`."""
    cpus, memory, devices = line.split(maxsplit=2)
    gpus = re.findall(r"gpu(?::[^:,()]+)?:(\d+)", devices)
    return {"_cores": int(cpus.rstrip("+")), "mem_mb": int(memory.rstrip("+")), "gpu": sum(map(int, gpus))}


def _lines(command: str, *arguments: str) -> Iterable[str]:
    """What a command of Slurm prints; nothing if it is missing or fails."""
    if shutil.which(command) is None:
        return []
    try:
        result = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return result.stdout.splitlines()
