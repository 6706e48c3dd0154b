"""The interface of all predictors."""

from pathlib import Path
from typing import Protocol, runtime_checkable

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
        self, embeddings: Float[np.ndarray, "*clouds inputs"]
    ) -> Float32[np.ndarray, "clouds outputs"]:
        """Map point-cloud embeddings to image embeddings.

        Raises:
            InputError: the embeddings have another width.
        """

    def save(self, path: str | Path) -> None:
        """Write a file for `pointspider.mappers.files.load_predictor`. Equal weights give equal bytes."""


def check_embeddings(
    embeddings: Float[np.ndarray, "*clouds inputs"], width: int
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
