"""Benchmark training and prediction of mappers against a plain PyTorch loop: benchmarks/out/mapper.csv.

`make bench-mapper`. Columns: case, plain_seconds, ours_seconds, ratio, device. The mappers are the paper's
(1024 → 2048 → 4096 → 8192 → 4096 → 2048 → 1024), the data 2048 training and 420 test samples of noise,
because times do not depend on values. Seconds are those of one epoch with its test loss: on a CPU, CPU
seconds of all threads; on a GPU, wall seconds. A lower bound is the time of the products and memory accesses
of a case at the rates measured here; it has no plain time.
"""

import itertools
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from pointspider.core.files import write_csv
from pointspider.mappers.base import LABELS
from pointspider.mappers.network import Mapper, fold
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper

WIDTHS = (1024, 2048, 4096, 8192, 4096, 2048, 1024)
TRAIN, TEST = 2048, 420
#: Clouds of one prediction.
MAPPED = 10_000
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main() -> None:
    rows = []
    for batch in (None, 64):
        size = f"batch {batch}" if batch else "full batch"
        for norm, label in LABELS.items():
            rows.append(compare(f"train {label}, {size}", plain_epoch, our_epoch, norm, batch))
        rows.append(compare(f"lower bound of BASE, {size}", None, floor, batch))
    rows.append(compare(f"map {MAPPED} clouds, BASE folded", map_with_network, map_folded))
    table = pd.DataFrame(rows)
    write_csv(Path(__file__).parent / "out/mapper.csv", table.round(3))
    print(table.round(3).to_string(index=False))


def compare(case: str, plain: Callable | None, ours: Callable, *arguments) -> dict:
    """Time each in a separate process."""
    seconds = []
    for measure in (plain, ours):
        with get_context("spawn").Pool(1) as pool:
            seconds.append(pool.apply(measure, arguments) if measure else np.nan)
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    plain_seconds, ours_seconds = seconds
    print(f"{case}: {plain_seconds:.3g} s, {ours_seconds:.3g} s", flush=True)
    return {
        "case": case,
        "plain_seconds": plain_seconds,
        "ours_seconds": ours_seconds,
        "ratio": plain_seconds / ours_seconds,
        "device": device,
    }


def now() -> float:
    return time.perf_counter() if DEVICE == "cuda" else time.process_time()


def samples() -> list[np.ndarray]:
    """x_train, y_train, x_test, y_test."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 1024)).astype(np.float32) for n in (TRAIN, TRAIN, TEST, TEST)]


def plain_epoch(norm: str, batch: int | None) -> float:
    """Train with nn.Sequential, nn.L1Loss and default Adam, with the data on the device."""
    layers = []
    for width_in, width_out in itertools.pairwise(WIDTHS):
        layers += [nn.Linear(width_in, width_out), plain_norm(norm, width_out)]
    model = nn.Sequential(*layers[:-1]).to(DEVICE)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    loss_function = nn.L1Loss()
    x_train, y_train, x_test, y_test = (torch.as_tensor(values, device=DEVICE) for values in samples())

    def epoch() -> None:
        for rows in torch.randperm(TRAIN).split(batch or TRAIN):
            optimiser.zero_grad()
            loss = loss_function(model(x_train[rows]), y_train[rows])
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            loss_function(model(x_test), y_test).item()

    return fastest(epoch, batch)


class PlainResponseNorm(nn.LocalResponseNorm):
    """PyTorch's LocalResponseNorm, which takes (N, C, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)


def plain_norm(norm: str, width: int) -> nn.Module:
    if norm == "layer":
        return nn.LayerNorm(width)
    return PlainResponseNorm(1) if norm == "response" else nn.Identity()


def fastest(epoch: Callable[[], None], batch: int | None) -> float:
    """Time the second epoch, or with full batches the fastest of three epochs after the first."""
    times = []
    for _ in range(epochs(batch)):
        start = now()
        epoch()
        times.append(now() - start)
    return min(times[1:])


def epochs(batch: int | None) -> int:
    return 2 if batch else 4


def our_epoch(norm: str, batch: int | None) -> float:
    """Time `train_mapper` with automatic precision."""
    times = []
    settings = MapperSettings(epochs=epochs(batch), batch_size=batch)
    train_mapper(*samples(), norm, settings, seed=0, on_epoch=lambda *_: times.append(now()))
    return min(np.diff(times))


def floor(batch: int | None) -> float:
    """Return the time of BASE's products (with a large batch: in its basis) at the rate of one large product,
    or, if that is longer, of the memory that each step reads and writes: weights, gradient and Adam's
    moments.
    """
    weights = sum(a * b for a, b in itertools.pairwise(WIDTHS))
    steps = TRAIN // (batch or TRAIN)
    rows = min(batch or TRAIN, WIDTHS[0] + 1)
    operations = 2 * weights * (3 * rows * steps + TEST)
    # Read twice for the products; Adam reads and writes weights and moments and reads the gradient,
    # which was written before: ten passes.
    passes = 10 * weights * 4 * steps
    a, b, big = torch.randn(2048, 4096), torch.randn(4096, 4096), torch.empty(2**27)
    product = fastest(lambda: a @ b, None) / (2 * 2048 * 4096**2)  # seconds per operation
    copied = fastest(lambda: big.mul_(1), None) / (2 * big.nbytes)  # seconds per byte read or written
    return max(operations * product, passes * copied)


def base() -> Mapper:
    mapper = Mapper(1024, 1024, "none")
    mapper.initialise(torch.Generator().manual_seed(0))
    return mapper.eval()


def mapped() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(MAPPED, 1024)).astype(np.float32)


def map_with_network() -> float:
    mapper, clouds = base(), mapped()
    return fastest(lambda: mapper.predict(clouds), None)


def map_folded() -> float:
    mapper, clouds = fold(base()), mapped()
    return fastest(lambda: mapper.predict(clouds), None)


if __name__ == "__main__":
    main()
