"""Zero-shot classification: an image belongs to the class with the most similar prompt (Table II).

The evaluated sets are the draws of the Double Roulette ("draw_0000", "draw_0001", ...), all test clouds
("test") and those of them that are not corrupted ("clean").
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.vectors import nearest
from pointspider.study.embeddings import read_embeddings, read_prompts
from pointspider.study.evaluate.statistics import clustered_interval, exact_mcnemar, holm

FIRST_DRAW, TEST, CLEAN = "draw_0000", "test", "clean"  # the first draw is Table II
CLOUD = ["cloud_id", "class", "object", "corruption", "severity"]
PAIR = [
    "set", "model", "other", "n", "ahead", "behind", "p", "p_holm",
    "objects", "objects_ahead", "objects_behind", "objects_p", "objects_p_holm",
]  # fmt: skip


def top_k_correct(
    images: np.ndarray, prompts: np.ndarray, labels: np.ndarray, top: Sequence[int]
) -> np.ndarray:
    """Whether the true class is among the `k` of highest cosine similarity, for each k of `top`.

    Between equal similarities the class that comes first wins.

    Args:
        images: (n, D) projected image embeddings.
        prompts: (C, D) prompt embeddings of the same model, one per class.
        labels: (n,) int, rows of `prompts`.
        top: each from 1 to C.

    Returns:
        (n, len(top)) bool.

    Raises:
        InputError: there are fewer classes, or what `pointspider.core.vectors.nearest` raises.
    """
    if max(top) > len(prompts):
        raise InputError(f"zero_shot.top: the best {max(top)} of {len(prompts)} classes; lower it.")
    ranked, _ = nearest(images, prompts, max(top))  # (n, K) classes
    hits = ranked == labels[:, None]
    return np.stack([hits[:, :k].any(axis=1) for k in top], axis=1)


def zero_shot_hits(
    model: str,
    style: str,
    clouds: pd.DataFrame,
    images: np.ndarray,
    classes: Sequence[str],
    prompts: np.ndarray,
    top: Sequence[int],
) -> pd.DataFrame:
    """Which clouds one CLIP names right when it is asked in one style.

    Args:
        model: the CLIP's name.
        style: of `pointspider.encoders.images.prompts.STYLES`.
        clouds: (n) rows of the manifests `roulette` and `test`: CLOUD and split, which is the evaluated set.
        images: (n, D) projected embeddings of their renders.
        classes: (C,) names.
        prompts: (C, D) prompt embeddings, in their order.
        top: the k of top-k.

    Returns:
        A row per cloud: model, style, set, CLOUD, and top<k> (bool) for each k.

    Raises:
        InputError: a cloud's class is not in `classes`, the lengths differ, or what `top_k_correct` raises.
    """
    if len(images) != len(clouds) or len(prompts) != len(classes):
        raise InputError(
            f"{model}: {len(images)} images for {len(clouds)} clouds, {len(prompts)} prompts for "
            f"{len(classes)} classes. Embed again."
        )
    number = {name: index for index, name in enumerate(classes)}
    unknown = sorted(set(clouds["class"]) - set(number))
    if unknown:
        raise InputError(f"{model}: images of the class '{unknown[0]}', which has no prompt.")
    correct = top_k_correct(images, prompts, clouds["class"].map(number).to_numpy(), top)
    hits = clouds[CLOUD].reset_index(drop=True)
    hits = hits.assign(model=model, style=style, set=clouds["split"].to_numpy())
    return hits.assign(**{f"top{k}": correct[:, index] for index, k in enumerate(top)})


def gather_hits(
    clouds: pd.DataFrame,
    models: Iterable[str],
    images: Iterable[str | Path],
    prompts: Iterable[str | Path],
    styles: Sequence[str],
    top: Sequence[int],
) -> pd.DataFrame:
    """`zero_shot_hits` of several models and styles, one below the other, from their files of embeddings.

    Args:
        clouds, top: see `zero_shot_hits`.
        models: their names.
        images: the class files of all models' image embeddings, each in a folder of its model's name.
        prompts: the file of each model's prompts, in the models' order.
        styles: of the prompts.

    Raises:
        InputError: what `zero_shot_hits`, `read_embeddings` and `read_prompts` raise.
    """
    hits, images = [], [Path(file) for file in images]
    for model, asked in zip(models, prompts, strict=True):
        files = [file for file in images if file.parent.name == model]
        embeddings = read_embeddings(files, "projected", clouds["cloud_id"].tolist())
        for style in styles:
            hits.append(zero_shot_hits(model, style, clouds, embeddings, *read_prompts(asked, style), top))
    return pd.concat(hits, ignore_index=True)


def accuracies(hits: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The accuracy on each group of clouds.

    Args:
        hits: `zero_shot_hits` of any models and styles, one below the other.
        by: the columns that make a group.

    Returns:
        A row per group, in order of appearance: the columns `by`, n (clouds), and for each k top<k> (share
        from 0 to 1), top<k>_low and top<k>_high (95 % Wilson interval; the clouds of one object count
        together, see `pointspider.study.evaluate.statistics.clustered_interval`).
    """
    measures = [name for name in hits.columns if name.startswith("top")]
    rows = []
    for key, own in hits.groupby(list(by), sort=False):
        row = {**dict(zip(by, key, strict=True)), "n": len(own)}
        objects = (own["class"] + "/" + own["object"]).to_numpy()
        for name in measures:
            low, high = clustered_interval(own[name].to_numpy(), objects)
            row |= {name: own[name].mean(), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def zero_shot_records(hits: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of every model and style on every evaluated set: `accuracies` by model, style and set."""
    clean = hits[(hits["set"] == TEST) & (hits["corruption"] == ORIGINAL)].assign(set=CLEAN)
    return accuracies(pd.concat([hits, clean]), ["model", "style", "set"])


def corruption_records(hits: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of each model on the test clouds of each variant, a row per measure.

    Args:
        hits: `zero_shot_hits` of one style.

    Returns:
        Columns model, task ("zero_shot"), measure (top<k>), corruption, severity, n, value, low, high,
        interval ("clouds", over which they are).
    """
    by = ["model", "corruption", "severity"]
    wide = accuracies(hits[hits["set"] == TEST], by)
    # The models and corruptions as they come, the severities ascending.
    order = wide["model"].map(_ranks(wide["model"])), wide["corruption"].map(_ranks(wide["corruption"]))
    wide = wide.iloc[np.lexsort((wide["severity"], *order[::-1]))]
    measures = [name for name in hits.columns if name.startswith("top")]
    long = [
        wide[[*by, "n"]].assign(
            measure=name, value=wide[name], low=wide[f"{name}_low"], high=wide[f"{name}_high"]
        )
        for name in measures
    ]
    columns = ["model", "task", "measure", "corruption", "severity", "n", "value", "low", "high", "interval"]
    return pd.concat(long, ignore_index=True).assign(task="zero_shot", interval="clouds")[columns]


def _ranks(names: pd.Series) -> dict[str, int]:
    """The place of each name in the order of first appearance."""
    return {name: rank for rank, name in enumerate(names.unique())}


def compare_models(hits: pd.DataFrame) -> pd.DataFrame:
    """Every pair of models on the same clouds, by McNemar's exact test on top-1.

    Args:
        hits: `zero_shot_hits` of every model, in one style.

    Returns:
        Columns PAIR, a row per set (the first draw, the test clouds) and pair of models; none for one model.
        ahead: of n clouds, those that only `model` names right; behind: those that only `other` does; p: that
        of McNemar's test; p_holm: corrected for the pairs of the set. objects_...: the same with each object
        counted once, for the model that names more of its clouds. Where objects have several clouds these are
        not independent, and p is too small: objects_p holds.

    Raises:
        InputError: the models were not evaluated on the same clouds.
    """
    compared = []
    for name in (FIRST_DRAW, TEST):
        models = {model: own for model, own in hits[hits["set"] == name].groupby("model", sort=False)}
        rows = [
            {"set": name, "model": model, "other": other} | _compare(models[model], models[other])
            for model, other in itertools.combinations(models, 2)
        ]
        for p in ("p", "objects_p"):
            for row, corrected in zip(rows, holm([row[p] for row in rows]), strict=True):
                row[f"{p}_holm"] = corrected
        compared += rows
    return pd.DataFrame(compared, columns=PAIR)


def _compare(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, int | float]:
    """The counts and p-values of one row of `compare_models`."""
    if first["cloud_id"].tolist() != second["cloud_id"].tolist():
        models = first["model"].iloc[0], second["model"].iloc[0]
        raise InputError(f"{' and '.join(models)} were evaluated on different clouds. Evaluate again.")
    objects = first["class"] + "/" + first["object"]
    by_cloud = exact_mcnemar(first["top1"], second["top1"], first["cloud_id"])
    by_object = exact_mcnemar(first["top1"], second["top1"], objects)
    return {
        "n": len(first),
        **by_cloud._asdict(),
        "objects": objects.nunique(),
        **{f"objects_{key}": value for key, value in by_object._asdict().items()},
    }
