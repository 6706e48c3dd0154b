"""A Snakemake executor whose jobs only wait: it shows what the scheduler itself costs.

A job ends `POINTSPIDER_JOB_SECONDS` after its submission, and leaves empty outputs. benchmarks/scheduler.py
puts this folder on PYTHONPATH: Snakemake finds executors by the name of their module.
"""

import heapq
import os
import threading
import time
from itertools import count
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import AbstractExecutor, SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

#: Seconds between queries of which jobs have ended, as a cluster is queried.
POLL_SECONDS = 0.2
common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


class Executor(AbstractExecutor):
    """One thread ends the jobs in the order of their times."""

    def __init__(self, workflow, logger):
        super().__init__(workflow, logger)
        self._seconds = float(os.environ["POINTSPIDER_JOB_SECONDS"])
        self._running: list[tuple[float, int, SubmittedJobInfo]] = []
        self._order = count()
        self._lock = threading.Lock()
        threading.Thread(target=self._end_jobs, daemon=True).start()

    def run_job(self, job: JobExecutorInterface) -> None:
        info = SubmittedJobInfo(job=job)
        self.report_job_submission(info)
        with self._lock:
            heapq.heappush(self._running, (time.monotonic() + self._seconds, next(self._order), info))

    def _end_jobs(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                ended = []
                while self._running and self._running[0][0] <= time.monotonic():
                    ended.append(heapq.heappop(self._running)[-1])
            for info in ended:
                for path in map(Path, info.job.output):
                    path.parent.mkdir(exist_ok=True)
                    path.touch()
                self.report_job_success(info)

    def handle_job_success(self, job: JobExecutorInterface) -> None: ...

    def handle_job_error(self, job: JobExecutorInterface) -> None: ...

    def cancel(self) -> None: ...

    def shutdown(self) -> None: ...

    @property
    def cores(self):
        return None
