"""Files of predictors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.core.errors import InputError
from pointspider.mappers.base import Predictor
from pointspider.training.tensors import Arrays, read_content, read_tensors


def load_predictor(path: str | Path) -> Predictor:
    """Load a predictor in the form that predicts fastest: a BASE mapper is folded into one affine map.

    Raises:
        InputError: the file is missing, damaged or not a predictor, or its weights hold NaN or inf.
    """
    from pointspider.mappers.affine import affine_of

    tensors, content = read_predictor(path)
    if content["kind"] == "network":
        from pointspider.mappers.network import architecture_of, mapper_of

        if architecture_of(path, content).norm != "none":
            return mapper_of(path, tensors, content)
    return affine_of(path, tensors, content)


def read_predictor(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Read the tensors of a predictor's file, and its description.

    Raises:
        InputError: the file is missing, damaged or not a predictor.
    """
    tensors, content = read_tensors(path)
    if content.get("kind") not in ("network", "affine"):
        raise InputError(f"{path}: is not a predictor. Delete it and run again.")
    return tensors, content


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read the description in a predictor's file, without its tensors.

    Raises:
        InputError: the file is missing, damaged or not a predictor.
    """
    content = read_content(path)
    if content.get("kind") not in ("network", "affine"):
        raise InputError(f"{path}: is not a predictor. Delete it and run again.")
    return content


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
