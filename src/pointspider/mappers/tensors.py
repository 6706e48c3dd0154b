"""The tensors in files of predictors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.core.errors import InputError
from pointspider.training.tensors import Arrays, read_tensors


def read_predictor(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Read the tensors of a predictor's file, and its description.

    Raises:
        InputError: the file is missing, damaged or not a predictor.
    """
    tensors, content = read_tensors(path)
    if content.get("kind") not in ("network", "affine"):
        raise InputError(f"{path}: is not a predictor. Delete it and run again.")
    return tensors, content


def check_tensors(
    path: str | Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Any]
) -> None:
    """Check the tensors of a predictor's file.

    Args:
        path: the file, for messages.
        expected: {name: shape}.
        found: {name: NumPy array or tensor}.

    Raises:
        InputError: a name is missing or unexpected, a shape differs, or a value is NaN or inf.
    """
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    for name in sorted({*expected, *shapes}):
        if expected.get(name) != shapes.get(name):
            raise InputError(
                f"{path}: {name} has the shape {shapes.get(name)} instead of {expected.get(name)}. Delete it "
                "and run again."
            )
    if not all(np.isfinite(np.asarray(value)).all() for value in found.values()):
        raise InputError(
            f"{path}: its weights hold NaN or inf, so its training diverged. Lower mapper.learning_rate."
        )
