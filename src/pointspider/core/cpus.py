"""How many CPUs this process may use."""

import os
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs this process may keep busy: the least of its affinity and its cgroups' quotas.

    `os.cpu_count` counts those of the machine, also in a container that is limited to one of them. A quota of
    2.5 CPUs counts as 2, one of half a CPU as 1. PYTHON_CPU_COUNT replaces the affinity, as it does in
    `os.process_cpu_count` of Python 3.13.

    Args:
        root: where /proc and /sys are mounted; tests give another.
    """
    given = os.environ.get("PYTHON_CPU_COUNT", "")
    if given.isdecimal() and int(given):
        cpus = int(given)
    elif hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return max(1, min([cpus, *(int(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> list[float]:
    """CPU quotas of this process's cgroups and of all groups above them (cgroups(7), versions 1 and 2)."""
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):  # a container without cgroup namespace shows the host's path
            if controllers:
                base = root / "sys/fs/cgroup/cpu" / folder
                limit = f"{_read(base / 'cpu.cfs_quota_us')} {_read(base / 'cpu.cfs_period_us')}"
            else:
                limit = _read(root / "sys/fs/cgroup" / folder / "cpu.max")
            numbers = [int(word) for word in limit.split() if word.isdecimal()]
            if len(numbers) == 2 and numbers[1]:  # "max 100000" and "-1 100000" are no limits
                quotas.append(numbers[0] / numbers[1])
    return quotas


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
