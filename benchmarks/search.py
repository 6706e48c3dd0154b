"""Benchmark an index: opening, queries, compressions, the command, indexing, memory, and near duplicates.

    python benchmarks/search.py --quick             100,000 rows, in less than 4 minutes on 2 quiet cores
    python benchmarks/search.py                     with more clouds, and 1,000,000 rows, in half an hour
    python benchmarks/search.py --parts rows --rows 1000000 --kinds SQ8 --directory /scratch/index

Rows are synthetic: 5,000 clusters in 96 dimensions of decreasing variance, mapped to 1,024 dimensions, with
noise. Queries are rows with noise. Recall is of the ten nearest rows, against exact search. Clouds are
random points; their PointNet has random weights, and an affine predictor to 512 dimensions. Every case
runs in a new process. Wall time and CPU time are medians over the queries, or of one run; on a busy
machine, CPU time is more reliable. Memory is the peak of the process, with mapped files (which the system
can drop) and without. The rows are appended to benchmarks/out/search.csv.
"""

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.core.vectors import nearest_units, unit_rows
from pointspider.index.approximate import CANDIDATES, LEAST_ROWS, Approximate
from pointspider.index.duplicates import near_pairs
from pointspider.index.index import Index
from pointspider.index.models import Models
from pointspider.index.store import Store, encode, writing

OUTPUT = Path(__file__).parent / "out/search.csv"
FIELDS = [
    "case", "rows", "width", "kind", "probes", "recall", "wall_ms", "cpu_ms", "per_second", "pairs",
    "file_gib", "resident_gib", "anonymous_gib",
]  # fmt: skip
CHUNK, QUERIES, TOP = 16384, 50, 10
#: Near duplicates are looked for at this cosine.
THRESHOLD = 0.97
#: Times that the command is run.
COMMANDS = 3
COMMAND = [sys.executable, "-c", "from pointspider.cli.main import main; main()"]


def write_models(directory: Path, points: int, predictor: bool, precision: str = "fp32") -> Models:
    """Write a PointNet, and with `predictor` an affine predictor, and describe them."""
    from pointspider.encoders.points.registry import create_point_encoder, save_point_encoder
    from pointspider.mappers.affine import Affine

    encoder = create_point_encoder("pointnet", 40).eval()
    save_point_encoder(directory / "pointnet.safetensors", "pointnet", encoder)
    weight = np.random.default_rng(0).normal(size=(encoder.width, 512)).astype(np.float32)
    Affine(weight, np.zeros(512, np.float32)).save(directory / "affine.safetensors")
    return Models.of(
        "pointnet",
        directory / "pointnet.safetensors",
        points=points,
        predictor=directory / "affine.safetensors" if predictor else None,
        precision=precision,
        device="cpu",
    )


def write_rows(directory: Path, rows: int) -> None:
    """Write an index of synthetic rows, and the PointNet that could have computed them."""
    rng = np.random.default_rng(0)
    directory.mkdir(parents=True, exist_ok=True)
    (directory.parent / "models").mkdir(exist_ok=True)
    models = write_models(directory.parent / "models", 1024, predictor=False)
    width = models.width
    scale = np.arange(1, 97)[:, None] ** -0.5
    basis = rng.normal(size=(96, width)).astype(np.float32) * scale.astype(np.float32) / np.sqrt(96)
    centres = rng.normal(size=(5000, 96)).astype(np.float32)
    with writing(directory):
        store = Store.create(directory, width, models.description.to_json())
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            latent = centres[rng.integers(5000, size=n)] + 0.5 * rng.normal(size=(n, 96)).astype(np.float32)
            values = latent @ basis + 0.02 * rng.standard_normal((n, width), dtype=np.float32)
            names = [{"id": f"cloud/{number:08d}"} for number in range(start, start + n)]
            store.append(unit_rows(values, "rows"), encode(names))
        store.merge()


def write_clouds(directory: Path, clouds: int, points: int) -> None:
    """Write clouds of random points, a file each."""
    rng = np.random.default_rng(0)
    for number in range(clouds):
        folder = directory / f"class_{number // 1000:03d}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        values = rng.standard_normal((points, 3), dtype=np.float32) * [1, 2, 3]
        np.save(folder / f"{number:06d}.npy", values.astype(np.float32))


# ------------------------------------------------------------------------------- cases, in a new process


def measure(case: str, directory: Path) -> dict[str, Any]:
    """Measure one case in this process."""
    if case in ("fp32", "bf16"):
        return measure_indexing(directory, case)
    start, cpu = time.perf_counter(), time.process_time()
    index = Index.open(directory)
    opened, used = time.perf_counter() - start, time.process_time() - cpu
    facts: dict[str, Any] = {"rows": len(index), "width": index.store.width}
    if case == "open":
        return {**facts, "wall_ms": 1e3 * opened, "cpu_ms": 1e3 * used}
    if case == "duplicates":
        pairs = near_pairs(index.store.blocks, THRESHOLD)
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        return {**facts, "wall_ms": 1e3 * wall, "cpu_ms": 1e3 * used, "pairs": len(pairs), **memory()}
    queries = make_queries(index.store)
    if case == "exact":
        index.__dict__["_approximate"] = None
    else:
        facts |= {"kind": index._approximate.facts.kind, "probes": index._approximate.facts.probes}
        facts["file_gib"] = (directory / "approximate.faiss").stat().st_size / 2**30
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
        hits = sum(len(np.intersect1d(*both)) for both in zip(found, expected, strict=True))
        facts["recall"] = hits / expected.size
    return facts


