"""The interface of all predictors, and their files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from pointspider.core.errors import InputError

#: `mapper.norm` of params.yaml and the paper's name of that mapper, in Table III's order.
LABELS = {"none": "BASE", "layer": "LNORM", "response": "RNORM"}


@runtime_checkable
class Predictor(Protocol):
    """Predicts the image embedding of a cloud's render from the cloud's embedding."""

    @property
    def input_width(self) -> int:
        """Width of point-cloud embeddings."""

    @property
    def output_width(self) -> int:
        """Width of image embeddings."""

    def predict(
        self, embeddings: Float[np.ndarray, "clouds inputs"]
    ) -> Float32[np.ndarray, "clouds outputs"]:
        """Map point-cloud embeddings to image embeddings.

        Raises:
            InputError: the embeddings have another width.
        """

    def save(self, path: str | Path) -> None:
        """Write a safetensors file for `load_predictor`. Equal weights give equal bytes."""


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


def check_embeddings(
    embeddings: Float[np.ndarray, "clouds inputs"], width: int
) -> Float32[np.ndarray, "clouds inputs"]:
    """Return point-cloud embeddings as float32.

    Raises:
        InputError: the embeddings have another width than `width`, so another point encoder computed them.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise InputError(
            f"the predictor takes point embeddings of shape (n, {width}), not {embeddings.shape}: use the "
            "point encoder that it was trained with."
        )
    return embeddings.astype(np.float32, copy=False)


def write_metadata(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a predictor's file."""
    # One entry: safetensors does not fix the order of several
    return {"predictor": json.dumps(content)}


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read the metadata of a predictor's file.

    Raises:
        InputError: the file is missing, damaged or not a predictor.
    """
    import safetensors  # tables import LABELS where it is not installed

    try:
        with safetensors.safe_open(path, framework="np") as file:
            content: dict[str, Any] = json.loads((file.metadata() or {})["predictor"])
        if content["kind"] not in ("network", "affine"):
            raise ValueError(f"unknown kind '{content['kind']}'")
    except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a predictor, or incomplete ({error}). Delete it and run again."
        ) from error
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
