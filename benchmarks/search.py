"""Benchmark an index: opening, single queries, memory, and all near duplicates.

    python benchmarks/search.py --rows 100000
    python benchmarks/search.py --rows 1000000 --directory /scratch/index --no-duplicates

The rows are synthetic: 5,000 clusters in 96 dimensions of decreasing variance, mapped to `--width`
dimensions, with noise. Queries are rows with noise. Recall is of the ten nearest rows, against
exact search. Every case runs in a new process. Wall time and CPU time are medians over the queries;
on a busy machine, CPU time is more reliable. The rows are appended to benchmarks/out/search.csv.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pointspider.core.vectors import nearest_units, unit_rows
from pointspider.index import approximate
from pointspider.index.duplicates import near_pairs
from pointspider.index.index import Index
from pointspider.index.models import Description, ModelFile
from pointspider.index.store import Store, encode, writing

OUTPUT = Path(__file__).parent / "out/search.csv"
CHUNK, QUERIES, TOP = 16384, 50, 10


def generate(directory: Path, rows: int, width: int) -> None:
    """Write an index of synthetic rows."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, 97)[:, None] ** -0.5
    basis = rng.normal(size=(96, width)).astype(np.float32) * scale.astype(np.float32) / np.sqrt(96)
    centres = rng.normal(size=(5000, 96)).astype(np.float32)
    models = Description(ModelFile("synthetic", "/none", "0" * 64), 1024).to_json()
    with writing(directory):
        store = Store.create(directory, width, models)
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            latent = centres[rng.integers(5000, size=n)] + 0.5 * rng.normal(size=(n, 96)).astype(np.float32)
            values = latent @ basis + 0.02 * rng.normal(size=(n, width)).astype(np.float32)
            names = [{"id": f"cloud/{number:08d}"} for number in range(start, start + n)]
            store.append(unit_rows(values, "rows"), encode(names))
        store.merge()


def make_queries(store: Store) -> np.ndarray:
    """Return `QUERIES` rows with noise, of unit length."""
    rows = np.linspace(0, len(store) - 1, QUERIES).astype(np.int64)
    noise = np.random.default_rng(1).normal(size=(QUERIES, store.width))
    return unit_rows(store.vectors(rows) + 0.005 * noise.astype(np.float32), "queries")


def measure(case: str, directory: Path) -> dict[str, object]:
    """Measure one case in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    index = Index.open(directory)
    opened = time.perf_counter() - start
    facts: dict[str, object] = {"case": case, "rows": len(index), "width": index.store.width}
    if case == "open":
        return {**facts, "wall_ms": 1e3 * opened, "cpu_ms": 1e3 * (time.process_time() - cpu)}
    if case == "duplicates":
        threshold = 0.97
        pairs = near_pairs(index.store.blocks, threshold)
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        return {**facts, "wall_ms": 1e3 * wall, "cpu_ms": 1e3 * used, "pairs": len(pairs), **memory()}
    queries = make_queries(index.store)
    if case == "exact":
        index.__dict__["_approximate"] = None
    elif case == "approximate":
        facts |= {"kind": index._approximate.facts.kind, "probes": index._approximate.facts.probes}
    index.nearest(queries[:1], TOP)
    walls, cpus, found = [], [], []
    for query in queries:
        start, cpu = time.perf_counter(), time.process_time()
        found.append(index.nearest(query[None], TOP)[0][0])
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    facts |= {"wall_ms": 1e3 * np.median(walls), "cpu_ms": 1e3 * np.median(cpus), **memory()}
    if case == "approximate":
        expected, _ = nearest_units(queries, index.store.blocks, TOP, CHUNK)
        facts["recall"] = sum(len(np.intersect1d(*both)) for both in zip(found, expected, strict=True))
        facts["recall"] /= expected.size
    return facts


def memory() -> dict[str, float]:
    """Peak resident memory, of which mapped files can be dropped by the system, and without them, in GiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    anonymous = int(status[status.index("RssAnon:") + 1]) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"resident_gib": peak, "anonymous_gib": anonymous}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--directory", type=Path, help="of the index; used again if it exists")
    parser.add_argument("--kind", help="compression of the approximate index: SQ8 or PQ")
    parser.add_argument("--no-duplicates", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # in the child process
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.directory), default=float))
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary) / "index"
        if not (directory / "index.json").exists():
            generate(directory, options.rows, options.width)
        cases = ["open", "exact", *([] if options.no_duplicates else ["duplicates"])]
        if approximate.is_installed() and options.rows >= approximate.LEAST_ROWS:
            if options.kind:
                approximate.KINDS = ((2**63, options.kind),)
            start, cpu = time.perf_counter(), time.process_time()
            with writing(directory):
                approximate.Approximate.build(Store(directory))
            size = (directory / "approximate.faiss").stat().st_size / 2**30
            wall, used = time.perf_counter() - start, time.process_time() - cpu
            print(f"built in {wall:.0f} s, {used:.0f} CPU s, {size:.2f} GiB")
            cases.append("approximate")
        for case in cases:
            command = [sys.executable, __file__, "--case", case, "--directory", str(directory)]
            result = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            facts = json.loads(result)
            print(facts)
            OUTPUT.parent.mkdir(exist_ok=True)
            fields = ["case", "rows", "width", "kind", "probes", "recall", "wall_ms", "cpu_ms", "pairs"]
            fields += ["resident_gib", "anonymous_gib"]
            new = not OUTPUT.exists()
            with OUTPUT.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fields, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(facts)


if __name__ == "__main__":
    main()
