"""Benchmark Snakemake's scheduler without the work: benchmarks/out/scheduler.csv.

    python benchmarks/scheduler.py overhead 1000 10000
    python benchmarks/scheduler.py overhead --subsample 1000 1000 10000 100000
    python benchmarks/scheduler.py weak 1 10 100

`overhead`: jobs that end at once, 1000 at a time and as many a second as Snakemake manages: what one job
costs Snakemake itself, and its memory. Its scheduler, ilp, solves an integer program of all jobs that are
ready; with `--subsample`, of so many at random.
`weak`: ten jobs of `SECONDS` for each of so many cores, which wait instead of computing: how much longer
than ten jobs the run takes. The executor is benchmarks/snakemake_executor_plugin_simulated. A case that takes
longer than `LIMIT` is killed, and its row is what it had reached.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from pointspider.core.files import read_csv, write_csv

SNAKEFILE = """
JOBS, PART = int(config["jobs"]), 1000
rule all:
    input: expand("parts/{part}", part=range(-(-JOBS // PART)))
rule collect: # the time that Snakemake takes for a job is quadratic in its inputs
    input: lambda wildcards: [f"renders/{i}" for i in range(JOBS)[int(wildcards.part) * PART :][:PART]]
    output: "parts/{part}"
    shell: "the simulated executor runs no command"
rule render:
    input: "clouds"
    output: "renders/{shard}"
    resources: mem_mb=2000
    shell: "the simulated executor runs no command"
"""
#: Length of a job of `weak`, and the jobs for each core.
SECONDS, EACH = 5, 10
#: Seconds of a case.
LIMIT = 1200
OUT = Path(__file__).parent / "out/scheduler.csv"


def run(case: str, jobs: int, at_once: int, seconds: float, subsample: int) -> dict[str, str | float]:
    """Run Snakemake on `jobs` jobs of `seconds`; return its wall and CPU seconds and its memory."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
        (directory / "clouds").touch()
        snakemake = Path(sys.executable).with_name("snakemake")
        command = [snakemake, "--executor", "simulated", "--jobs", at_once, "--config", f"jobs={jobs}"]
        command += ["--max-jobs-per-timespan", "100000/1s"]
        command += ["--scheduler-subsample", subsample] if subsample else []
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parent),
            "POINTSPIDER_JOB_SECONDS": str(seconds),
        }
        start = time.monotonic()
        with (directory / "log").open("wb") as log:
            child = subprocess.Popen(
                [str(part) for part in command], cwd=directory, env=environment, stdout=log, stderr=log
            )
            planned = None  # seconds until the first job
            while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if planned is None and (directory / "renders").exists():
                    planned = time.monotonic() - start
                if time.monotonic() - start > LIMIT:
                    child.kill()  # SIGTERM waits for the jobs
                time.sleep(0.05)
            _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        done = len(list(directory.glob("renders/*")))
        if status and wall < LIMIT:
            raise SystemExit((directory / "log").read_text(encoding="utf-8")[-2000:])
    return {
        "case": case,
        "subsample": subsample,
        "jobs": jobs,
        "at_once": at_once,
        "job_seconds": seconds,
        "done": done,
        "plan_seconds": planned or wall,
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mib": usage.ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=("overhead", "weak"))
    parser.add_argument(
        "--subsample", type=int, default=0, help="ready jobs that Snakemake chooses from; 0: all"
    )
    parser.add_argument("sizes", type=int, nargs="+", help="jobs, or cores")
    options = parser.parse_args()
    for size in options.sizes:
        case = (size, 1000, 0) if options.case == "overhead" else (EACH * size, size, SECONDS)
        row = pd.DataFrame([run(options.case, *case, options.subsample)])
        print(row.to_string(index=False), flush=True)
        table = pd.concat([read_csv(OUT), row]) if OUT.exists() else row
        write_csv(OUT, table.drop_duplicates(["case", "subsample", "jobs"], keep="last").round(3))


if __name__ == "__main__":
    main()
