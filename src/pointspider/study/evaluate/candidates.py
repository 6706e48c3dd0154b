"""What Table III measures: references, fitted baselines, a linear layer, and the mappers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pointspider.mappers.base import LABELS
from pointspider.mappers.fits import Affine
from pointspider.mappers.training import Settings, train_mapper
from pointspider.study.evaluate.alignment import FACTS, Candidate, Clouds, ImageSpace, Predict


def references(space: ImageSpace, classifier: Predict | None) -> Iterator[Candidate]:
    """What names clouds without a mapper: the renders' own embeddings, and the point encoder's classifier.

    Args:
        space: of the images.
        classifier: from point-cloud embeddings (n, X) to logits (n, C) in the order of the space's classes;
            None: it knows other classes.
    """

    def of_renders(clouds: Clouds) -> pd.DataFrame:
        return pd.DataFrame(space.zero_shot(clouds.images, clouds), clouds.manifest.index)

    def of_classifier(clouds: Clouds) -> pd.DataFrame:
        return pd.DataFrame(space.classified(classifier(clouds.points), clouds), clouds.manifest.index)

    yield Candidate("reference", "renders", of_renders)
    if classifier:
        yield Candidate("reference", "classifier", of_classifier)


def fitted(space: ImageSpace, baselines: Mapping[str, Affine], train: Clouds) -> Iterator[Candidate]:
    """Every baseline of `pointspider.mappers.fits.fit_baselines`, fitted to the clouds `train`."""
    for name, baseline in baselines.items():
        l1_train = float(np.abs(baseline.predict(train.points) - train.images).mean())
        facts = {**baseline.facts, "l1_train": l1_train}
        yield Candidate("baseline", name, partial(space.measure, baseline.predict), facts=facts)


def linear_layers(
    space: ImageSpace, train: Clouds, test: Clouds, settings: Settings, seeds: Sequence[int]
) -> Iterator[Candidate]:
    """One Linear layer, trained here by the mappers' own optimiser: what is left of BASE without its depth.

    Args:
        space: of the images.
        train, test: the two sides of the split.
        settings: of a mapper without hidden layers.
        seeds: a training for each.
    """
    data = train.points, train.images, test.points, test.images
    for seed in seeds:
        result = train_mapper(*data, "none", settings, seed)
        epochs = {"last": result.last.predict, "best": result.best.predict}
        yield from _of_training("baseline", "linear_layer", space, result.summary(), epochs.__getitem__)


def trained(
    space: ImageSpace, runs: Iterable[Mapping], load: Callable[[Mapping, str], Predict]
) -> Iterator[Candidate]:
    """The mappers, in Table III's order.

    Args:
        space: of the images.
        runs: `pointspider.mappers.training.TrainingResult.summary()` of each training.
        load: from a run and "last" or "best" to that mapper's `predict`.
    """
    order = list(LABELS)
    for run in sorted(runs, key=lambda run: (order.index(run["norm"]), run["seed"])):
        yield from _of_training("mapper", LABELS[run["norm"]], space, run, partial(load, run))


def _of_training(
    kind: str, name: str, space: ImageSpace, run: Mapping, load: Callable[[str], Predict]
) -> Iterator[Candidate]:
    """The last and the best epoch of one training; a state that diverged is not loaded."""
    facts = {fact: run[fact] for fact in FACTS if fact in run}
    for epoch in ("last", "best"):
        finite = run[f"l1_{epoch}"] is not None
        measure = partial(space.measure, load(epoch)) if finite else None
        yield Candidate(kind, name, measure, epoch, facts)
