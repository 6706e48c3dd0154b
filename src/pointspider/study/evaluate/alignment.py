"""Measure how well predicted image embeddings match the embeddings of renders (Table III).

For one test cloud, whose predicted embedding is compared with the embedding of its render:

    l1                       mean absolute difference over the dimensions
    cosine                   cosine similarity after subtracting the mean training image from both; 0 if the
                             difference is zero
    image_rank, image_r<k>   cloud → image: the rank of its render among all, and whether it is within k
    cloud_rank, cloud_r<k>   image → cloud: the rank of its prediction among all, with its render as the query
    top<k>                   its class is among the k whose prompts are most similar to the prediction

For a set of clouds: the means, but medians of the ranks, and

    l1div   1 / l1, the paper's measure
    skill   1 - l1 / l1 of the training median: 1 is perfect, 0 equals the best constant, below 0 is worse

A gallery has one cloud of each test object, all at the same corruption level: a predictor that separates
corruptions but not objects stays at chance, k / objects. The retrieval of a predictor is measured among the
clean clouds; all other measures on the aligned clouds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num

from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.vectors import directions
from pointspider.study.evaluate.retrieval import Ranks, match_ranks, score_ranks
from pointspider.study.evaluate.statistics import spread

#: From (n, X) point embeddings to (n, Y) image embeddings.
Predict = Callable[[np.ndarray], np.ndarray]

#: The columns that identify an object.
OBJECT = ["class", "object"]
#: The k of retrieval.
RECALLED = (1, 5, 10)
#: What predictors are compared with, cloud by cloud: the best constant, and the fit whose λ was chosen by
#: cross-validation. Neither depends on a test cloud.
COMPARED = ("median", "ridge")
#: Relative to the length of the mean training image; a shorter centred embedding is float32 rounding.
NOTHING = 1e-5
#: What a fit chose: the keys of `pointspider.mappers.fits.Affine.facts`.
FIT_FACTS = ("scale", "lambda", "lambda_at_end", "rank", "gap", "interpolates")
#: Identity and origin of a row of the records, with the type of each column.
FACTS = {
    "kind": "string", "predictor": "string", "seed": "Int64", "epoch": "string",
    **dict.fromkeys(FIT_FACTS, "float64"),
    "epochs": "Int64", "batch_size": "Int64", "base_width": "Int64", "l1_train": "float64",
    "best_epoch": "Int64", "diverged_at": "Int64",
}  # fmt: skip


@dataclass(frozen=True)
class Clouds:
    """Clouds with both of their embeddings.

    Attributes:
        manifest: n rows with class, object, corruption and severity; the clouds of each object in one order.
        points: their point-cloud embeddings.
        images: the embeddings of their renders.
    """

    manifest: pd.DataFrame
    points: Num[np.ndarray, "_ X"]
    images: Num[np.ndarray, "_ Y"]

    def __post_init__(self) -> None:
        if not len(self.manifest) == len(self.points) == len(self.images):
            raise InputError(
                f"{len(self.manifest)} clouds have {len(self.points)} point embeddings and "
                f"{len(self.images)} image embeddings; each needs one of both."
            )

    def where(self, chosen: Bool[np.ndarray, " n"] | Int[np.ndarray, " m"]) -> "Clouds":
        """Select clouds by a mask or by rows."""
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Clouds(self.manifest.iloc[rows], self.points[rows], self.images[rows])

    def groups(self, by: Sequence[str]) -> Int[np.ndarray, " n"]:
        """Number the groups of clouds that are equal in the columns `by` of the manifest."""
        return self.manifest.groupby(list(by), sort=False).ngroup().to_numpy()

    @property
    def galleries(self) -> list["Clouds"]:
        """The clouds that are retrieved from each other: the first of every object, then the second, …"""
        copies = self.manifest.groupby(OBJECT, sort=False).cumcount().to_numpy()
        return [self.where(copies == copy) for copy in range(copies.max() + 1)]


@dataclass(frozen=True)
class ImageSpace:
    """The space of image embeddings in which predictions are measured.

    Attributes:
        mean, median: of the image embeddings of the training split.
        classes: their names.
        prompts: the CLIP's embeddings of their prompts, in its projected space.
        projection: from image embeddings to the projected space; None if they are in it.
        top: the k of top-k.
    """

    mean: Float[np.ndarray, " Y"]
    median: Float[np.ndarray, " Y"]
    classes: Sequence[str]
    prompts: Num[np.ndarray, "_ D"]
    projection: Num[np.ndarray, "Y D"] | None
    top: Sequence[int]

    @classmethod
    def of(
        cls,
        images: Num[np.ndarray, "N Y"],
        classes: Sequence[str],
        prompts: Num[np.ndarray, "_ D"],
        projection: Num[np.ndarray, "Y D"] | None,
        top: Sequence[int],
    ) -> "ImageSpace":
        """The space of the image embeddings of the training split."""
        mean, median = images.mean(axis=0, dtype=np.float64), np.median(images, axis=0)
        return cls(mean, median.astype(np.float64), classes, prompts, projection, top)

    def measure(self, predict: Predict, clouds: Clouds) -> pd.DataFrame:
        """Compute every measure of each cloud, a row per cloud, with the L1 of the median as median_l1.

        Raises:
            InputError: the predictions have another shape than the images, or contain NaN or inf.
        """
        measured = [self._measure(predict(part.points), part) for part in clouds.galleries]
        return pd.concat(measured).sort_index()

    def _measure(self, predicted: np.ndarray, clouds: Clouds) -> pd.DataFrame:
        """`measure` one gallery."""
        images = clouds.images
        if predicted.shape != images.shape or not np.isfinite(predicted).all():
            raise InputError(
                f"predicted image embeddings: shape {predicted.shape} for images {images.shape}, or NaN or "
                "inf in them. Train this mapper again."
            )
        own = np.arange(len(images))
        cosine = directions(self._centred(predicted)) * directions(self._centred(images))
        measures = {
            "l1": np.abs(predicted.astype(np.float64) - images).mean(axis=1),
            "median_l1": np.abs(self.median - images).mean(axis=1),
            "cosine": cosine.sum(axis=1),
            **_recalls("image", match_ranks(predicted, images, own)),
            **_recalls("cloud", match_ranks(images, predicted, own)),
            **self.zero_shot(predicted, clouds),
        }
        return pd.DataFrame(measures, index=clouds.manifest.index)

    def _centred(self, images: Num[np.ndarray, "n Y"]) -> Float[np.ndarray, "n Y"]:
        """`images` minus the training mean, float64; rows that are rounding errors are zero."""
        centred = images - self.mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(np.where(length < NOTHING * np.linalg.norm(self.mean), 0, centred))

    def zero_shot(self, images: Num[np.ndarray, "n Y"], clouds: Clouds) -> dict[str, np.ndarray]:
        """Classify image embeddings, predicted or real, of `clouds`: {"top<k>": (n,)}."""
        projected = images if self.projection is None else images @ self.projection
        return _top(match_ranks(projected, self.prompts, self._numbers(clouds)), self.top)

    def classified(self, logits: Num[np.ndarray, "n C"], clouds: Clouds) -> dict[str, np.ndarray]:
        """{"top<k>": (n,)} of a classifier's logits, whose columns are in the order of the classes."""
        return _top(score_ranks(logits, self._numbers(clouds)), self.top)

    def _numbers(self, clouds: Clouds) -> Int[np.ndarray, " n"]:
        """The index of each cloud's class in `classes`."""
        number = {name: index for index, name in enumerate(self.classes)}
        if unknown := sorted(set(clouds.manifest["class"]) - set(number)):
            raise InputError(f"clouds of the class '{unknown[0]}', which has no prompt. Embed again.")
        return np.array([number[name] for name in clouds.manifest["class"]], dtype=np.int64)


