"""Speed and accuracy of the point encoders on one CPU thread, in CPU seconds, the least variable of times.

    python benchmarks/encoders.py speed [ENCODER ...]
    python benchmarks/encoders.py training
    python benchmarks/encoders.py accuracy --train TRAIN.h5 --test DIRECTORY [--minutes 3] [ENCODER ...]

`speed` embeds clouds of 1,024 points with random weights and writes benchmarks/out/encoders_speed.csv:

    gmac               multiplications per cloud in matrix products, in 10^9
    floor_ms           the same number of multiplications in one matrix product that fits into the cache
    embed_ms, ratio    measured in CPU time of one thread, and in multiples of the floor
    clouds_per_second  of wall time, with two threads

`training` times training steps of the PointNets, in turn with the gradient of the maximum over points by
automatic differentiation and by pointspider.encoders.points.pooling, and writes
benchmarks/out/encoders_training.csv.

`accuracy` trains each encoder for the same time with the same recipe, classifies the test clouds, clean and
corrupted, and writes benchmarks/out/encoders_accuracy.csv. TRAIN.h5 has `data` (M, N, 3) and `label` (M,);
DIRECTORY has data_original.npy and label.npy as in ModelNet40-C.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.names import CLEAN, CorruptionLevel
from pointspider.core.files import write_csv
from pointspider.core.seeding import generator
from pointspider.encoders.points import layers, pooling
from pointspider.encoders.points.inference import classify
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import (
    POINT_ENCODERS,
    list_point_encoders,
    load_point_encoder,
    save_point_encoder,
)
from pointspider.encoders.points.settings import PointSettings
from pointspider.encoders.points.training import create_optimizer, loss_function, train_point_encoder

OUT = Path(__file__).parent / "out"
SEED = 2021
#: Encoders that a CPU can train.
TRAINABLE = ["pointnet", "pointnet2_ssg", "dgcnn", "pointmlp_elite", "pointnext_s"]
#: Points per cloud, in training and in tests because neighbourhoods depend on the density of the points.
POINTS = 128
BATCH = 32
EPOCHS = 15
CLASSES = 40
SEVERITY = 3
BENCHMARK = "modelnet40-c"


def cpu_seconds(
    run: Callable[[], object], repeats: int = 3, clock: Callable[[], float] = time.process_time
) -> float:
    """CPU seconds, or those of another clock, of the fastest run, after one that is not timed."""
    run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)


def speed(names: list[str]) -> pd.DataFrame:
    """Time the embedding with each encoder; the columns are described above."""
    left, right = torch.randn(1024, 128), torch.randn(128, 1024)
    second = left.shape[0] * 128 * 1024 / cpu_seconds(lambda: left @ right, 50)  # multiplications per second
    rows = []
    for name in names:
        encoder_class = POINT_ENCODERS[name]
        torch.manual_seed(0)
        encoder = encoder_class(40) if issubclass(encoder_class, PointClassifier) else encoder_class()
        encoder.eval()
        clouds = torch.rand(16, 1024, encoder.channels)
        clouds[:, :, :3] = torch.nn.functional.normalize(clouds[:, :, :3] - 0.5, dim=2)
        with torch.inference_mode():
            seconds = cpu_seconds(lambda e=encoder, c=clouds: e.embed(c)) / len(clouds)
            torch.set_num_threads(2)
            wall = cpu_seconds(lambda e=encoder, c=clouds: e.embed(c), 6, time.perf_counter) / len(clouds)
            torch.set_num_threads(1)
            with FlopCounterMode(display=False) as counter:
                encoder.embed(clouds)
        multiplications = counter.get_total_flops() / 2 / len(clouds)
        rows.append(
            {
                "encoder": name,
                "parameters": sum(parameter.numel() for parameter in encoder.parameters()),
                "gmac": multiplications / 1e9,
                "floor_ms": 1000 * multiplications / second,
                "embed_ms": 1000 * seconds,
                "ratio": seconds * second / multiplications,
                "clouds_per_second": 1 / wall,
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def automatic(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: torch.nn.Module
) -> torch.Tensor:
    """`normalized_maximum` by PyTorch's layers and automatic differentiation."""
    return layers.normalize(torch.nn.functional.linear(x, weight, bias), norm).max(dim=1)[0]


def training() -> pd.DataFrame:
    """Time a training step: CPU milliseconds of both gradients, the fastest of 12 in 3 turns."""
    clouds, labels = torch.rand(BATCH, POINTS, 3), torch.arange(BATCH) % CLASSES
    rows = []
    for name in ("pointnet", "pointnet_vanilla"):
        recipe = settings(name)
        model = POINT_ENCODERS[name](CLASSES)
        optimizer = create_optimizer(model, recipe)

        def step(model=model, optimizer=optimizer, smoothing=recipe.label_smoothing) -> None:
            logits, penalty = model(clouds)
            optimizer.zero_grad()
            (loss_function(logits, labels, smoothing) + penalty).backward()
            optimizer.step()

        times: dict[str, float] = {}
        for gradient in 3 * [automatic, pooling.normalized_maximum]:
            with patch.object(layers, "normalized_maximum", gradient):
                seconds = cpu_seconds(step, 4)
            times[gradient.__name__] = min(seconds, times.get(gradient.__name__, seconds))
        rows.append({"encoder": name, **{f"{which}_ms": 1000 * time for which, time in times.items()}})
    return pd.DataFrame(rows)


