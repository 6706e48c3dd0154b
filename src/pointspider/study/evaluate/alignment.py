"""How near mapped point-cloud embeddings come to the image embeddings, and what they can do (Table III).

Of one test cloud, whose predicted embedding is compared with that of its render:

    l1                       mean absolute difference over the dimensions
    cosine                   cosine similarity after subtracting the mean training image from both; 0 where
                             that leaves nothing
    image_rank, image_r<k>   cloud → image: the rank of its own render among all, and whether it is within k
    cloud_rank, cloud_r<k>   image → cloud: the same for its prediction among all, asked by its render
    top<k>                   its class is among the k whose prompts are most similar to the prediction

Of a set of clouds: their means, but medians of the ranks, and

    l1div   1 / l1, the paper's measure
    skill   1 - l1 / l1 of the training median: 1 perfect, 0 no better than the best constant, below 0 worse

A gallery holds every test object once, all in the same corruption: a mapper that tells corruptions apart but
not objects stays at chance, k / objects. So a predictor's retrieval is that among the clean clouds; all else
is measured on the clouds of the alignment.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.files import read_csv
from pointspider.core.vectors import directions
from pointspider.mappers.base import LABELS
from pointspider.study.evaluate.retrieval import Ranks, match_ranks, score_ranks
from pointspider.study.evaluate.statistics import spread

Predict = Callable[[np.ndarray], np.ndarray]  # (n, X) point embeddings to (n, Y) image embeddings

#: What tells objects apart.
OBJECT = ["class", "object"]
#: The k of retrieval.
RECALLED = (1, 5, 10)
#: What predictors are compared with, cloud by cloud: the best constant, and the fit whose λ cross-validation
#: chose. No test cloud had a say in either.
COMPARED = ("median", "ridge")
#: Of the mean training image's length; a centred embedding that is shorter is float32 rounding.
NOTHING = 1e-5
#: What a fit chose: the keys of `pointspider.mappers.fits.Affine.facts`.
FIT_FACTS = ("scale", "lambda", "lambda_at_end", "rank", "gap", "interpolates")
#: Identity and origin of a row of the records, with the type of each column.
FACTS = {
    "kind": "string", "mapper": "string", "seed": "Int64", "epoch": "string",
    **dict.fromkeys(FIT_FACTS, "float64"),
    "epochs": "Int64", "batch_size": "Int64", "base_width": "Int64", "l1_train": "float64",
    "best_epoch": "Int64", "diverged_at": "Int64",
}  # fmt: skip


@dataclass(frozen=True)
class Clouds:
    """Clouds with both of their embeddings.

    Attributes:
        manifest: n rows with class, object, corruption and severity; the clouds of each object in one order.
        points: (n, X) point-cloud embeddings.
        images: (n, Y) embeddings of the renders.
    """

    manifest: pd.DataFrame
    points: np.ndarray
    images: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.manifest) == len(self.points) == len(self.images):
            raise InputError(
                f"{len(self.manifest)} clouds have {len(self.points)} point embeddings and "
                f"{len(self.images)} image embeddings; each needs one of both."
            )

    def where(self, chosen: np.ndarray) -> "Clouds":
        """Those that `chosen`, (n,) bool or (m,) rows, selects."""
        rows = np.flatnonzero(chosen) if np.asarray(chosen).dtype == bool else chosen
        return Clouds(self.manifest.iloc[rows], self.points[rows], self.images[rows])

    def groups(self, by: Sequence[str]) -> np.ndarray:
        """(n,) int, alike for clouds that share those columns of the manifest."""
        return self.manifest.groupby(list(by), sort=False).ngroup().to_numpy()

    @property
    def galleries(self) -> list["Clouds"]:
        """The clouds that are retrieved from each other: all objects' first, then their second, …"""
        copies = self.manifest.groupby(OBJECT, sort=False).cumcount().to_numpy()
        return [self.where(copies == copy) for copy in range(copies.max() + 1)]


