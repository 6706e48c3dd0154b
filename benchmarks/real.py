"""The paper's experiment with real clouds, a real PointNet and a real image tower: docs/real.md.

    python benchmarks/real.py render CLOUDS.npy          renders of every cloud: OUT/renders
    python benchmarks/real.py embed CLOUDS.npy POINTNET TOWER.py
                                                         OUT/points.npy, OUT/images.npy
    python benchmarks/real.py train --width 64 --epochs 125 --batch-sizes 256 --seeds 0 1 2
                                                         a file per mapper: OUT/mappers
    python benchmarks/real.py fit                        the baselines: OUT/fits
    python benchmarks/real.py tabulate LABELS.npy CLASSES.txt POINTNET
                                                         OUT/real.csv, OUT/real.png
    python benchmarks/real.py clip IMAGES.npy            the L1 of constants on embeddings of photographs

CLOUDS.npy is (M, N, 3), LABELS.npy (M, 1), CLASSES.txt has a class name per line; POINTNET is a checkpoint of
`pointnet_vanilla`. TOWER.py defines a class MobileNetV2 with features((B, 224, 224, 3) uint8) → (B, width).
Renders and mappers that exist are skipped, so that an interrupted study continues. OUT is
benchmarks/out/real.
"""

import argparse
import itertools
import runpy
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from pointspider.core.files import atomic, read_json, read_png, write_csv, write_json, write_png
from pointspider.core.seeding import generator
from pointspider.encoders.points.inference import class_logits, embed_clouds
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.base import LABELS
from pointspider.mappers.files import load_predictor
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper
from pointspider.render.backends import activate, choose
from pointspider.render.renderer import Renderer, write_renders
from pointspider.render.settings import RenderSettings
from pointspider.study.evaluate.alignment import Candidate, Clouds, ImageSpace, Predict, evaluate
from pointspider.study.evaluate.candidates import fitted, references, trained
from pointspider.study.plots.style import BLUE, GREEN, GREY, INK, ORANGE, WIDTH, save, styled

OUT = Path(__file__).parent / "out/real"
#: Objects for training, as in the paper; the others are the test split.
TRAIN = 2048
SEED = 3
RENDER_SEED = 6
RESOLUTION = 224
LAMBDAS = [10.0**power for power in range(-4, 4)]
FOLDS = 5


def render(clouds: np.ndarray, folder: Path) -> None:
    """Render every cloud as the workflow does, to `<folder>/<row>.png`; skip files that exist."""
    variant = choose("auto")
    activate(variant, torch.get_num_threads())
    renderer = Renderer(RenderSettings(resolution=RESOLUTION, quality="clip", seed=RENDER_SEED))
    names = {f"{row:04d}": points for row, points in enumerate(clouds)}
    missing = [(name, points) for name, points in names.items() if not (folder / f"{name}.png").exists()]
    write_renders(
        renderer, missing, len(missing), lambda name, image: write_png(folder / f"{name}.png", image)
    )


def embed(clouds: np.ndarray, pointnet: Path, tower: Path, folder: Path) -> None:
    """Write points.npy, from the PointNet, and images.npy, from the image tower and `<folder>/renders`."""
    encoder = load_point_encoder("pointnet_vanilla", pointnet, device="cpu")
    save_array(folder / "points.npy", embed_clouds(encoder, clouds))
    network = runpy.run_path(str(tower))["MobileNetV2"]()
    rows = [range(len(clouds))[start : start + 32] for start in range(0, len(clouds), 32)]
    features = [
        network.features(np.stack([read_png(folder / f"renders/{row:04d}.png") for row in batch]))
        for batch in tqdm(rows, "embed renders")
    ]
    save_array(folder / "images.npy", np.concatenate(features).astype(np.float32))


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy file."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


