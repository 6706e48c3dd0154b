"""Choose the predictor that search uses, by cross-validation on the training clouds of Table III.

The criterion is what search does: an image embedding is the query, the predicted embeddings of clouds are
the gallery. A fold's objects are the gallery of that fold, which no candidate has seen. The measure is the
mean over the queries of 1 / rank of the query's cloud. The test split is not used.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.affine import Affine
from pointspider.mappers.base import LABELS
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import load_initial, train_mapper
from pointspider.study.evaluate.alignment import OBJECT, Clouds, Predict
from pointspider.study.evaluate.retrieval import match_ranks

#: The fits that may be chosen. Constants retrieve nothing, and `lad` costs more than all others together.
FITS = ("procrustes", "ridge", "reduced_rank")


def cross_validate(
    clouds: Clouds,
    lambdas: Sequence[float],
    folds: int,
    used: int,
    fold_seed: int,
    settings: MapperSettings,
    seed: int,
    init: str | None = None,
    direct: bool = False,
) -> pd.DataFrame:
    """Measure every candidate on every fold.

    Args:
        clouds: the training split; the clouds of an object are in the same fold.
        used: folds that are left out in turn, of `folds`; training the mappers in each takes time.
        lambdas, folds, fold_seed: see `pointspider.mappers.fits.fit_baselines`, which chooses λ and the rank
            again in each fold, without the clouds that are left out.
        settings: of the mappers.
        seed: of the mappers; one training per norm and fold.
        init: see `pointspider.mappers.training.load_initial`.
        direct: whether the point encoder embeds into the space of the images; then the candidate "encoder"
            are its embeddings.

    Returns:
        The table `choice`: predictor, fold, n (queries), reciprocal_rank (mean of 1 / rank), skill (see
        `pointspider.study.evaluate.alignment`); both are missing if the training diverged.

    Raises:
        InputError: there are fewer than two folds or groups.
    """
    groups = clouds.groups(OBJECT)
    count = int(groups.max()) + 1
    folds = min(folds, count)
    if folds < 2:
        raise InputError(
            f"baselines.folds: the predictor of search cannot be chosen in {folds} folds of {count} objects; "
            "choose 2 or more folds, or train on more objects."
        )
    rows = []
    parts = np.array_split(generator(fold_seed, "choice").permutation(count), folds)
    for fold, held_out in enumerate(parts[:used]):
        is_out = np.isin(groups, held_out)
        train, out = clouds.where(~is_out), clouds.where(is_out)
        numbers = np.unique(groups[~is_out], return_inverse=True)[1]
        fits = fit_baselines(train.points, train.images, numbers, lambdas, folds, fold_seed)
        if direct:
            row = {"predictor": "encoder", "fold": fold, "n": len(out.images)}
            score = _scores(lambda points: points, train, out)["reciprocal_rank"]
            rows.append(row | {"reciprocal_rank": score})
        for name, predict in _candidates(train, out, fits, settings, seed, init):
            row = {"predictor": name, "fold": fold, "n": len(out.images)}
            rows.append(row | (_scores(predict, train, out) if predict else {}))
    return pd.DataFrame(rows, columns=["predictor", "fold", "n", "reciprocal_rank", "skill"])


def _candidates(
    train: Clouds,
    out: Clouds,
    fits: Iterator[tuple[str, Affine]],
    settings: MapperSettings,
    seed: int,
    init: str | None,
) -> Iterator[tuple[str, Predict | None]]:
    """Every candidate, fitted to `train`; None if its training diverged."""
    found: dict[str, Predict] = {}
    while len(found) < len(FITS):  # not the fits after the last candidate
        name, fit = next(fits)
        if name in FITS:
            found[name] = fit.predict
    yield from found.items()
    for norm, label in LABELS.items():
        # The clouds that are left out only determine the best epoch, which is not used
        start = load_initial(init, norm) if init else None
        sides = train.points, train.images, out.points, out.images
        result = train_mapper(*sides, norm, settings, seed, init=start)
        yield label, None if result.diverged_at else result.last.predict


def _scores(predict: Predict, train: Clouds, out: Clouds) -> dict[str, float]:
    ranks, l1 = [], 0.0
    for part in out.galleries:
        predicted = predict(part.points)
        ranks.append(match_ranks(part.images, predicted, np.arange(len(predicted))).mean())
        l1 += np.abs(predicted.astype(np.float64) - part.images).sum()
    constant = np.abs(np.median(train.images, axis=0) - out.images.astype(np.float64)).sum()
    return {"reciprocal_rank": float((1 / np.concatenate(ranks)).mean()), "skill": float(1 - l1 / constant)}