@dataclass(frozen=True)
class ImageSpace:
    """What predictions are compared with, beside the render of their own cloud.

    Attributes:
        mean, median: (Y,) of the training split's image embeddings.
        classes: C names.
        prompts: (C, D) what the CLIP makes of their prompts, in its projected space.
        projection: (Y, D) from image embeddings to that space; None where they are in it.
        top: the k of top-k.
    """

    mean: np.ndarray
    median: np.ndarray
    classes: Sequence[str]
    prompts: np.ndarray
    projection: np.ndarray | None
    top: Sequence[int]

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        classes: Sequence[str],
        prompts: np.ndarray,
        projection: np.ndarray | None,
        top: Sequence[int],
    ) -> "ImageSpace":
        """The space of the training split's `images`, (N, Y)."""
        mean, median = images.mean(axis=0, dtype=np.float64), np.median(images, axis=0)
        return cls(mean, median.astype(np.float64), classes, prompts, projection, top)

    def measure(self, predict: Predict, clouds: Clouds) -> pd.DataFrame:
        """Every measure of what `predict` says of each cloud, (n) rows, with the median's L1 as median_l1.

        Raises:
            InputError: the predictions are not as many and as wide as the images, or hold NaN or inf.
        """
        measured = [self._measure(predict(part.points), part) for part in clouds.galleries]
        return pd.concat(measured).sort_index()

    def _measure(self, predicted: np.ndarray, clouds: Clouds) -> pd.DataFrame:
        """`measure` in one gallery."""
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

    def _centred(self, images: np.ndarray) -> np.ndarray:
        """`images`, (n, Y), minus the training mean, float64; zeros where only rounding is left."""
        centred = images - self.mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.where(length < NOTHING * np.linalg.norm(self.mean), 0, centred)

    def zero_shot(self, images: np.ndarray, clouds: Clouds) -> dict[str, np.ndarray]:
        """{"top<k>": (n,)} of image embeddings (n, Y), predicted or real, that show `clouds`."""
        projected = images if self.projection is None else images @ self.projection
        return _top(match_ranks(projected, self.prompts, self._numbers(clouds)), self.top)

    def classified(self, logits: np.ndarray, clouds: Clouds) -> dict[str, np.ndarray]:
        """The same of a classifier's logits, (n, C), for the classes in this order."""
        return _top(score_ranks(logits, self._numbers(clouds)), self.top)

    def _numbers(self, clouds: Clouds) -> np.ndarray:
        """(n,) int, the place of each cloud's class among `classes`."""
        number = {name: index for index, name in enumerate(self.classes)}
        if unknown := sorted(set(clouds.manifest["class"]) - set(number)):
            raise InputError(f"clouds of the class '{unknown[0]}', which has no prompt. Embed again.")
        return clouds.manifest["class"].map(number).to_numpy()


def _top(ranks: Ranks, top: Sequence[int]) -> dict[str, np.ndarray]:
    return {f"top{k}": ranks.within(k) for k in top}


def _recalls(what: str, ranks: Ranks) -> dict[str, np.ndarray]:
    return {f"{what}_rank": ranks.mean()} | {f"{what}_r{k}": ranks.within(k) for k in RECALLED}


@dataclass(frozen=True)
class Candidate:
    """What is evaluated.

    Attributes:
        kind: "reference", "baseline" or "mapper".
        mapper: its name.
        measure: from clouds (n) to a frame of measures, a row per cloud; None: the training diverged.
        epoch: "last" or "best" of a training, else "-".
        facts: more of `FACTS`.
    """

    kind: str
    mapper: str
    measure: Callable[[Clouds], pd.DataFrame] | None
    epoch: str = "-"
    facts: Mapping[str, object] = field(default_factory=dict)


