"""Files of predictors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from pointspider.core.errors import InputError
from pointspider.mappers.base import Predictor


def load_predictor(path: str | Path) -> Predictor:
    """Load a predictor in the form that predicts fastest: a BASE mapper is folded into one affine map.

    Raises:
        InputError: the file is missing, damaged or not a predictor, or its weights hold NaN or inf.
    """
    from pointspider.mappers.affine import load_affine

    if read_metadata(path)["kind"] == "network":
        from pointspider.mappers.network import load_mapper, read_architecture

        if read_architecture(path).norm != "none":
            return load_mapper(path)
    return load_affine(path)


def write_metadata(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a predictor's file."""
    # One entry: safetensors does not fix the order of several
    return {"predictor": json.dumps(content)}


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read the metadata of a predictor's file.

    Raises:
        InputError: the file is missing, damaged or not a predictor.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            content: dict[str, Any] = json.loads((file.metadata() or {})["predictor"])
        if content["kind"] not in ("network", "affine"):
            raise ValueError(f"unknown kind '{content['kind']}'")
    except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a complete predictor ({error}). Delete it and run again.") from error
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
