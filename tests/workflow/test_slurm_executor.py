"""What workflow/rules/slurm.smk changes in the executor, with commands in place of those of Slurm."""

import asyncio
import logging
import os
import threading

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry


@pytest.fixture
def executor(root, tmp_path, monkeypatch):
    """The class that a run uses, without its threads; `failed` lists the jobs that it reports."""
    plugin = ExecutorPluginRegistry().get_plugin("slurm")
    monkeypatch.setattr(plugin, "executor", plugin.executor)  # the original again, after the test
    exec((root / "workflow/rules/slurm.smk").read_text(), {"WorkflowError": RuntimeError})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    instance = object.__new__(plugin.executor)
    instance.cancelled, instance.unknown, instance.failed = threading.Event(), set(), []
    instance.logger, instance._status_query_calls = logging.getLogger("test"), 0
    instance.report_job_error = lambda job, msg: instance.failed.append((job.external_jobid, msg))
    instance._report_job_error_threadsafe = lambda job, msg: instance.failed.append((job.job, msg))
    return instance


@pytest.fixture
def command(tmp_path):
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return write


def check(executor, monkeypatch, answers: bool) -> list[str]:
    """Ids of the jobs that stay active of 7 and 8, none of which the original reports as finished."""

    async def original(self, jobs):
        self._status_query_calls += answers
        for job in jobs if answers else []:
            yield job

    async def collect():
        jobs = [SubmittedJobInfo(None, number) for number in ("7", "8")]
        return [job.external_jobid async for job in executor.check_active_jobs(jobs)]

    monkeypatch.setattr(type(executor).__mro__[1], "check_active_jobs", original)
    return asyncio.run(collect())


def test_jobs_stay_while_slurm_does_not_answer(executor, command, monkeypatch):
    command("squeue", "exit 1")
    for _ in range(3):
        assert check(executor, monkeypatch, answers=False) == ["7", "8"]
    assert executor.failed == []


def test_nothing_is_asked_before_the_first_job(executor):
    """The thread that asks starts before the executor has its attributes."""

    async def collect():
        return [job async for job in executor.check_active_jobs([])]

    del executor._status_query_calls, executor.unknown
    assert asyncio.run(collect()) == []


def test_a_job_that_slurm_lost_fails_at_the_second_check(executor, command, monkeypatch):
    command("squeue", "echo 8")
    assert check(executor, monkeypatch, answers=True) == ["7", "8"]
    assert check(executor, monkeypatch, answers=True) == ["8"]
    assert executor.failed == [("7", "Slurm does not know job 7 any more. ")]


def test_an_error_of_a_submission_fails_the_job(executor, command, monkeypatch):
    """The original's handler of errors raises another one for groups."""

    def original(self, job):
        try:
            raise ValueError("no partition")
        except ValueError:
            raise AttributeError("rule") from None

    command("scontrol", "exit 0")
    monkeypatch.setattr(type(executor).__mro__[1], "run_job", original)
    executor.run_job("group")
    assert executor.failed == [("group", "Slurm: no partition")]


def test_a_submission_waits_for_the_controller_until_it_is_cancelled(executor, command):
    command("scontrol", "exit 1")
    thread = threading.Thread(target=executor.run_job, args=("job",))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    executor.cancelled.set()
    thread.join(10)
    assert executor.failed == [("job", "Slurm: cancelled")]
