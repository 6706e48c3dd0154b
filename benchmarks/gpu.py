"""Measure everything that runs on a GPU, in at most 8 minutes: benchmarks/gpu.md.

    python benchmarks/gpu.py                        `make bench-gpu`
    python benchmarks/gpu.py --data benchmarks/out/real
                                                    train on real embeddings (benchmarks/real.py embed)
    python benchmarks/gpu.py --device cpu --quick   rehearse the same code in small, in a minute

Renders: Table I's tasks at the paper's size. Mappers: the compiled step against the CPU's, and 1,000 epochs
of full batches at full width. CLIPs: the four architectures with random weights. The page has the device and
the date; a part that fails is named with its reason, and the others run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from towers import TOWERS, operations, pictures, tower

from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.cpus import available_cpus
from pointspider.core.files import write_text
from pointspider.core.seeding import generator
from pointspider.mappers.base import LABELS
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper
from pointspider.render.backends import available_variants, choose, device_name
from pointspider.study.speed import measure, tasks

#: Samples of the training and the test split (paper, section IV).
TRAIN, TEST = 2048, 420
#: The split of benchmarks/real.py.
SPLIT_SEED = 3
#: Largest relative difference of losses in float32 that rounding explains; a wrong gradient makes 0.2.
TOLERANCE = 0.01
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def renders(device: str, quick: bool) -> pd.DataFrame:
    """Points per second and similarity of the reference and of ours, as in Table I."""
    source = ProceduralSource(ProceduralSettings(classes=("chair", "piano"), evaluation_objects=2), 1)
    clouds = np.stack(
        [
            source.load(kind, name).points[:1024]
            for kind, names in source.objects()["test"].items()
            for name in names
        ]
    )
    name = "cuda_ad_rgb" if device == "cuda" else choose().name
    resolution, side, samples = (32, 32, 2) if quick else (224, 800, 256)
    rows, facts = measure(
        [variant for variant in available_variants() if variant.name == name],
        clouds[:2] if quick else clouds,
        tasks(resolution, side, samples, seed=6),
        available_cpus(),
    )
    if not rows:
        raise RuntimeError(f"{name}: {facts[name]['reason']}")
    table = pd.DataFrame(rows)
    table = table[table["cloud"] > 0]
    key = ["method", "quality", "resolution", "samples_per_pixel"]
    means = table.groupby(key, sort=False)[["points", "seconds", "psnr_db"]].mean().reset_index()
    means["points_per_second"] = means["points"] / means["seconds"]
    return means.drop(columns="points")


def steps(device: str, quick: bool) -> pd.DataFrame:
    """Losses of the compiled step in float32 against the CPU's, and seconds of an epoch."""
    width, epochs = (32, 3) if quick else (1024, 4)
    data = noise(width, *(64, 16) if quick else (TRAIN, TEST))
    rows = []
    for norm, label in LABELS.items():
        losses, seconds = {}, {}
        for where, precision in (("cpu", "fp32"), (device, "fp32"), (device, "auto")):
            ends: list[float] = []
            result = train_mapper(
                *data,
                norm,
                MapperSettings(epochs=epochs, precision=precision),
                seed=0,
                device=where,
                on_epoch=lambda *_, ends=ends: ends.append(time.perf_counter()),
            )
            losses[where, precision] = result.train_loss
            seconds[where, precision] = float(np.diff(ends).min())
        exact = losses["cpu", "fp32"]
        difference = float(np.abs(losses[device, "fp32"] / exact - 1).max())
        if difference > TOLERANCE:
            raise RuntimeError(f"{label}: the losses differ from the CPU's by {difference:.2g}")
        rows.append(
            {
                "mapper": label,
                "cpu_seconds_per_epoch": seconds["cpu", "fp32"],
                "fp32_seconds_per_epoch": seconds[device, "fp32"],
                "auto_seconds_per_epoch": seconds[device, "auto"],
                "largest_difference_of_losses": difference,
            }
        )
    return pd.DataFrame(rows)


