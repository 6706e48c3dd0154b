"""Constant predictors: what a mapper must beat before its loss says that it uses its input at all.

A baseline is fitted like a mapper, `fit(x_train, y_train)`, and gives a function from (n, input width)
point-cloud embeddings to (n, output width) image embeddings.
"""

from collections.abc import Callable

import numpy as np

Predictor = Callable[[np.ndarray], np.ndarray]


def zero(x_train: np.ndarray, y_train: np.ndarray) -> Predictor:
    """Predict 0 for every cloud: the loss of a mapper whose units have died."""
    return _constant(np.zeros(y_train.shape[1], y_train.dtype))


def mean(x_train: np.ndarray, y_train: np.ndarray) -> Predictor:
    """Predict the training split's mean image embedding: the constant of least squared error."""
    return _constant(y_train.mean(axis=0, dtype=np.float64).astype(y_train.dtype))


def median(x_train: np.ndarray, y_train: np.ndarray) -> Predictor:
    """Predict the training split's median of each dimension: the constant of least L1, the mappers' loss."""
    return _constant(np.median(y_train, axis=0))


def _constant(embedding: np.ndarray) -> Predictor:
    return lambda x: np.broadcast_to(embedding, (len(x), len(embedding)))


#: In Table III's order.
BASELINES = {"zero": zero, "mean": mean, "median": median}
