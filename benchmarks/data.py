"""Benchmark corruptions and embeddings of renders against plain loops: benchmarks/out/data.csv.

`make bench-data`. Columns: case, baseline_seconds, ours_seconds, ratio; some cases have no baseline.
Corruptions are measured in CPU seconds, which other processes change least. With `--clouds` only these are
measured, on clouds of a file, once:

    python benchmarks/data.py --clouds modelnet40_c/data_original.npy
"""

import argparse
import re
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import corruption_loop
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.corruptions.registry import CORRUPTIONS, needing_mesh
from pointspider.clouds.names import MODELNET40_CLASSES, CorruptionLevel, levels
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import write_csv
from pointspider.study.build_clouds import build_clouds

SEED = 2021
#: Objects per class: 40 x 62 = 2480, ModelNet40's test split has 2468.
OBJECTS = 62
SEVERITIES = [1, 2, 3, 4, 5]
#: Timed runs after a warm-up run; the fastest counts.
REPEATS = 3
#: The eleven of the paper: ten without meshes, and occlusion.
PAPER = (
    "uniform", "gaussian", "impulse", "shear", "rotation", "scale", "density_inc",
    "distortion", "distortion_rbf", "distortion_rbf_inv", "occlusion",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clouds", type=Path, help="array (n, points, 3)")
    options = parser.parse_args()
    if options.clouds:
        pools = list(np.load(options.clouds)[:, :1024].astype(np.float64))
        cases = corruption_cases(pools, [f"clouds/{number}" for number in range(len(pools))], repeats=0)
        name = "data_clouds.csv"
    else:
        import embedding  # not above: the processes of the classes import this file and would load torch

        source = ProceduralSource(ProceduralSettings(classes=("chair",), evaluation_objects=100), SEED)
        names = source.objects()["test"]["chair"]
        pools = [source.load("chair", name).points[:1024] for name in names]
        cases = corruption_cases(pools, [f"chair/{name}" for name in names], REPEATS)
        cases += [*scale_cases(), *embedding.measure()]
        name = "data.csv"
    table = pd.DataFrame(cases, columns=["case", "baseline_seconds", "ours_seconds", "ratio"]).round(3)
    write_csv(Path(__file__).parent / "out" / name, table)
    print(table.to_string(index=False))


@threadpool_limits.wrap(limits=1)
def corruption_cases(pools: list[np.ndarray], keys: list[str], repeats: int) -> list[dict]:
    """Apply the 21 corruptions without meshes to clouds at five severities, one thread."""

    def run(make: Callable, corruption: str) -> float:
        timed = levels([corruption], SEVERITIES)
        return fastest(lambda: [make(level, pools, keys) for level in timed], repeats)

    def ours(level: CorruptionLevel, pools: list, keys: list) -> np.ndarray:
        return corrupt_clouds(level, pools, [None] * len(pools), keys, SEED)

    def loop(level: CorruptionLevel, pools: list, keys: list) -> list[np.ndarray]:
        return corruption_loop.corrupt(level, pools, keys, SEED)

    seconds = {name: (run(loop, name), run(ours, name)) for name in corruption_loop.LOOP}
    total = np.sum(list(seconds.values()), axis=0)
    count = len(SEVERITIES) * len(pools)
    return [
        *(case(f"{name}, {count} clouds", *pair) for name, pair in seconds.items()),
        case(f"{len(seconds)} corruptions without meshes, {len(seconds) * count} clouds", *total),
    ]


def scale_cases() -> Iterator[dict]:
    """Corrupt every object of the test split at all 55 levels, as the workflow does: two classes at a time.

    Each class has a process. Building the procedural objects, which replace files, is timed separately.
    """
    with get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        parts = pool.map(build_class, MODELNET40_CLASSES, chunksize=1)
    load, flat, mesh, peak = np.array(parts).T
    clouds = len(MODELNET40_CLASSES) * OBJECTS
    yield case(f"{clouds} objects built, 2 cores", None, load.sum() / 2)
    yield case(f"{clouds} objects x 50 levels without meshes, 2 cores", None, flat.sum() / 2)
    yield case(f"{clouds} objects x 5 occlusions, 2 cores", None, mesh.sum() / 2)
    print(f"peak memory of a process with a class of {OBJECTS}: {peak.max():.2f} GiB")


@threadpool_limits.wrap(limits=1)
def build_class(class_name: str) -> tuple[float, float, float, float]:
    """Return CPU seconds for the objects and their levels without and with meshes, and peak memory in GiB."""
    start = time.process_time()
    settings = ProceduralSettings(classes=(class_name,), evaluation_objects=OBJECTS)
    source = ProceduralSource(settings, SEED)
    loaded = {name: source.load(class_name, name) for name in source.objects()["test"][class_name]}
    source.load = lambda _, name: loaded[name]
    spent = [time.process_time() - start]
    mesh = needing_mesh()
    for corruptions in ([n for n in PAPER if n not in mesh], [n for n in PAPER if n in mesh]):
        start = time.process_time()
        used = [(name, *level) for name in loaded for level in levels(corruptions, SEVERITIES)]
        for _ in build_clouds(source, class_name, used, 1024, SEED):
            pass
        spent.append(time.process_time() - start)
    return *spent, peak_memory()


def peak_memory() -> float:
    """Return the peak memory of this process in GiB.

    VmHWM of Linux starts with the program; ru_maxrss of getrusage(2) includes the parent process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 2**20


def fastest(run: Callable[[], object], repeats: int) -> float:
    """Return CPU seconds of the fastest of some runs after a warm-up run; with 0 repeats, of the only run."""
    seconds = []
    for _ in range(1 + repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds[1:] or seconds)


def case(name: str, baseline: float | None, ours: float) -> dict:
    ratio = None if baseline is None else baseline / ours
    return {"case": name, "baseline_seconds": baseline, "ours_seconds": ours, "ratio": ratio}


if __name__ == "__main__":
    compared = {name for name, each in CORRUPTIONS.items() if each.benchmark != "points"}
    assert set(corruption_loop.LOOP) == compared - set(needing_mesh())
    main()