def corrupted_clouds(clouds: np.ndarray) -> dict[str, np.ndarray]:
    """Clouds (M, N, 3) under each corruption of ModelNet40-C that needs no mesh, by its name."""
    keys = [f"test/{number}" for number in range(len(clouds))]
    return {
        name: corrupt_clouds(CorruptionLevel(name, SEVERITY), list(clouds), [None] * len(clouds), keys, SEED)
        for name, corruption in CORRUPTIONS.items()
        if corruption.benchmark == BENCHMARK and not corruption.needs_mesh
    }


def subset(clouds: np.ndarray, points: int) -> np.ndarray:
    """Random points of the clouds, the same for all."""
    chosen = generator(SEED, "points").permutation(clouds.shape[1])[:points]
    return np.ascontiguousarray(clouds[:, chosen], dtype=np.float32)


def settings(name: str) -> PointSettings:
    """The short recipe of an encoder."""
    return PointSettings(
        epochs=EPOCHS, points=POINTS, batch_size=BATCH, learning_rate=0.001, schedule="cosine"
    )


def load_data(train: Path, test: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The training clouds and labels, in random order, and the test clouds and labels."""
    with h5py.File(train) as file:
        order = generator(SEED, "train").permutation(len(file["label"]))
        clouds, labels = file["data"][:][order], file["label"][:].ravel()[order].astype(np.int64)
    test_labels = np.load(test / "label.npy").ravel().astype(np.int64)
    return clouds, labels, np.load(test / "data_original.npy"), test_labels


def train_for(name: str, minutes: float, clouds: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Train an encoder on as many clouds as `minutes` of CPU time allow, and save it in OUT."""
    recipe, probe = settings(name), slice(0, 8 * BATCH)
    one_epoch = recipe.model_copy(update={"epochs": 1})
    run = partial(train_point_encoder, name, seed=SEED, device="cpu")
    seconds = cpu_seconds(lambda: run(clouds[probe], labels[probe], settings=one_epoch), repeats=2)
    affordable = min(len(clouds), int(minutes * 60 / seconds * 8 * BATCH / recipe.epochs))
    start = time.process_time()
    model, _ = run(clouds[:affordable], labels[:affordable], settings=recipe)
    used = (time.process_time() - start) / 60
    save_point_encoder(OUT / f"{name}_{minutes:g}.safetensors", name, model)
    return {
        "encoder": name,
        "minutes": minutes,
        "cpu_minutes": used,
        "clouds": affordable,
        "epochs": recipe.epochs,
        "points": recipe.points,
    }


def accuracy(names: list[str], train: Path, test: Path, minutes: list[float], every: int) -> pd.DataFrame:
    """Train and test each encoder: a row per encoder and time, a column per corruption."""
    clouds, labels, test_clouds, test_labels = load_data(train, test)
    tested = {str(CLEAN): (test_clouds, test_labels)}
    for corruption, arrays in corrupted_clouds(test_clouds[::every]).items():
        tested[corruption] = arrays, test_labels[::every]
    rows = []
    for length, name in itertools.product(minutes, names):
        row = train_for(name, length, clouds, labels)
        model = load_point_encoder(name, OUT / f"{name}_{length:g}.safetensors", "cpu", CLASSES)
        for what, (points, expected) in tested.items():
            row[what] = np.mean(classify(model, subset(points, row["points"])) == expected)
        print(row, flush=True)
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("training")
    commands.add_parser("speed").add_argument("encoders", nargs="*", metavar="ENCODER")
    train = commands.add_parser("accuracy")
    train.add_argument("encoders", nargs="*", default=TRAINABLE, metavar="ENCODER")
    train.add_argument("--train", type=Path, required=True)
    train.add_argument("--test", type=Path, required=True)
    train.add_argument("--minutes", type=float, nargs="+", default=[8], help="CPU minutes per encoder")
    train.add_argument("--every", type=int, default=1, help="corrupt every Nth test cloud")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.command == "speed":
        table = speed(arguments.encoders or list_point_encoders())
    elif arguments.command == "training":
        table = training()
    else:
        data = arguments.train, arguments.test
        table = accuracy(arguments.encoders, *data, arguments.minutes, arguments.every)
    write_csv(OUT / f"encoders_{arguments.command}.csv", table.round(4))
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
