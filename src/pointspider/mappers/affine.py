"""Affine predictors: every fit, the constants, and a trained BASE folded into one matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from pointspider.mappers.base import check_embeddings
from pointspider.mappers.tensors import check_tensors
from pointspider.training.tensors import Arrays, write_tensors


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
        tensors = {"weight": self.weight, "bias": self.bias}
        write_tensors(path, tensors, {"kind": "affine", "facts": dict(self.facts)})


def affine_of(path: str | Path, tensors: Arrays, content: Mapping[str, Any]) -> Affine:
    """Return the affine map, or the folded form of the BASE mapper, that `read_predictor` read.

    Raises:
        InputError: the tensors have other shapes, or hold NaN or inf.
    """
    prefix = "folded." if content["kind"] == "network" else ""
    weight, bias = f"{prefix}weight", f"{prefix}bias"
    found = {name: tensors[name] for name in (weight, bias) if name in tensors}
    shape = found[weight].shape if weight in found else ()
    inputs = content["architecture"]["input_width"] if prefix else shape[0] if shape else 0
    outputs = shape[-1] if shape else 0
    check_tensors(path, {weight: (inputs, outputs), bias: (outputs,)}, found)
    return Affine(found[weight], found[bias], content.get("facts", {}))
