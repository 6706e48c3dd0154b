"""Affine predictors: every fit, the constants, and a trained BASE folded into one matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors
from jaxtyping import Float, Float32
from safetensors.numpy import save_file

from pointspider.core.errors import InputError
from pointspider.core.files import atomic
from pointspider.mappers.base import check_embeddings
from pointspider.mappers.files import check_tensors, read_metadata, write_metadata


@dataclass(frozen=True)
class Affine:
    """x → x · weight + bias. A `Predictor`.

    Attributes:
        weight: matrix.
        bias: vector.
        facts: what the fit chose, by name: `scale`; `lambda`, and `lambda_at_end`: 1 if it is an end of the
            grid; `rank`; `gap`, the relative duality gap; `interpolates`: 1 if every training cloud is met
            exactly.
    """

    weight: Float32[np.ndarray, "inputs outputs"]
    bias: Float32[np.ndarray, " outputs"]
    facts: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def input_width(self) -> int:
        """Width of point-cloud embeddings."""
        return len(self.weight)

    @property
    def output_width(self) -> int:
        """Width of image embeddings."""
        return len(self.bias)

    def predict(
        self, embeddings: Float[np.ndarray, "*clouds inputs"]
    ) -> Float32[np.ndarray, "clouds outputs"]:
        """Map point-cloud embeddings to image embeddings.

        Raises:
            InputError: the embeddings have another width.
        """
        predicted: np.ndarray = check_embeddings(embeddings, self.input_width) @ self.weight
        predicted += self.bias
        return predicted

    def save(self, path: str | Path) -> None:
        """Write a safetensors file for `pointspider.mappers.files.load_predictor`."""
        tensors = {"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}
        with atomic(path) as temporary:
            save_file(tensors, temporary, write_metadata({"kind": "affine", "facts": dict(self.facts)}))


def load_affine(path: str | Path) -> Affine:
    """Load an affine map, or the folded form of a BASE mapper.

    Raises:
        InputError: the file is missing, damaged or not an affine map, or its weights hold NaN or inf.
    """
    metadata = read_metadata(path)
    prefix = "folded." if metadata["kind"] == "network" else ""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            weight, bias = (file.get_tensor(f"{prefix}{name}") for name in ("weight", "bias"))
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: not an affine predictor ({error}). Delete it and run again.") from error
    width = metadata["architecture"]["input_width"] if prefix else len(weight)
    expected = {"weight": (width, weight.shape[-1]), "bias": (weight.shape[-1],)}
    check_tensors(path, expected, {"weight": weight, "bias": bias})
    return Affine(weight, bias, metadata.get("facts", {}))
