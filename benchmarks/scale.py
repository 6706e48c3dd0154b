"""What many clouds cost, on the page docs/scale.md.

    python benchmarks/scale.py rates              every phase on one core (2 minutes)
    python benchmarks/scale.py weak               phases on one core and on two, alone on the machine
    python benchmarks/scheduler.py overhead 1000 10000 100000
    python benchmarks/scheduler.py weak 1 10 100
    python benchmarks/scale.py run logs/embedded  the benchmark files of a finished run
    python benchmarks/scale.py page               docs/scale.md

All but the last write to benchmarks/scale.json; the page is computed from it. Sizes are the paper's: 1,024
points, renders of 224² at quality `clip`, the vision towers of its four CLIPs with random weights.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from pointspider.core.files import encode_png, read_csv, read_json, write_json, write_text
from pointspider.render.backends import device_name

HERE = Path(__file__).parent
DATA, PAGE = HERE / "scale.json", HERE.parent / "docs/scale.md"
SCHEDULER = HERE / "out/scheduler.csv"  # of benchmarks/scheduler.py
POINTS, SIDE = 1024, 224
SIZES = (2_468, 135_740, 10**6, 10**8)
SHARD = 1024  # of pointspider.study.renders
#: Dense bfloat16 of an H100 SXM (NVIDIA's data sheet), and the share of it that is assumed.
GPU_RATE, GPU_SHARE = 989e12, 0.4
#: Assumed seconds of a GPU for a render: the goal of 10,000 points per second.
GPU_RENDER = POINTS / 10_000
#: The paper's mapper: weights, training samples of 2,468 clouds, epochs, trainings (3 norms, 5 seeds, 2
#: splits). CPU seconds of a full-batch epoch of BASE, LNORM and RNORM: benchmarks/mapper.md.
WEIGHTS, SAMPLES, EPOCHS, TRAININGS, EPOCH_SECONDS = 88.1e6, 2048, 1000, 30, (4.32, 6.36, 8.51)
#: Columns of the embeddings of a cloud: PointNet's, and pooled and projected ones of the four CLIPs.
COLUMNS = 1024 + 2 * (1024 + 768) + (768 + 512) + (1280 + 1024)


class Work(NamedTuple):
    """A function that processes `clouds` clouds, and the mean bytes that one leaves."""

    run: Callable[[], object]
    clouds: int
    bytes: float


# ------------------------------------------------------------------------------------------------ phases


def build() -> Work:

    from pointspider.clouds.names import levels
    from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
    from pointspider.study.build_clouds import build_clouds

    source = ProceduralSource(ProceduralSettings(classes=("chair",), evaluation_objects=4), 1)
    names = ("uniform", "gaussian", "impulse", "shear", "rotation", "scale", "density_inc", "distortion")
    names += ("distortion_rbf", "distortion_rbf_inv", "occlusion")
    used = [
        (name, *level) for name in source.objects()["test"]["chair"] for level in levels(names, range(1, 6))
    ]
    return Work(lambda: list(build_clouds(source, "chair", used, POINTS, 1)), len(used), 12 * POINTS)


def render() -> Work:
    from pointspider.render.backends import activate, choose
    from pointspider.render.renderer import Renderer
    from pointspider.render.settings import RenderSettings

    activate(choose(), 1)
    renderer, clouds = Renderer(RenderSettings(SIDE)), shapes(12)
    size = np.mean([len(encode_png(image)) for image in renderer.render(clouds)])
    return Work(lambda: renderer.render(clouds), len(clouds), float(size))


def embed_points() -> Work:
    from pointspider.encoders.points.inference import embed_clouds
    from pointspider.encoders.points.registry import create_point_encoder

    encoder, clouds = create_point_encoder("pointnet", classes=40).eval(), np.tile(shapes(16), (4, 1, 1))
    return Work(lambda: embed_clouds(encoder, clouds), len(clouds), 4 * encoder.width)


def embed_images(name: str, count: int) -> Work:
    from towers import TOWERS, pictures, tower

    encoder, images = tower(name), pictures(count)
    width, *_, projection = TOWERS[name]
    return Work(lambda: encoder.encode_images(images), count, 4 * (width + projection))


def map_points() -> Work:
    from pointspider.mappers.affine import Affine

    rng = np.random.default_rng(0)
    rows, weights = (rng.normal(size=(size, 1024)).astype(np.float32) for size in (20_000, 1024))
    affine = Affine(weights, np.zeros(1024, np.float32))
    return Work(lambda: affine.predict(rows), len(rows), 4 * 1024)


PHASES: dict[str, Callable[[], Work]] = {
    "build and corrupt": build,
    "render": render,
    "embed points, PointNet": embed_points,
    "embed images, ViT-B/32": lambda: embed_images("ViT-B/32", 32),
    "embed images, ViT-L/14": lambda: embed_images("ViT-L/14", 8),
    "embed images, ViT-H/14": lambda: embed_images("ViT-H/14", 4),
    "map by an affine predictor": map_points,
}
#: Phases of which weak scaling is measured.
WEAK = ("build and corrupt", "render", "embed points, PointNet", "embed images, ViT-B/32")
#: How often a phase runs for a cloud: two of the four CLIPs are a ViT-L/14.
TIMES = {"embed images, ViT-L/14": 2}


def shapes(count: int) -> np.ndarray:
    """Clouds of furniture."""
    from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource

    source = ProceduralSource(
        ProceduralSettings(classes=("chair", "piano"), evaluation_objects=count // 2), 1
    )
    return np.stack(
        [
            source.load(kind, name).points[:POINTS]
            for kind, names in source.objects()["test"].items()
            for name in names
        ]
    )


# ------------------------------------------------------------------------------------------- measurement


def timed(phase: str, barrier: Any) -> dict[str, float]:
    """Warm up, wait for the other processes, and time a phase on one thread."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        if phase.startswith("embed"):
            import torch

            torch.set_num_threads(1)
        work = PHASES[phase]()
        work.run()
        barrier.wait()
        wall, cpu = time.perf_counter(), time.process_time()
        work.run()
        return {
            "wall": (time.perf_counter() - wall) / work.clouds,
            "cpu": (time.process_time() - cpu) / work.clouds,
            "bytes": work.bytes,
        }