def evaluate(
    candidates: Iterable[Candidate], aligned: Clouds, variants: Clouds, unit: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every candidate; only one needs to be in memory at a time.

    Args:
        candidates: in the order of the rows.
        aligned: the test split.
        variants: the test objects' clouds, clean and corrupted, for retrieval and for the figures of single
            corruptions.
        unit: columns of the manifest; clouds that share them are no independent trials. With objects held out
            it is the object, with classes the class.

    Returns:
        - A row per candidate: `FACTS`; n_test (clouds) and objects; every measure on the test split, but
          retrieval among the clean clouds of `variants`, whose number is `gallery`; gain_<name> of each of
          `COMPARED` that came before: how much nearer than it the candidate comes, in L1, with _low and
          _high, its 95 % interval over the units of the test split (Student's t).
        - A row per corruption, severity and candidate, but not for best epochs: mapper, seed, corruption,
          severity, n (clouds), every measure.

        What a candidate does not have is missing.
    """
    grouped = variants.manifest.groupby(["corruption", "severity"], sort=False)
    cell_of_cloud = grouped.ngroup().to_numpy()
    variant_cells = grouped.size().rename("n").reset_index()
    is_clean = (variants.manifest["corruption"] == ORIGINAL).to_numpy()
    clean = variants.where(is_clean)
    units, compared = aligned.groups(unit), {}
    records, cells = [], []
    for candidate in candidates:
        record = {"kind": candidate.kind, "mapper": candidate.mapper, "epoch": candidate.epoch}
        record |= candidate.facts
        if candidate.measure:
            measured = candidate.measure(aligned)
            if candidate.epoch == "best":
                of_clean = candidate.measure(clean)
            else:
                of_variants = candidate.measure(variants)
                of_clean = of_variants[is_clean]  # among the variants, too, they are a gallery of their own
                of_cells = pd.concat([variant_cells, _summaries(of_variants, cell_of_cloud)], axis=1)
                cells.append(of_cells.assign(mapper=candidate.mapper, seed=candidate.facts.get("seed")))
            of_clean = of_clean.filter(regex="^(image|cloud)_")
            record |= _summary(measured.drop(columns=of_clean.columns)) | _summary(of_clean)
            if candidate.mapper in COMPARED:
                compared[candidate.mapper] = measured["l1"]
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
    return frame.astype(FACTS), pd.concat(cells, ignore_index=True).astype({"seed": "Int64"})


def _summaries(measured: pd.DataFrame, sets: np.ndarray) -> pd.DataFrame:
    """Measures of sets of clouds from those of each cloud, (n) rows; `sets`, (n,), tells which it is in."""
    grouped = measured.groupby(sets)
    ranks = [name for name in measured if name.endswith("_rank")]
    values = grouped.mean().reset_index(drop=True)
    values[ranks] = grouped[ranks].median().to_numpy()
    if "l1" in values:
        # Zeros are missing: a perfect prediction has no L1DIV; where the median is perfect, there is no skill
        values["l1div"] = 1 / values["l1"].replace(0, np.nan)
        values["skill"] = 1 - values["l1"] / values.pop("median_l1").replace(0, np.nan)
    return values


def _summary(measured: pd.DataFrame) -> dict[str, float]:
    """`_summaries` of all clouds together."""
    return _summaries(measured, np.zeros(len(measured))).iloc[0].to_dict()


def _gain(name: str, nearer: pd.Series, units: np.ndarray) -> dict[str, float]:
    """The mean of `nearer`, (n,), and between what; clouds of one unit count together."""
    over_units = spread(nearer.groupby(units).mean().to_numpy())
    return {name: over_units.mean, f"{name}_low": over_units.low, f"{name}_high": over_units.high}


def read_curves(directories: Iterable[str | Path]) -> pd.DataFrame:
    """The loss curves that dvclive keeps of the trainings.

    Args:
        directories: `<norm>/`, each with `seed_<seed>/plots/metrics/{train,test}_l1.tsv`.

    Returns:
        Columns mapper (BASE, LNORM, RNORM), seed, epoch (from 1), train and test (mean L1). A training that
        diverged in its first epoch has no rows.

    Raises:
        InputError: a file is broken; says which directory to delete, since a norm is trained whole.
    """
    curves = [pd.DataFrame({"mapper": [], "seed": [], "epoch": [], "train": [], "test": []})]
    for directory in map(Path, directories):
        for seed in sorted(directory.glob("seed_*")):
            metrics = seed / "plots/metrics"
            if not (metrics / "train_l1.tsv").exists():
                continue
            try:
                train = read_csv(metrics / "train_l1.tsv", ["step", "train_l1"], separator="\t")
                test = read_csv(metrics / "test_l1.tsv", ["step", "test_l1"], separator="\t")
            except InputError as error:
                raise InputError(f"{error} Delete the directory {directory} and run again.") from error
            curves.append(
                pd.DataFrame(
                    {
                        "mapper": LABELS[directory.name],
                        "seed": int(seed.name.removeprefix("seed_")),
                        "epoch": train["step"] + 1,
                        "train": train["train_l1"],
                        "test": test["test_l1"],
                    }
                )
            )
    return pd.concat(curves, ignore_index=True)
