"""Mappers from point-cloud embeddings to image embeddings: model, training, baselines."""

import numpy as np

from pointspider.core.errors import InputError

#: `mapper.norm` of params.yaml and the paper's name of that mapper, in Table III's order.
LABELS = {"none": "BASE", "layer": "LNORM", "response": "RNORM"}


def point_embeddings(embeddings: np.ndarray, width: int) -> np.ndarray:
    """What is mapped, (n, `width`) float32.

    Raises:
        InputError: the embeddings have another width, so another point encoder made them.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise InputError(
            f"the mapper takes point embeddings of shape (n, {width}), not {embeddings.shape}: use the point "
            "encoder that it was trained with."
        )
    return embeddings.astype(np.float32, copy=False)
