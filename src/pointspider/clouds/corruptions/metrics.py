"""Metrics of PointCloud-C: errors under corruption relative to those of DGCNN."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pointspider.core.errors import InputError

#: Overall accuracy of DGCNN on ModelNet-C, means over five severities (Ren et al. 2022, Table 2).
DGCNN_CLEAN = 0.926
DGCNN = {
    "scale": 0.906, "jitter": 0.684, "rotate": 0.785, "dropout_global": 0.752, "dropout_local": 0.793,
    "add_global": 0.705, "add_local": 0.725,
}  # fmt: skip


class Errors(NamedTuple):
    """Errors of a classifier; 1 is as good as DGCNN, less is better.

    Attributes:
        corruption: {corruption: corruption error CE}.
        relative: {corruption: relative corruption error RCE}: of the accuracy that the corruption costs.
        mean: mCE.
        mean_relative: RmCE.
        accuracy: mOA, mean overall accuracy over the corruptions.
    """

    corruption: dict[str, float]
    relative: dict[str, float]
    mean: float
    mean_relative: float
    accuracy: float


def corruption_errors(clean: float, accuracies: Mapping[str, Sequence[float]]) -> Errors:
    """Compute the errors of PointCloud-C's benchmark.

    Args:
        clean: overall accuracy on clean clouds, from 0 to 1.
        accuracies: {corruption: overall accuracy at each severity}, of all seven corruptions.

    Raises:
        InputError: a corruption is missing or unknown, or an accuracy is not from 0 to 1.
    """
    means = {}
    for name, values in accuracies.items():
        short = name.removeprefix("pointcloud-c/")
        if short not in DGCNN:
            raise InputError(f"'{name}' is not a corruption of PointCloud-C; it has {', '.join(DGCNN)}.")
        if not values or not all(0 <= value <= 1 for value in [clean, *values]):
            raise InputError(
                f"accuracies of '{name}' must be from 0 to 1, not {list(values)}, clean {clean}."
            )
        means[short] = sum(values) / len(values)
    missing = [name for name in DGCNN if name not in means]
    if missing:
        raise InputError(f"accuracies of {', '.join(missing)} are missing.")
    errors = {name: (1 - means[name]) / (1 - DGCNN[name]) for name in DGCNN}
    relative = {name: (clean - means[name]) / (DGCNN_CLEAN - DGCNN[name]) for name in DGCNN}
    mean, mean_relative, accuracy = (sum(d.values()) / len(DGCNN) for d in (errors, relative, means))
    return Errors(errors, relative, mean, mean_relative, accuracy)