def make_queries(store: Store) -> np.ndarray:
    """Return `QUERIES` rows with noise, of unit length."""
    rows = np.linspace(0, len(store) - 1, QUERIES).astype(np.int64)
    noise = np.random.default_rng(1).normal(size=(QUERIES, store.width))
    return unit_rows(store.vectors(rows) + 0.005 * noise.astype(np.float32), "queries")


def measure_indexing(directory: Path, precision: str) -> dict[str, Any]:
    """Index the clouds of a directory, without calibration."""
    points = len(np.load(next((directory / "clouds").rglob("*.npy"))))
    models = write_models(directory, points, predictor=True, precision=precision)
    index = Index.create(directory / "index", models)
    anonymous, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            anonymous[0] = max(anonymous[0], memory()["anonymous_gib"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, cpu = time.perf_counter(), time.process_time()
    index.add([directory / "clouds"], calibrate=False)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    stop.set()
    watcher.join()
    return {
        "rows": len(index),
        "width": index.store.width,
        "kind": f"{points} points, {precision}",
        "wall_ms": 1e3 * wall,
        "cpu_ms": 1e3 * used,
        "per_second": len(index) / wall,
        **memory(),
        "anonymous_gib": anonymous[0],
    }


def memory() -> dict[str, float]:
    """Peak resident memory, and present memory without mapped files, in GiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    fields = {"resident_gib": "VmHWM:", "anonymous_gib": "RssAnon:"}  # ru_maxrss includes the parent's
    return {name: int(status[status.index(field) + 1]) / 2**20 for name, field in fields.items()}


# ----------------------------------------------------------------------------------- parts, in this process


def record(facts: dict[str, Any]) -> None:
    """Print a result and append it to the table."""
    rounded = {k: round(float(v), 5) if isinstance(v, float) else v for k, v in facts.items()}
    print(*(f"{key}={value}" for key, value in rounded.items()), flush=True)
    OUTPUT.parent.mkdir(exist_ok=True)
    new = not OUTPUT.exists()
    with OUTPUT.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(rounded)


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU time of a call, processes that it runs included."""

    def cpu() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    start, used = time.perf_counter(), cpu()
    run()
    return {"wall_ms": 1e3 * (time.perf_counter() - start), "cpu_ms": 1e3 * (cpu() - used)}


def in_child(case: str, directory: Path) -> None:
    """Measure a case in a new process."""
    command = [sys.executable, __file__, "--case", case, "--directory", str(directory)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    record({"case": "index" if case in ("fp32", "bf16") else case, **json.loads(output)})


def bench_rows(directory: Path, rows: int, kinds: list[str], duplicates: bool) -> None:
    """Opening, exact and approximate queries, duplicates, and the command."""
    if not (directory / "index.json").exists():
        write_rows(directory, rows)
    for name in ("approximate.json", "approximate.faiss"):
        (directory / name).unlink(missing_ok=True)
    for case in ["open", "exact", *(["duplicates"] if duplicates else [])]:
        in_child(case, directory)
    bench_command(directory, rows, "exact")
    for kind in kinds if rows >= LEAST_ROWS else []:

        def build(kind: str = kind) -> None:
            with writing(directory):
                Approximate.build(Store(directory), kind=kind)

        record({"case": "build", "rows": rows, "kind": kind, **timed(build)})
        in_child("approximate", directory)
        if kind == "SQ8":
            bench_command(directory, rows, kind)


def bench_command(directory: Path, rows: int, kind: str) -> None:
    """`pointspider search` by a cloud, from the shell to the answer: the median of some runs."""
    with tempfile.TemporaryDirectory() as temporary:
        cloud = Path(temporary) / "cloud.npy"
        np.save(cloud, np.random.default_rng(0).normal(size=(1024, 3)))
        command = [*COMMAND, "search", str(cloud), "-i", str(directory), "--device", "cpu"]
        runs = [
            timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            for _ in range(COMMANDS)
        ]
    medians = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    record({"case": "command", "rows": rows, "kind": kind, **medians})


def bench_indexing(clouds: int, points: int, precisions: Sequence[str] = ("fp32",)) -> None:
    """Clouds per second and memory of indexing."""
    with tempfile.TemporaryDirectory() as temporary:
        write_clouds(Path(temporary) / "clouds", clouds, points)
        for precision in precisions:
            shutil.rmtree(Path(temporary) / "index", ignore_errors=True)
            in_child(precision, Path(temporary))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100,000 rows, 20,000 clouds")
    parser.add_argument("--parts", nargs="+", choices=["rows", "indexing"], default=["rows", "indexing"])
    parser.add_argument("--rows", type=int, nargs="+", help="default: 100000, and without --quick 1000000")
    parser.add_argument("--kinds", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    parser.add_argument("--directory", type=Path, help="of the index of --rows; used again if it exists")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # in the child process
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.directory), default=float))
        return
    if "indexing" in options.parts:
        bench_indexing(1000 if options.quick else 4000, 1024, ("fp32", "bf16"))
        for clouds in (1000, 20_000 if options.quick else 100_000):
            bench_indexing(clouds, 64)
    if "rows" in options.parts:
        for rows in options.rows or ([100_000] if options.quick else [100_000, 1_000_000]):
            with ExitStack() as stack:
                directory = options.directory
                if directory is None:
                    directory = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "index"
                bench_rows(directory, rows, options.kinds, duplicates=rows <= 100_000)


if __name__ == "__main__":
    main()
