"""Train the mappers over norm × batch size × width × seed on one set of embeddings.

The paper gives no batch size, and what its mappers reach (L1 of BASE 0.654, LNORM 0.250, RNORM 0.637) depends
on it. This study trains the grid and compares each run with constants that ignore the cloud:

    python benchmarks/batch_size.py results/embedded --widths 32 128 --epochs 200

Each finished run is a file, so an interrupted study continues, and grids can be combined. Files in `--out`:

    runs/<run>.json     settings and results of a finished run
    curves/<run>.csv    its losses by epoch
    batch_size.csv      all finished runs
    batch_size.png      all curves, a row of panels per width, a column per norm
"""

import argparse
import itertools
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pointspider.core.files import read_csv, read_json, write_csv, write_json
from pointspider.mappers.base import LABELS
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper
from pointspider.study.embeddings import read_split
from pointspider.study.plots.style import BLUE, GREEN, GREY, ORANGE, VERMILION, WIDTH, save, styled

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x_train, y_train, x_test, y_test

#: Of Adam, as in the paper.
LEARNING_RATE = 0.005
#: Line styles of the constants in the figure.
CONSTANTS = {"zero": ":", "median": "--"}


@dataclass(frozen=True)
class Run:
    """One training of the grid."""

    base_width: int  # hidden layers are 2, 4, 8, 4 and 2 times this; the paper's is 1024
    epochs: int
    norm: str
    batch_size: int  # samples; all of them make one step per epoch
    seed: int

    def __str__(self) -> str:
        label = LABELS[self.norm]
        return f"width{self.base_width}_epochs{self.epochs}_{label}_batch{self.batch_size}_seed{self.seed}"


def read_embeddings(results: Path, model: str, layer: str) -> Split:
    """Read the embeddings of the aligned clouds of a preset, (n, width) float32 each."""
    manifest = read_csv(results / "manifests/alignment.csv", ["cloud_id", "split"])
    (points,) = (results / "embeddings/points").glob("*.h5")
    return read_split(manifest, points, results / f"embeddings/images/{model}.h5", layer)


def train(run: Run, embeddings: Split, curve: Path) -> dict[str, str | int | float | None]:
    """Train and measure on the test split; the file `curve` grows by a line per epoch.

    Returns:
        The run's settings and

        - steps: of Adam, in total;
        - l1_last, l1_best, best_epoch, diverged_at: as in Table III, but l1_last even where it diverged;
        - spread: standard deviation of the last mapper's predictions over the test clouds, mean over the
          dimensions, divided by that of the images; 0: every prediction is equal;
        - magnitude: mean |prediction| of the last mapper, divided by that of the images; 0: it predicts zero;
        - zero, median: L1 of these constants;
        - seconds: wall time.
    """
    _, y_train, x_test, y_test = embeddings
    settings = MapperSettings(
        epochs=run.epochs,
        learning_rate=LEARNING_RATE,
        batch_size=run.batch_size,
        base_width=run.base_width,
        precision="fp32",
    )
    curve.parent.mkdir(parents=True, exist_ok=True)
    with curve.open("w", buffering=1, encoding="utf-8") as lines:
        lines.write("epoch,train,test\n")
        result = train_mapper(
            *embeddings,
            run.norm,
            settings,
            run.seed,
            on_epoch=lambda epoch, losses: lines.write(
                f"{epoch},{losses['train_l1']:.6g},{losses['test_l1']:.6g}\n"
            ),
        )
    record = {
        **asdict(run),
        "steps": run.epochs * math.ceil(len(y_train) / run.batch_size),
        "l1_last": float(result.test_loss[-1]) if result.best_epoch else None,
        "l1_best": float(result.test_loss.min()) if result.best_epoch else None,
        "best_epoch": result.best_epoch,
        "diverged_at": result.diverged_at,
        "zero": float(np.abs(y_test).mean()),
        "median": float(np.abs(y_test - np.median(y_train, axis=0)).mean()),
        "seconds": round(result.seconds, 1),
    }
    predicted = result.last.predict(x_test).astype(np.float64)
    if np.isfinite(predicted).all():
        record["spread"] = float(predicted.std(axis=0).mean() / y_test.std(axis=0).mean())
        record["magnitude"] = float(np.abs(predicted).mean() / np.abs(y_test).mean())
    return record