def repeat(phase: str, processes: int) -> list[dict[str, float]]:
    """Run a phase in several processes at the same time."""
    with get_context("spawn").Manager() as manager, get_context("spawn").Pool(processes) as pool:
        barrier = manager.Barrier(processes)
        return pool.starmap(timed, [(phase, barrier)] * processes, chunksize=1)


def measure_rates() -> None:
    """Run each phase in one process."""
    update("phases", {phase: repeat(phase, 1)[0] for phase in PHASES})


def measure_weak() -> None:
    """Run phases in one process, and in two at once: wall seconds of a cloud, of the slower process."""
    rows = {
        phase: [max(each["wall"] for each in repeat(phase, processes)) for processes in (1, 2)]
        for phase in WEAK
    }
    update("weak", {phase: {"one": one, "two": two} for phase, (one, two) in rows.items()})


def run_table(logs: Path) -> None:
    """Sum the benchmark files of a run by rule."""
    rules: dict[str, dict[str, float]] = defaultdict(lambda: {"jobs": 0, "cpu": 0.0, "memory_mib": 0.0})
    folder = logs / "benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        row = read_csv(path, separator="\t").iloc[0]
        rule = rules[path.relative_to(folder).parts[0].removesuffix(".tsv")]
        rule["jobs"] += 1
        rule["cpu"] += float(row["cpu_time"])
        rule["memory_mib"] = max(rule["memory_mib"], float(row["max_rss"]))
    update("run", dict(rules))


def update(section: str, value: object) -> None:
    """Replace a section of `DATA`."""
    data = read_json(DATA) if DATA.exists() else {}
    data[section] = value
    data.setdefault("measured", {})[section] = f"{device_name('scalar')}, {date.today().isoformat()}"
    write_json(DATA, data)


# -------------------------------------------------------------------------------------------------- page


def costs(phases: dict[str, dict[str, float]], clouds: int) -> dict[str, Any]:
    """Core-hours and GPU-hours of each step, files and bytes, for a number of clouds."""
    from towers import operations

    hours = {name: clouds * TIMES.get(name, 1) * each["cpu"] / 3600 for name, each in phases.items()}
    samples = clouds * SAMPLES / SIZES[0]
    epochs = EPOCHS * TRAININGS / len(EPOCH_SECONDS)
    images = [
        operations(name.rpartition(", ")[2]) * TIMES.get(name, 1) for name in phases if "images" in name
    ]
    rate = GPU_RATE * GPU_SHARE * 3600
    shards = -(-clouds // SHARD)
    sizes = {
        "clouds": phases["build and corrupt"]["bytes"],
        "renders": phases["render"]["bytes"],
        "embeddings": 4 * COLUMNS,
    }
    return {
        "clouds": clouds,
        "hours": hours,
        "total": sum(hours.values()),
        "train": samples / SAMPLES * sum(EPOCH_SECONDS) * epochs / 3600,
        "gpu_render": clouds * GPU_RENDER / 3600,
        "gpu_embed": clouds * sum(images) / rate,
        "gpu_train": 6 * WEIGHTS * samples * EPOCHS * TRAININGS / rate,
        "files": {"png": clouds, "shards": shards},
        "bytes": {name: clouds * size for name, size in sizes.items()},
        "memory": 2 * 4 * 1024 * clouds,
        "job": clouds / 40 * phases["render"]["cpu"] / 3600,
    }


def quantity(value: float) -> str:
    """Two significant digits, with separators of thousands."""
    if value == 0:
        return "0"
    digits = max(0, 1 - int(np.floor(np.log10(abs(value)))))
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.{digits}f}"


def size(value: float) -> str:
    """Bytes with a unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{quantity(value)} {unit}"
        value /= 1000
    return f"{quantity(value)} TB"


def page(data: dict[str, Any]) -> str:
    """The text of docs/scale.md."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"quantity": quantity, "size": size}
    template = environment.from_string((HERE / "scale.md.j2").read_text(encoding="utf-8"))
    steps = [costs(data["phases"], clouds) for clouds in SIZES]
    return template.render(data=data, steps=steps, shard=SHARD, gpu_rate=GPU_RATE, gpu_share=GPU_SHARE) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("rates")
    commands.add_parser("weak")
    commands.add_parser("page")
    commands.add_parser("run").add_argument("logs", type=Path)
    options = parser.parse_args()
    if options.command == "rates":
        measure_rates()
    elif options.command == "weak":
        measure_weak()
    elif options.command == "run":
        run_table(options.logs)
    else:
        if SCHEDULER.exists():
            update("scheduler", read_csv(SCHEDULER).sort_values(["case", "jobs"]).to_dict("records"))
        write_text(PAGE, page(read_json(DATA)))


if __name__ == "__main__":
    main()
