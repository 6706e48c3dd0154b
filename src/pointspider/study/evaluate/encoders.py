"""What Table IV measures of a point encoder: the same fits and mapper, its size and its speed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32

from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.module import PointEncoderModule
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import TrainingResult, train_mapper
from pointspider.study.evaluate.alignment import OBJECT, Candidate, Clouds, ImageSpace, Predict
from pointspider.study.evaluate.candidates import trained

#: The last of the fits of Table III that Table IV has; those after it take longer than all others together.
LAST_FIT = "reduced_rank"
#: Clouds of a timed batch.
BATCH = 32


def fit_candidates(
    space: ImageSpace, train: Clouds, lambdas: Sequence[float], folds: int, fold_seed: int
) -> Iterator[Candidate]:
    """The baselines up to `LAST_FIT`; arguments as for `pointspider.mappers.fits.fit_baselines`."""
    groups = train.groups(OBJECT)
    for name, fit in fit_baselines(train.points, train.images, groups, lambdas, folds, fold_seed):
        yield Candidate("baseline", name, partial(space.measure, fit.predict), facts=fit.facts)
        if name == LAST_FIT:
            return


def train_candidates(
    space: ImageSpace, train: Clouds, test: Clouds, norm: str, settings: MapperSettings, seeds: Sequence[int]
) -> Iterator[Candidate]:
    """One mapper, trained with every seed; arguments as for `pointspider.mappers.training.train_mapper`."""
    for seed in seeds:
        result = train_mapper(train.points, train.images, test.points, test.images, norm, settings, seed)
        yield from trained(space, [result.summary()], partial(_state, result))


def _state(result: TrainingResult, run: Mapping[str, Any], epoch: str) -> Predict:
    return result.last.predict if epoch == "last" else result.best.predict


def encoder_facts(
    encoder: PointEncoderModule, clouds: Float32[np.ndarray, "n N 3"]
) -> dict[str, int | float | None]:
    """Size and speed of an encoder.

    Args:
        encoder: in eval mode.
        clouds: one or more.

    Returns:
        width of the embedding; parameters; points that it draws from a cloud, None: all; clouds_per_second:
        the fastest of three batches of `BATCH`, one thread on a CPU, in wall time.
    """
    batch = np.resize(clouds, (BATCH, *clouds.shape[1:]))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        embed_clouds(encoder, batch, BATCH)
        seconds.append(time.perf_counter() - start)
    return {
        "width": encoder.width,
        "parameters": sum(weight.numel() for weight in encoder.parameters()),
        "points": encoder.points,
        "clouds_per_second": BATCH / min(seconds),
    }
