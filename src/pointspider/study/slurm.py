"""Jobs of earlier runs in the queue of Slurm."""

import os
import shutil
import subprocess
from pathlib import Path


def running_jobs(directory: Path) -> list[str]:
    """Return the ids of the user's unfinished Slurm jobs that were submitted from a directory.

    A run that was killed leaves its jobs in the queue. A new run would submit them again, and two jobs would
    write the same files. The job of this process does not count. Without a working `squeue`, the list is
    empty.
    """
    if shutil.which("squeue") is None:
        return []
    command = [
        "squeue",
        "--noheader",
        "--me",
        "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED",
        "--format=%A %Z",
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    jobs = dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)
    own = os.environ.get("SLURM_JOB_ID")
    return sorted(job for job, place in jobs.items() if job != own and Path(place) == directory.resolve())
