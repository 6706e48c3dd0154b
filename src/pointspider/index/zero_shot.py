"""Compare rows with the words of labels, and turn cosines into shares."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

from pointspider.core.errors import InputError
from pointspider.index.models import Models
from pointspider.index.store import Store

#: Clouds of the index that the temperature is fitted on.
FITTED = 2000


def embed_labels(models: Models, labels: Sequence[str]) -> Float32[np.ndarray, "labels P"]:
    """Embed labels in the prompt of the index; underscores are read as spaces.

    Raises:
        InputError: there are fewer than two labels or a label occurs twice.
    """
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise InputError("labels: give two or more different ones, separated by commas.")
    prompt = models.description.prompt
    return models.embed_texts([prompt.replace("{class}", label.replace("_", " ")) for label in labels])


def shares(
    store: Store,
    models: Models,
    similarities: Float[np.ndarray, "clouds labels"],
    labels: Sequence[str],
    words: Float32[np.ndarray, "labels P"],
) -> Float[np.ndarray, "clouds labels"] | None:
    """Softmax of similarities, with a temperature that is fitted on the clouds of the index.

    Args:
        store: of the rows.
        models: of the index.
        similarities: of clouds and labels.
        labels: of the columns.
        words: see `embed_labels`.

    Returns:
        Shares that sum to 1 in each row; None if a label is not a class of the index.
    """
    classes = store.column("class")
    numbers = {label.encode(): number for number, label in enumerate(labels)}
    rows = np.flatnonzero(np.isin(classes, list(numbers)))
    if len(set(classes[rows].tolist())) < len(labels):
        return None
    rows = rows[:: -(-len(rows) // FITTED)]
    truth = np.array([numbers[value] for value in classes[rows].tolist()])
    known = models.project(store.vectors(rows)) @ words.T
    return softmax(similarities * fit_scale(known, truth))


def fit_scale(similarities: Float[np.ndarray, "n labels"], truth: Int64[np.ndarray, " n"]) -> float:
    """The factor on cosines for which their softmax gives the true labels the highest likelihood."""
    from scipy.optimize import minimize_scalar

    def loss(log_scale: float) -> float:
        likely = softmax(similarities * np.exp(log_scale))[np.arange(len(truth)), truth]
        return -float(np.log(np.maximum(likely, 1e-30)).mean())

    # From almost equal shares to CLIP's largest scale, 100, and beyond it
    return float(np.exp(minimize_scalar(loss, bounds=(-3, 7), method="bounded").x))


def softmax(values: Float[np.ndarray, "n labels"]) -> Float[np.ndarray, "n labels"]:
    """Softmax of each row."""
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    result: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result
