"""Fine-tuning of mappers on another domain: docs/domains.md.

    python benchmarks/domains.py POINTNET TOWER.py --mappers benchmarks/out/real/mappers/width64_batch256…

The mappers of benchmarks/real.py, trained on ModelNet40, predict the renders of road objects as a lidar
sees them: before fine-tuning, after, and compared with mappers that are trained on road objects only. Writes
renders, embeddings, domains.csv and domains.png to benchmarks/out/domains.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from real import FOLDS, LAMBDAS, SEED, embed, read_split, render

from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import write_csv, write_png
from pointspider.mappers.base import LABELS
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import Initial, load_initial, train_mapper
from pointspider.study.evaluate.alignment import Clouds, ImageSpace, Predict

OUT = Path(__file__).parent / "out/domains"
#: Objects per class; those of training come first.
OBJECTS, TRAIN = 50, 30
#: The learning rate of fine-tuning: with Adam's first steps of the paper's 0.005 a trained mapper is lost.
FINE = 0.0001
SHOWN = 6  # objects per class on the sheet


def scan() -> tuple[np.ndarray, pd.DataFrame]:
    """Return the clouds of all objects, (M, N, 3), and their manifest with a column `split`."""
    source = open_source(parse_settings({"source": "road", "evaluation_objects": OBJECTS}), SEED)
    rows = [(name, each) for name in source.classes for each in source.objects()["test"][name]]
    clouds = np.stack([source.load(*row).points for row in rows])
    manifest = pd.DataFrame(rows, columns=["class", "object"]).assign(corruption="original", severity=0)
    return clouds, manifest.assign(split=np.where(manifest["object"] < f"{TRAIN:04d}", "train", "test"))


def sheet(manifest: pd.DataFrame) -> np.ndarray:
    """The first renders of every class, a row per class."""
    rows = []
    for _, members in manifest.groupby("class", sort=False):
        paths = [OUT / f"renders/{row:04d}.png" for row in members.index[:SHOWN]]
        pictures = [Image.open(path).resize((112, 112)) for path in paths]
        rows.append(np.concatenate(list(map(np.asarray, pictures)), axis=1))
    return np.concatenate(rows)


def predictors(train: Clouds, test: Clouds, mappers: str, epochs: int, seeds: list[int]) -> Iterator[tuple]:
    """Yield name, training data, seed and `predict` of everything that is compared."""
    points, images, is_train = read_split()
    both = {"ModelNet40": (points[is_train], images[is_train]), "road": (train.points, train.images)}
    for data, (x, y) in both.items():
        for name, fit in fit_baselines(x, y, np.arange(len(x)), LAMBDAS, FOLDS, SEED):
            if name in ("median", "ridge"):
                yield name, data, None, fit.predict
            if name == "ridge":
                break  # the others take minutes
    split = train.points, train.images, test.points, test.images
    for norm, label in LABELS.items():
        for seed in seeds:
            init = load_initial(f"{mappers}_{{norm}}_seed{seed}_last.safetensors", norm)
            yield label, "ModelNet40", seed, init.mapper.predict
            for data, start, rate in (
                ("ModelNet40, then road", init, FINE),
                ("road", None, FINE),
                ("road, rate 0.005", None, 0.005),
            ):
                yield label, data, seed, _trained(split, norm, start, rate, epochs, seed, init)


def _trained(
    split: tuple[np.ndarray, ...],
    norm: str,
    start: Initial | None,
    rate: float,
    epochs: int,
    seed: int,
    like: Initial,
) -> Predict:
    settings = MapperSettings(
        epochs=epochs,
        learning_rate=rate,
        batch_size=32,
        base_width=like.mapper.architecture.base_width,
        precision="fp32",
    )
    return train_mapper(*split, norm, settings, seed, device="cpu", init=start).last.predict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pointnet", type=Path)
    parser.add_argument("tower", type=Path)
    parser.add_argument("--mappers", required=True, help="start of the names of their files, up to the norm")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    clouds, manifest = scan()
    render(clouds, OUT / "renders")
    write_png(OUT / "domains.png", sheet(manifest))
    if not (OUT / "images.npy").exists():
        embed(clouds, arguments.pointnet, arguments.tower, OUT)
    every = Clouds(manifest, np.load(OUT / "points.npy"), np.load(OUT / "images.npy"))
    train, test = (every.where((manifest["split"] == side).to_numpy()) for side in ("train", "test"))
    classes = list(dict.fromkeys(manifest["class"]))
    # The tower has no text side: a class is its mean training image instead of a prompt
    means = [train.images[(train.manifest["class"] == name).to_numpy()].mean(axis=0) for name in classes]
    space = ImageSpace.of(train.images, classes, np.stack(means), None, [1])
    rows = []
    for name, data, seed, predict in predictors(
        train, test, arguments.mappers, arguments.epochs, arguments.seeds
    ):
        measured = space.measure(predict, test)
        rows.append({"predictor": name, "trained on": data, "seed": seed, **measured.mean().to_dict()})
        print(rows[-1], flush=True)
    frame = pd.DataFrame(rows)
    frame["skill"] = 1 - frame["l1"] / frame["median_l1"]
    measures = ["l1", "skill", "cosine", "image_r1", "image_r10", "top1"]
    grouped = frame.groupby(["predictor", "trained on"], sort=False)
    table = grouped[measures].mean().reset_index()
    table["l1_std"] = grouped["l1"].std().to_numpy()
    write_csv(OUT / "domains.csv", table)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
