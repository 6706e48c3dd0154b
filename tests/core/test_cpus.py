import os
import subprocess
import sys

import pytest

from pointspider.core.cpus import available_cpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that builds a file system with given files below it; the affinity is 8 CPUs."""
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def build(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return build


def test_without_cgroups_the_affinity_counts(machine, monkeypatch):
    assert available_cpus(machine({})) == 8
    monkeypatch.setenv("PYTHON_CPU_COUNT", "3")
    assert available_cpus(machine({})) == 3


@pytest.mark.parametrize(
    ("limit", "cpus"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("3200000 100000", 8)]
)
def test_a_quota_of_cgroups_2_limits(machine, limit, cpus):
    root = machine({"proc/self/cgroup": "0::/user/job\n", "sys/fs/cgroup/user/job/cpu.max": limit})
    assert available_cpus(root) == cpus


def test_the_least_quota_on_the_way_up_counts(machine):
    files = {"user/job/cpu.max": "max 100000", "user/cpu.max": "300000 100000", "cpu.max": "500000 100000"}
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    assert available_cpus(machine({"proc/self/cgroup": "0::/user/job\n", **files})) == 3


@pytest.mark.parametrize(("quota", "cpus"), [("200000", 2), ("-1", 8)])
def test_a_quota_of_cgroups_1_limits(machine, quota, cpus):
    root = machine(
        {
            "proc/self/cgroup": "3:memory:/a\n2:cpuacct,cpu:/docker/a\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,  # as a container sees its group
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert available_cpus(root) == cpus


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_of_this_process_counts():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from pointspider.core.cpus import available_cpus; print(available_cpus())"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON_CPU_COUNT"}
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert child.stdout == "1\n"
