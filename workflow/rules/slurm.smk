# Runs with profiles/slurm that outlast an absence of Slurm's controller, and end when they are cancelled.
#
# INPUTS    the executor `slurm`
# OUTPUTS   a class in its place
# STEPS     ask for the status of jobs, submit, cancel; no rules
#
# Of snakemake-executor-plugin-slurm 2.8.0:
# - If no query of the jobs' status succeeds, it forgets the jobs and waits for them for ever.
# - It waits for ever for a job that Slurm does not know, because its controller crashed before it saved the job.
# - If the submission of a group raises an error, it waits for ever too: its handler expects a single job.
# - It asks for a status after 10 s more each time, up to 180 s, and a cancelled run ends only after that.
# - It runs the jobs of a group one after another, each by a second Snakemake as a step of Slurm, for which every
#   change of a step needs the controller.

import asyncio
import subprocess
import threading
import time

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

if ExecutorPluginRegistry().is_installed("slurm"):
    slurm_plugin = ExecutorPluginRegistry().get_plugin("slurm")

    class SlurmExecutor(slurm_plugin.executor):
        """Keeps its jobs while the controller does not answer, and submits no other ones then."""

        def __post_init__(self, *arguments):
            self.cancelled, self.unknown = threading.Event(), set()
            super().__post_init__(*arguments)

        def additional_general_args(self):
            return ""  # in the job, Snakemake runs as on a machine of its own

        def get_job_args(self, job):
            return f"{super().get_job_args(job)} --cores {job.threads}"

        async def check_active_jobs(self, active_jobs):
            if not active_jobs:
                return  # the thread that asks may start before __post_init__
            answers = self._status_query_calls
            active = [job async for job in super().check_active_jobs(active_jobs)]
            if self._status_query_calls == answers:
                active = active_jobs
            listing = ["squeue", "--noheader", "--me", "--states=all", "--format=%F"]
            queue = subprocess.run(listing, capture_output=True, text=True)
            known, unknown = queue.stdout.split(), set()
            for job in active:
                number = job.external_jobid.partition("_")[0]  # of an array, too
                if queue.returncode == 0 and number not in known:
                    unknown.add(number)
                if number in unknown & self.unknown:  # at two checks
                    self.report_job_error(job, msg=f"Slurm does not know job {number} any more. ")
                else:
                    yield job
            self.unknown = unknown

        async def sleep(self):
            settings = self.workflow.remote_execution_settings
            end = time.monotonic() + settings.seconds_between_status_checks
            while self.wait and time.monotonic() < end:
                await asyncio.sleep(0.5)

        def run_job(self, job):
            try:
                self.wait_for_controller()
                super().run_job(job)
            except Exception as error:
                cause = error.__context__ or error
                self._report_job_error_threadsafe(SubmittedJobInfo(job), f"Slurm: {cause}")

        def wait_for_controller(self):
            while subprocess.run(["scontrol", "ping"], capture_output=True).returncode:
                self.logger.warning("Slurm's controller does not answer. Trying again in 10 s.")
                if self.cancelled.wait(10):
                    raise WorkflowError("cancelled")

        def cancel(self):
            self.cancelled.set()
            super().cancel()

    slurm_plugin.executor = SlurmExecutor
