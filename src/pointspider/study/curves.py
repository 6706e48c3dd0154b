"""Files of loss curves: a CSV file per training of a mapper, `<norm>/seed_<seed>.csv`."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from pointspider.core.files import read_csv, write_csv
from pointspider.mappers.base import LABELS

COLUMNS = ["epoch", "train_l1", "test_l1"]


def write_curve(
    path: str | Path, train_loss: Float64[np.ndarray, " epochs"], test_loss: Float64[np.ndarray, " epochs"]
) -> None:
    """Write the losses (mean L1) of every epoch, which is counted from 1."""
    epochs = np.arange(1, len(train_loss) + 1)
    write_csv(path, pd.DataFrame(dict(zip(COLUMNS, (epochs, train_loss, test_loss), strict=True))))


def read_curves(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read the loss curves of several trainings.

    Returns:
        Columns predictor (BASE, LNORM, RNORM), seed, epoch, train_l1 and test_l1. A training that diverged in
        its first epoch has no rows.

    Raises:
        InputError: a file is missing, damaged or lacks a column.
    """
    curves = [
        read_csv(path, COLUMNS).assign(
            predictor=LABELS[path.parent.name], seed=int(path.stem.removeprefix("seed_"))
        )
        for path in map(Path, paths)
    ]
    return pd.concat(curves, ignore_index=True)
