"""How near mapped point-cloud embeddings come to the image embeddings, and whether a constant comes as near
(Table III).

    L1     mean absolute difference over the test clouds and the dimensions of the embedding
    L1DIV  1 / L1, the paper's measure
    skill  1 - L1 / L1 of the training median: 1 perfect, 0 no better than the best constant, below 0 worse
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.errors import InputError
from pointspider.mapper import LABELS
from pointspider.mapper.baselines import BASELINES
from pointspider.storage import read_csv

#: Of `alignment_records`, with the type of each; all but the float ones are nullable.
COLUMNS = {
    "kind": "string", "mapper": "string", "norm": "string", "seed": "Int64",
    "image_model": "string", "layer": "string", "point_encoder": "string",
    "epochs": "Int64", "batch_size": "Int64", "base_width": "Int64", "n_train": "Int64", "n_test": "Int64",
    "l1_train": "float64",
    "l1_last": "float64", "l1div_last": "float64", "skill_last": "float64",
    "l1_best": "float64", "l1div_best": "float64", "skill_best": "float64",
    "best_epoch": "Int64", "diverged_at": "Int64",
}  # fmt: skip


def mean_l1(predicted: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute difference of two (n, D) arrays over rows and dimensions.

    Raises:
        InputError: the shapes differ (they are not broadcast) or are empty.
    """
    if predicted.shape != target.shape or not target.size:
        raise InputError(f"L1 between embeddings of the shapes {predicted.shape} and {target.shape}.")
    return float(np.abs(predicted.astype(np.float64) - target).mean())


def alignment_records(
    runs: Iterable[Mapping],
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    image_model: str,
    layer: str,
    point_encoder: str,
) -> pd.DataFrame:
    """Table III as a long frame: one row per baseline, then one per trained mapper, sorted by norm and seed.

    Args:
        runs: `pointspider.mapper.training.TrainingResult.summary()` of each training on these embeddings.
        x_train, x_test: (n, input width) point-cloud embeddings.
        y_train, y_test: (n, output width) image embeddings.
        image_model, layer, point_encoder: where the embeddings come from.

    Returns:
        The columns of `COLUMNS`:

        - kind: "baseline" or "mapper"; mapper: zero, mean, median or BASE, LNORM, RNORM; norm, seed;
        - image_model, layer, point_encoder; epochs asked for; batch_size and base_width as used;
        - n_train, n_test: clouds;
        - l1_train: during the last epoch, on the train split;
        - l1_last, l1div_last, skill_last: on the test split, after the last epoch;
        - l1_best, l1div_best, skill_best: after best_epoch, the epoch (counted from 1) with the lowest test
          loss, hence optimistic;
        - diverged_at: epoch (counted from 1) at which the training broke down.

        Of a baseline, _last and _best are equal. Missing are what a baseline does not have, and what a mapper
        that diverged does not: l1_train, _last, and after no finite epoch _best.
    """
    rows = []
    for name, fit in BASELINES.items():
        predict = fit(x_train, y_train)
        l1 = mean_l1(predict(x_test), y_test)
        l1_train = mean_l1(predict(x_train), y_train)
        rows.append({"kind": "baseline", "mapper": name, "l1_train": l1_train, "l1_last": l1, "l1_best": l1})
    order = list(LABELS)
    for run in sorted(runs, key=lambda run: (order.index(run["norm"]), run["seed"])):
        rows.append({"kind": "mapper", "mapper": LABELS[run["norm"]], **run})
    frame = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).astype(COLUMNS)
    frame = frame.assign(
        image_model=image_model,
        layer=layer,
        point_encoder=point_encoder,
        n_train=len(y_train),
        n_test=len(y_test),
    )
    whole = (frame["kind"] == "mapper") & frame["batch_size"].isna()
    frame.loc[whole, "batch_size"] = len(y_train)
    reference = frame.loc[frame["mapper"] == "median", "l1_last"].item()
    for which in ("last", "best"):
        frame[f"l1div_{which}"] = 1 / frame[f"l1_{which}"]
        # Where the median is perfect, the test split is constant, and there is no skill to show.
        frame[f"skill_{which}"] = 1 - frame[f"l1_{which}"] / reference if reference else np.nan
    return frame.astype(COLUMNS)


def read_curves(directories: Iterable[str | Path]) -> pd.DataFrame:
    """The loss curves that dvclive keeps of the trainings.

    Args:
        directories: `<norm>/`, each with `seed_<seed>/plots/metrics/{train,test}_l1.tsv`.

    Returns:
        Columns mapper (BASE, LNORM, RNORM), seed, epoch (from 1), train and test (mean L1). A training that
        diverged in its first epoch has no rows.

    Raises:
        InputError: a file is broken; says which directory to delete, since a norm is trained whole.
    """
    curves = [pd.DataFrame({"mapper": [], "seed": [], "epoch": [], "train": [], "test": []})]
    for directory in map(Path, directories):
        for seed in sorted(directory.glob("seed_*")):
            metrics = seed / "plots/metrics"
            if not (metrics / "train_l1.tsv").exists():
                continue
            try:
                train = read_csv(metrics / "train_l1.tsv", ["step", "train_l1"], separator="\t")
                test = read_csv(metrics / "test_l1.tsv", ["step", "test_l1"], separator="\t")
            except InputError as error:
                raise InputError(f"{error} Delete the directory {directory} and run again.") from error
            curves.append(
                pd.DataFrame(
                    {
                        "mapper": LABELS[directory.name],
                        "seed": int(seed.name.removeprefix("seed_")),
                        "epoch": train["step"] + 1,
                        "train": train["train_l1"],
                        "test": test["test_l1"],
                    }
                )
            )
    return pd.concat(curves, ignore_index=True)