def _top(ranks: Ranks, top: Sequence[int]) -> dict[str, np.ndarray]:
    return {f"top{k}": ranks.within(k) for k in top}


def _recalls(what: str, ranks: Ranks) -> dict[str, np.ndarray]:
    return {f"{what}_rank": ranks.mean()} | {f"{what}_r{k}": ranks.within(k) for k in RECALLED}


@dataclass(frozen=True)
class Candidate:
    """A predictor, or another way to classify clouds, that is evaluated.

    Attributes:
        kind: "reference", "baseline" or "mapper".
        predictor: its name.
        measure: from n clouds to a frame of measures, a row per cloud; None: the training diverged.
        epoch: "last" or "best" of a training, "fit" for others.
        facts: more of `FACTS`.
    """

    kind: str
    predictor: str
    measure: Callable[[Clouds], pd.DataFrame] | None
    epoch: str = "fit"
    facts: Mapping[str, object] = field(default_factory=dict)


def evaluate(
    candidates: Iterable[Candidate], aligned: Clouds, levels: Clouds, unit: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every candidate; only one needs to be in memory at a time.

    Args:
        candidates: in the order of the rows.
        aligned: the test split.
        levels: the test objects' clouds, clean and corrupted, for retrieval and for the measures by
            corruption level.
        unit: columns of the manifest; clouds that are equal in them are not independent trials. With objects
            held out it is the object, with classes the class.

    Returns:
        - A row per candidate: `FACTS`; n_test (clouds) and objects; every measure on the test split, but
          retrieval among the clean clouds of `levels`, whose number is `gallery`; gain_<name> for each of
          `COMPARED` that came before: its L1 minus the candidate's, with _low and _high, the 95 % interval
          over the units of the test split (Student's t).
        - A row per corruption level and candidate, but not for best epochs: predictor, seed, corruption,
          severity, n (clouds), every measure.

        Measures that a candidate does not have are missing.
    """
    grouped = levels.manifest.groupby(["corruption", "severity"], sort=False)
    level_of_cloud = grouped.ngroup().to_numpy()
    level_rows = grouped.size().rename("n").reset_index()
    is_clean = (levels.manifest["corruption"] == ORIGINAL).to_numpy()
    clean = levels.where(is_clean)
    units = aligned.groups(unit)
    compared: dict[str, pd.Series[float]] = {}
    records: list[dict[str, object]] = []
    by_level = []
    for candidate in candidates:
        record: dict[str, object] = {"kind": candidate.kind, "predictor": candidate.predictor}
        record |= {"epoch": candidate.epoch, **candidate.facts}
        if candidate.measure:
            measured = candidate.measure(aligned)
            if candidate.epoch == "best":
                retrieval = candidate.measure(clean)
            else:
                of_levels = candidate.measure(levels)
                retrieval = of_levels[is_clean]  # the clean clouds are a gallery of their own
                seed: Any = candidate.facts.get("seed")
                rows = pd.concat([level_rows, _summaries(of_levels, level_of_cloud)], axis=1)
                by_level.append(rows.assign(predictor=candidate.predictor, seed=seed))
            retrieval = retrieval.filter(regex="^(image|cloud)_")
            record |= _summary(measured.drop(columns=retrieval.columns)) | _summary(retrieval)
            if candidate.predictor in COMPARED:
                compared[candidate.predictor] = measured["l1"]
            if "l1" in measured:
                for name, l1 in compared.items():
                    record |= _gain(f"gain_{name}", l1 - measured["l1"], units)
        records.append(record)
    frame = pd.DataFrame(records)
    frame = frame.reindex(columns=[*FACTS, *(name for name in frame if name not in FACTS)])
    frame = frame.assign(
        n_test=len(aligned.images),
        objects=aligned.manifest.groupby(OBJECT).ngroups,
        gallery=len(clean.images),
    )
    return frame.astype(FACTS), pd.concat(by_level, ignore_index=True).astype({"seed": "Int64"})


def _summaries(measured: pd.DataFrame, sets: Int[np.ndarray, " n"]) -> pd.DataFrame:
    """The measures of each set of clouds, from those of each cloud and the number of its set."""
    grouped = measured.groupby(sets)
    ranks = [name for name in map(str, measured) if name.endswith("_rank")]
    values = grouped.mean().reset_index(drop=True)
    values[ranks] = grouped[ranks].median().to_numpy()
    if "l1" in values:
        # A perfect prediction has no L1DIV, and there is no skill if the median is perfect.
        values["l1div"] = 1 / values["l1"].replace(0, np.nan)
        values["skill"] = 1 - values["l1"] / values.pop("median_l1").replace(0, np.nan)
    return values


def _summary(measured: pd.DataFrame) -> dict[str, float]:
    """`_summaries` of all clouds as one set."""
    summary = _summaries(measured, np.zeros(len(measured), int)).iloc[0]
    return {str(name): value for name, value in summary.items()}


def _gain(name: str, gain: "pd.Series[float]", units: Int[np.ndarray, " n"]) -> dict[str, float]:
    """The mean over units of a gain per cloud, with its interval."""
    over_units = spread(gain.groupby(units).mean().to_numpy(dtype=np.float64))
    return {name: over_units.mean, f"{name}_low": over_units.low, f"{name}_high": over_units.high}