def collect(out: Path) -> pd.DataFrame:
    """Collect the finished runs, sorted, with skill = 1 - L1 / L1(median) and L1DIV = 1 / L1."""
    order = list(LABELS)
    keys = ["base_width", "epochs", "batch_size", "norm", "seed"]
    frame = pd.DataFrame([read_json(path) for path in sorted((out / "runs").glob("*.json"))])
    frame["l1div_last"] = 1 / frame["l1_last"]
    frame["skill_last"] = 1 - frame["l1_last"] / frame["median"]
    frame["skill_best"] = 1 - frame["l1_best"] / frame["median"]
    return frame.sort_values(
        keys, key=lambda column: column.map(order.index) if column.name == "norm" else column
    )


@styled
def plot(frame: pd.DataFrame, out: Path) -> Figure:
    """Plot test loss by step of Adam: a row of panels per width, a column per norm."""
    rows = list(frame.groupby("base_width"))
    sizes = sorted(frame["batch_size"].unique())
    colours = dict(zip(sizes, itertools.cycle([VERMILION, ORANGE, GREEN, BLUE]), strict=False))
    figure = Figure(figsize=(WIDTH, 1.6 * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), len(LABELS), squeeze=False, sharex=True, sharey="row")
    for line, (width, runs) in zip(axes, rows, strict=True):
        for panel, (norm, label) in zip(line, LABELS.items(), strict=True):
            for run in runs[runs["norm"] == norm].itertuples():
                name = Run(width, run.epochs, norm, run.batch_size, run.seed)
                curve = read_csv(out / f"curves/{name}.csv", ["epoch", "test"])
                steps = curve["epoch"] * run.steps / run.epochs
                panel.plot(steps, curve["test"], color=colours[run.batch_size], linewidth=0.8)
            for constant, dashes in CONSTANTS.items():
                panel.axhline(runs[constant].iloc[0], color=GREY, linestyle=dashes, linewidth=1)
            panel.set(xscale="log", yscale="log", title=f"{label}, width {width}")
        line[0].set_ylabel("test L1")
    for panel in axes[-1]:
        panel.set_xlabel("step of Adam")
    handles = [Line2D([], [], color=colours[size], label=f"batch {size}") for size in sizes]
    handles += [
        Line2D([], [], color=GREY, linestyle=dashes, label=name) for name, dashes in CONSTANTS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", type=Path, help="a preset's results with its embeddings, e.g. results/embedded"
    )
    parser.add_argument("--model", default="tiny-clip-patch8", help="whose image embeddings")
    parser.add_argument("--layer", default="pooled", help="pooled or projected")
    parser.add_argument("--norms", nargs="+", default=list(LABELS), choices=list(LABELS))
    parser.add_argument(
        "--batch-sizes", nargs="+", default=[32, 64, 256, 0], type=int, help="0: all in one batch"
    )
    parser.add_argument("--seeds", nargs="+", default=[0, 1, 2], type=int)
    parser.add_argument(
        "--widths", nargs="+", default=[1024], type=int, help="base widths; the paper's is 1024"
    )
    parser.add_argument("--epochs", default=1000, type=int, help="the paper's is 1000")
    parser.add_argument("--out", default=Path("benchmarks/out/batch_size"), type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    embeddings = read_embeddings(arguments.results, arguments.model, arguments.layer)
    sizes = [size or len(embeddings[0]) for size in arguments.batch_sizes]
    # Seeds are the outer loop: a study that stops early has complete grids of fewer seeds
    grid = itertools.product(arguments.seeds, arguments.widths, sizes, arguments.norms)
    for seed, width, size, norm in grid:
        run = Run(width, arguments.epochs, norm, size, seed)
        finished = arguments.out / f"runs/{run}.json"
        if not finished.exists():
            write_json(finished, train(run, embeddings, arguments.out / f"curves/{run}.csv"))
    frame = collect(arguments.out)
    write_csv(arguments.out / "batch_size.csv", frame)
    save(plot(frame, arguments.out), arguments.out / "batch_size")


if __name__ == "__main__":
    main()
