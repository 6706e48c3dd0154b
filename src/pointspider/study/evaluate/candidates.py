"""What Table III compares: references, baselines and mappers."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pointspider.core.files import read_json
from pointspider.mappers.base import LABELS
from pointspider.mappers.files import load_predictor
from pointspider.study.evaluate.alignment import FACTS, Candidate, Clouds, ImageSpace, Predict


def references(space: ImageSpace, classifier: Predict | None, direct: bool = False) -> Iterator[Candidate]:
    """What classifies clouds without a mapper: the renders' embeddings, and the point encoder itself.

    Args:
        space: of the images.
        classifier: from point-cloud embeddings (n, X) to logits (n, C) in the order of the space's classes;
            None: it has other classes, or there is none.
        direct: whether the point encoder embeds into the space of the images. Then its embeddings are the
            reference "encoder": only directions can be compared, so it has no L1.
    """

    def of_renders(clouds: Clouds) -> pd.DataFrame:
        return pd.DataFrame(space.zero_shot(clouds.images, clouds), clouds.manifest.index)

    yield Candidate("reference", "renders", of_renders)
    if classifier:

        def of_classifier(clouds: Clouds) -> pd.DataFrame:
            return pd.DataFrame(space.classified(classifier(clouds.points), clouds), clouds.manifest.index)

        yield Candidate("reference", "classifier", of_classifier)
    if direct:

        def of_encoder(clouds: Clouds) -> pd.DataFrame:
            return space.measure(lambda points: points, clouds).filter(regex="^(image_|cloud_|top)")

        yield Candidate("reference", "encoder", of_encoder)


def classifier_of(encoder: object, known: Sequence[str], classes: Sequence[str]) -> Predict | None:
    """Return the classifier of a point encoder, from embeddings to logits, if it has the clouds' classes.

    Args:
        encoder: as `pointspider.encoders.points.registry.load_point_encoder` returns it.
        known: names of the classes that it was trained on.
        classes: names of the clouds' classes.
    """
    from pointspider.encoders.base import Classifier
    from pointspider.encoders.points.inference import class_logits

    if not isinstance(encoder, Classifier) or list(known) != list(classes):
        return None
    if encoder.classes != len(classes):
        logging.getLogger(__name__).warning(
            "the point encoder's classifier has %d classes, not the %d of the clouds; it is not evaluated",
            encoder.classes,
            len(classes),
        )
        return None
    return partial(class_logits, encoder)


def fitted(space: ImageSpace, folder: str | Path) -> Iterator[Candidate]:
    """The baselines that `pointspider.mappers.baselines.fit_predictors` wrote to `folder`."""
    folder = Path(folder)
    for facts in read_json(folder / "facts.json"):
        name = facts["mapper"]
        if "seed" in facts:
            stem = f"{name}_seed_{facts['seed']}"

            def load(epoch: str, stem: str = stem) -> Predict:
                return load_predictor(folder / f"{stem}_{epoch}.safetensors").predict

            yield from _of_training("baseline", name, space, facts, load)
        else:
            measure = partial(space.measure, load_predictor(folder / f"{name}.safetensors").predict)
            known = {fact: facts[fact] for fact in FACTS if fact in facts and fact != "mapper"}
            yield Candidate("baseline", name, measure, facts=known)


def trained(
    space: ImageSpace, runs: Iterable[Mapping[str, Any]], load: Callable[[Mapping[str, Any], str], Predict]
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
    kind: str, name: str, space: ImageSpace, run: Mapping[str, Any], load: Callable[[str], Predict]
) -> Iterator[Candidate]:
    """The last and the best epoch of one training; a state that diverged is not loaded."""
    facts = {fact: run[fact] for fact in FACTS if fact in run and fact != "mapper"}
    for epoch in ("last", "best"):
        finite = run[f"l1_{epoch}"] is not None
        measure = partial(space.measure, load(epoch)) if finite else None
        yield Candidate(kind, name, measure, epoch, facts)