def embeddings(device: str, quick: bool) -> pd.DataFrame:
    """Images per second of each architecture."""
    rows = []
    for name in list(TOWERS)[:1] if quick else TOWERS:
        encoder = tower(name, device)
        count = 2 if quick else {"ViT-B/32": 4096}.get(name, 1024)
        images = pictures(count)
        encoder.encode_images(images[: min(count, 256)])
        start = time.perf_counter()
        encoder.encode_images(images)
        rate = count / (time.perf_counter() - start)
        rows.append(
            {"tower": name, "images_per_second": rate, "tflop_per_second": rate * operations(name) / 1e12}
        )
    return pd.DataFrame(rows)


def trainings(device: str, quick: bool, data: Path | None) -> pd.DataFrame:
    """Full-batch epochs of every mapper at full width, against the training median."""
    samples = real(data) if data else noise(32 if quick else 1024, *(64, 16) if quick else (TRAIN, TEST))
    median = float(np.abs(samples[3] - np.median(samples[1], axis=0)).mean())
    rows = []
    for norm, label in LABELS.items():
        start = time.perf_counter()
        settings = MapperSettings(epochs=3 if quick else 1000, base_width=32 if quick else None)
        result = train_mapper(*samples, norm, settings, seed=0, device=device)
        rows.append(
            {
                "mapper": label,
                "data": str(data or "noise"),
                "precision": result.precision,
                "epochs": len(result.test_loss),
                "seconds": time.perf_counter() - start,
                "l1_last": float(result.test_loss[-1]) if len(result.test_loss) else np.nan,
                "l1_best": float(result.test_loss.min()) if len(result.test_loss) else np.nan,
                "l1_median": median,
                "diverged_at": result.diverged_at,
            }
        )
    return pd.DataFrame(rows)


def noise(width: int, train: int, test: int) -> Data:
    """Embeddings without any relation."""
    rng = np.random.default_rng(0)
    x, y, x_test, y_test = (
        rng.normal(size=(n, width)).astype(np.float32) for n in (train, train, test, test)
    )
    return x, y, x_test, y_test


def real(folder: Path) -> Data:
    """The embeddings of benchmarks/real.py: points.npy and images.npy, in its split."""
    points, images = np.load(folder / "points.npy"), np.load(folder / "images.npy")
    is_train = np.zeros(len(points), bool)
    is_train[generator(SPLIT_SEED, "split").permutation(len(points))[:TRAIN]] = True
    return points[is_train], images[is_train], points[~is_train], images[~is_train]


def parts(device: str, quick: bool, data: Path | None) -> Iterator[tuple[str, Callable[[], pd.DataFrame]]]:
    """Titles, and functions that measure."""
    yield "Renders of 1,024 points (Table I)", lambda: renders(device, quick)
    yield "The compiled training step against the CPU's", lambda: steps(device, quick)
    yield "Embedding images", lambda: embeddings(device, quick)
    yield "Training mappers with full batches", lambda: trainings(device, quick, data)


def page(device: str, quick: bool, data: Path | None) -> str:
    """Measure every part and return the page."""
    name = torch.cuda.get_device_name() if device == "cuda" else device_name("scalar")
    lines = [
        "# GPU" if device == "cuda" else "# Rehearsal on a CPU: no figure of a GPU",
        f"\n{name}, {date.today().isoformat()}, PyTorch {torch.__version__}{', small sizes' * quick}. "
        "`make bench-gpu` writes this page.",
    ]
    for title, run in parts(device, quick, data):
        start = time.perf_counter()
        try:
            table = run().map(lambda value: f"{value:.4g}" if isinstance(value, float) else value)
            rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
            text = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
        except Exception as error:  # a GPU is lent for minutes: the other parts run
            text = f"Failed: {type(error).__name__}: {error}"
        print(f"{title}: {time.perf_counter() - start:.0f} s", flush=True)
        lines.append(f"\n## {title}\n\n{text}\n\nMeasured in {time.perf_counter() - start:.0f} s.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--data", type=Path, help="directory with points.npy and images.npy")
    parser.add_argument(
        "--out", type=Path, help="default: benchmarks/gpu.md, or on a CPU benchmarks/out/gpu.md"
    )
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: PyTorch finds no CUDA device. Rehearse with --device cpu --quick.")
    text = page(options.device, options.quick, options.data)
    out = options.out or Path(__file__).parent / ("gpu.md" if options.device == "cuda" else "out/gpu.md")
    write_text(out, text)
    if "\nFailed: " in text:
        sys.exit(f"gpu.py: a part failed, see {out}.")


if __name__ == "__main__":
    main()