def read_split() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the embeddings of clouds and renders, and whether a cloud is in the training split."""
    points, images = np.load(OUT / "points.npy"), np.load(OUT / "images.npy")
    is_train = np.zeros(len(points), bool)
    is_train[generator(SEED, "split").permutation(len(points))[:TRAIN]] = True
    return points, images, is_train


def fit(epochs: int) -> None:
    """Fit the baselines, and train one linear layer; facts.json grows by a row each."""
    points, images, is_train = read_split()
    x, y = points[is_train], images[is_train]
    facts: list[dict[str, object]] = []
    for name, baseline in fit_baselines(x, y, np.arange(len(x)), LAMBDAS, FOLDS, SEED):
        baseline.save(OUT / f"fits/{name}.safetensors")
        facts.append(
            {"mapper": name, **baseline.facts, "l1_train": float(np.abs(baseline.predict(x) - y).mean())}
        )
        write_json(OUT / "fits/facts.json", facts)
        print(facts[-1], flush=True)
    settings = MapperSettings(epochs=epochs, batch_size=256, precision="fp32")
    result = train_mapper(x, y, points[~is_train], images[~is_train], "none", settings, 0, hidden=())
    for epoch, mapper in (("last", result.last), ("best", result.best)):
        mapper.save(OUT / f"fits/linear_layer_seed_0_{epoch}.safetensors")
    write_json(OUT / "fits/facts.json", [*facts, {"mapper": "linear_layer", **result.summary()}])


def train(
    width: int,
    epochs: int,
    batch_sizes: list[int],
    seeds: list[int],
    norms: list[str],
    device: str,
    precision: str,
) -> None:
    """Train the mappers of the grid; seeds are the outer loop."""
    points, images, is_train = read_split()
    data = points[is_train], images[is_train], points[~is_train], images[~is_train]
    for seed, size, norm in itertools.product(seeds, batch_sizes, norms):
        stem = OUT / f"mappers/width{width}_batch{size}_epochs{epochs}_{precision}_{norm}_seed{seed}"
        if stem.with_suffix(".json").exists():
            continue
        settings = MapperSettings(epochs=epochs, batch_size=size, base_width=width, precision=precision)
        start = time.process_time()
        result = train_mapper(*data, norm, settings, seed, device=device)
        for epoch, mapper in (("last", result.last), ("best", result.best)):
            mapper.save(f"{stem}_{epoch}.safetensors")
        summary = {**result.summary(), "cpu_seconds": round(time.process_time() - start, 1)}
        write_json(stem.with_suffix(".json"), summary)
        print(summary, flush=True)


def candidates(space: ImageSpace, predict: Predict) -> Iterator[Candidate]:
    """References, baselines, and the mappers of every batch size."""
    runs = [{**read_json(path), "stem": path.with_suffix("")} for path in sorted(OUT.glob("mappers/*.json"))]
    if len({run["precision"] for run in runs}) > 1:
        sys.exit(f"{OUT / 'mappers'}: has mappers of both precisions; move those of one away.")

    def load(run: dict, epoch: str) -> Predict:
        return load_predictor(f"{run['stem']}_{epoch}.safetensors").predict

    return chain(references(space, predict), fitted(space, OUT / "fits"), trained(space, runs, load))


def tabulate(labels: np.ndarray, classes: list[str], pointnet: Path) -> pd.DataFrame:
    """Measure everything on the test split; one row per predictor and batch size."""
    points, images, is_train = read_split()
    names = np.array(classes)[labels.ravel()]
    manifest = pd.DataFrame(
        {
            "class": names,
            "object": [f"{row:04d}" for row in range(len(names))],
            "corruption": "original",
            "severity": 0,
        }
    )
    clouds = Clouds(manifest, points, images)
    train_clouds, test = clouds.where(is_train), clouds.where(~is_train)
    # The tower has no text side: a class is its mean training image instead of a prompt
    prompts = np.stack([train_clouds.images[names[is_train] == name].mean(axis=0) for name in classes])
    space = ImageSpace.of(train_clouds.images, classes, prompts, None, [1])
    encoder = load_point_encoder("pointnet_vanilla", pointnet, device="cpu")
    records, _ = evaluate(candidates(space, partial(class_logits, encoder)), test, test, ["class", "object"])
    write_csv(OUT / "records.csv", records)
    table = records.assign(steps=-(-TRAIN // records["batch_size"]) * records["epochs"])
    keys = ["kind", "predictor", "epoch", "base_width", "batch_size", "steps"]
    measures = ["l1", "l1div", "skill", "cosine", "image_rank", "image_r1", "image_r10", "cloud_r10", "top1"]
    grouped = table.groupby(keys, sort=False, dropna=False)
    summary = grouped[measures].mean().reset_index()
    summary.insert(len(keys), "seeds", grouped.size().to_numpy())
    for column in ("gain_median", "gain_median_low", "gain_median_high"):
        summary[column] = grouped[column].mean().to_numpy()
    summary["l1_std"] = grouped["l1"].std().to_numpy()
    write_csv(OUT / "real.csv", summary)
    save(plot(records), OUT / "real.png")
    return summary


@styled
def plot(records: pd.DataFrame) -> Figure:
    """Plot the L1 of every predictor, with a mark per seed."""
    constants = records.set_index("predictor")["l1"]
    shown = records[(records["kind"] != "reference") & (records["epoch"] != "best")].copy()
    batch = shown["batch_size"].map(lambda size: "" if pd.isna(size) else f", batch {size}")
    width = shown["base_width"].map(lambda width: "" if pd.isna(width) else f", width {width}")
    shown["name"] = shown["predictor"] + np.where(shown["kind"] == "mapper", width + batch, "")
    names = list(dict.fromkeys(shown["name"]))
    figure = Figure(figsize=(WIDTH, 0.22 * len(names) + 0.9), layout="constrained")
    axes = figure.subplots()
    limit = 1.15 * constants["zero"]
    for row, name in enumerate(names):
        values = shown.loc[shown["name"] == name, "l1"].dropna()
        kind = shown.loc[shown["name"] == name, "kind"].iloc[0]
        colour = {"mapper": ORANGE}.get(kind, BLUE)
        axes.plot(values[values <= limit], [row] * (values <= limit).sum(), "o", color=colour, ms=4)
        if (values > limit).any():
            axes.text(limit, row, f"{values[values > limit].min():.3g} and more →", ha="right", va="center")
    for name, colour in (("zero", GREY), ("median", INK), ("ridge", GREEN)):
        axes.axvline(constants[name], color=colour, lw=1, ls="--", label=name)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="test L1", xlim=(0, limit * 1.02))
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def clip_statistics(images: np.ndarray) -> pd.DataFrame:
    """L1 of constants that are fitted to half of the embeddings, on the other half, and mean cosines."""
    rows = []
    normalised = images / np.linalg.norm(images, axis=1, keepdims=True)
    for name, values in (("as stored", images), ("unit length", normalised)):
        order = generator(SEED, "photographs").permutation(len(values))
        fit, test = values[order[: len(order) // 2]], values[order[len(order) // 2 :]]
        units = test / np.linalg.norm(test, axis=1, keepdims=True)
        cosine = (units @ units.T)[~np.eye(len(units), dtype=bool)].mean()
        rms = np.sqrt((test**2).mean())
        rows.append(
            {
                "embeddings": name,
                "zero": np.abs(test).mean(),
                "mean": np.abs(test - fit.mean(axis=0)).mean(),
                "median": np.abs(test - np.median(fit, axis=0)).mean(),
                "rms": rms,
                "mean_cosine": cosine,
                "rule": 0.8 * rms * np.sqrt(1 - cosine),
            }
        )
    return pd.DataFrame(rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("render").add_argument("clouds", type=Path)
    command = commands.add_parser("embed")
    for name in ("clouds", "pointnet", "tower"):
        command.add_argument(name, type=Path)
    command = commands.add_parser("train")
    command.add_argument("--width", type=int, default=64, help="base width; the paper's is 1024")
    command.add_argument("--epochs", type=int, default=300, help="the paper's is 1000")
    command.add_argument("--batch-sizes", nargs="+", type=int, default=[256, TRAIN])
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    command.add_argument("--norms", nargs="+", default=list(LABELS), choices=list(LABELS))
    command.add_argument("--device", default="cpu", help="default: cpu")
    command.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="default: fp32")
    commands.add_parser("fit").add_argument("--epochs", type=int, default=125, help="of the linear layer")
    command = commands.add_parser("tabulate")
    for name in ("labels", "classes", "pointnet"):
        command.add_argument(name, type=Path)
    commands.add_parser("clip").add_argument("images", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    match arguments.command:
        case "render":
            render(np.load(arguments.clouds), OUT / "renders")
        case "embed":
            embed(np.load(arguments.clouds).astype(np.float32), arguments.pointnet, arguments.tower, OUT)
        case "train":
            train(
                arguments.width,
                arguments.epochs,
                arguments.batch_sizes,
                arguments.seeds,
                arguments.norms,
                arguments.device,
                arguments.precision,
            )
        case "fit":
            fit(arguments.epochs)
        case "tabulate":
            classes = arguments.classes.read_text().split()
            labels = np.load(arguments.labels).astype(int)
            print(tabulate(labels, classes, arguments.pointnet).round(4).to_string(index=False))
        case "clip":
            images = np.load(arguments.images).astype(np.float64)
            print(clip_statistics(images).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
