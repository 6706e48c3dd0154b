"""Zero-shot classification: an image belongs to the class with the most similar prompt (Table II).

The evaluated sets are the draws of the Double Roulette ("draw_0000", "draw_0001", ...), all test clouds
("test") and the clean ones among them ("clean").
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Num

from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.vectors import nearest
from pointspider.study.embeddings import read_embeddings, read_prompts
from pointspider.study.evaluate.statistics import clustered_interval, exact_mcnemar, holm

FIRST_DRAW, TEST, CLEAN = "draw_0000", "test", "clean"  # the first draw is Table II
CLOUD = ["cloud_id", "class", "object", "corruption", "severity"]
PAIR = ["set", "model", "other", "unit", "n", "ahead", "behind", "p", "p_holm"]
#: What counts once in a comparison of two models.
UNITS = ("clouds", "objects")


def top_k_correct(
    images: Num[np.ndarray, "n _"],
    prompts: Num[np.ndarray, "C _"],
    labels: Int[np.ndarray, " n"],
    top: Sequence[int],
) -> Bool[np.ndarray, "n T"]:
    """Whether the true class is among the `k` of highest cosine similarity, for each k of `top`.

    Of equal similarities the first class wins.

    Args:
        images: projected image embeddings.
        prompts: prompt embeddings of the same model, one per class.
        labels: rows of `prompts`.
        top: each from 1 to C.

    Raises:
        InputError: there are fewer classes, or see `nearest`.
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
    images: Num[np.ndarray, "_ D1"],
    classes: Sequence[str],
    prompts: Num[np.ndarray, "_ D2"],
    top: Sequence[int],
) -> pd.DataFrame:
    """Find the clouds that one CLIP classifies correctly with prompts of one style.

    Args:
        model: the CLIP's name.
        style: of `pointspider.encoders.images.prompts.STYLES`.
        clouds: n rows of the manifests `roulette` and `test`: CLOUD and split, which is the evaluated set.
        images: projected embeddings of their renders.
        classes: their names.
        prompts: prompt embeddings, one per class in the same order.
        top: the k of top-k.

    Returns:
        A row per cloud: model, prompts (the style), set, CLOUD, and top<k> (bool) for each k.

    Raises:
        InputError: a class of the clouds is not in `classes`, the lengths differ, or see `top_k_correct`.
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
    correct = top_k_correct(
        images, prompts, np.array([number[name] for name in clouds["class"]], dtype=np.int64), top
    )
    hits = clouds[CLOUD].reset_index(drop=True)
    hits = hits.assign(model=model, prompts=style, set=clouds["split"].to_numpy())
    return hits.assign(**{f"top{k}": correct[:, index] for index, k in enumerate(top)})


def gather_hits(
    clouds: pd.DataFrame,
    models: Iterable[str],
    images: Iterable[str | Path],
    prompts: Iterable[str | Path],
    styles: Sequence[str],
    top: Sequence[int],
) -> pd.DataFrame:
    """Read the embeddings of several models and concatenate their `zero_shot_hits` in several styles.

    Args:
        clouds, top: see `zero_shot_hits`.
        models: their names.
        images: the file of each model's embeddings of renders, in the models' order.
        prompts: the file of each model's prompts, likewise.
        styles: of the prompts.

    Raises:
        InputError: see `zero_shot_hits`, `read_embeddings` and `read_prompts`.
    """
    hits = []
    for model, embedded, asked in zip(models, images, prompts, strict=True):
        embeddings = read_embeddings(embedded, "projected", clouds["cloud_id"].tolist())
        for style in styles:
            hits.append(zero_shot_hits(model, style, clouds, embeddings, *read_prompts(asked, style), top))
    return pd.concat(hits, ignore_index=True)


def cloud_hits(
    clouds: pd.DataFrame,
    encoder: str,
    points: str | Path,
    prompts: str | Path,
    styles: Sequence[str],
    top: Sequence[int],
) -> pd.DataFrame:
    """`zero_shot_hits` of a point encoder in the space of a CLIP: clouds against prompts, without renders.

    Args:
        clouds, styles, top: see `gather_hits`.
        encoder: its name.
        points: the file of its embeddings.
        prompts: the file of the CLIP's prompts.

    Raises:
        InputError: see `zero_shot_hits`, `read_embeddings` and `read_prompts`.
    """
    embeddings = read_embeddings(points, "global", clouds["cloud_id"].tolist())
    hits = [
        zero_shot_hits(encoder, style, clouds, embeddings, *read_prompts(prompts, style), top)
        for style in styles
    ]
    return pd.concat(hits, ignore_index=True)


def accuracies(hits: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Compute the accuracy on each group of clouds.

    Args:
        hits: `zero_shot_hits` of any models and styles, concatenated.
        by: the columns that identify a group.

    Returns:
        A row per group, in order of appearance, and measure top<k>: the columns `by`, measure, n (clouds),
        value (a share), low and high (95 % Wilson interval; the clouds of one object count together, see
        `pointspider.study.evaluate.statistics.clustered_interval`).
    """
    measures = [name for name in hits.columns if name.startswith("top")]
    rows: list[list[object]] = []
    for key, group in hits.groupby(list(by), sort=False):
        objects = (group["class"] + "/" + group["object"]).to_numpy(dtype=str)
        for name in measures:
            correct = group[name].to_numpy(dtype=bool)
            rows.append([*key, name, len(group), correct.mean(), *clustered_interval(correct, objects)])
    return pd.DataFrame(rows, columns=[*by, "measure", "n", "value", "low", "high"])


def zero_shot_records(hits: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of every model and style on every set: `accuracies` by model, prompts and set."""
    clean = hits[(hits["set"] == TEST) & (hits["corruption"] == ORIGINAL)].assign(set=CLEAN)
    return accuracies(pd.concat([hits, clean]), ["model", "prompts", "set"])


def corruption_records(hits: pd.DataFrame) -> pd.DataFrame:
    """The table zero_shot_corruptions: the accuracy of each model on the test clouds of each level.

    Args:
        hits: `zero_shot_hits` of one style.
    """
    by = ["model", "corruption", "severity"]
    rows = accuracies(hits[hits["set"] == TEST], by)
    # The models and corruptions in order of appearance, the severities ascending.
    place = [rows[name].map({key: i for i, key in enumerate(rows[name].unique())}) for name in by[:2]]
    rows = rows.iloc[np.lexsort((rows["severity"], place[1], place[0]))]
    return rows[["model", "measure", *by[1:], "n", "value", "low", "high"]].reset_index(drop=True)


def compare_models(hits: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of models on the same clouds by McNemar's exact test on top-1.

    Args:
        hits: `zero_shot_hits` of every model, in one style.

    Returns:
        The table model_pairs, a row per set (the first draw, the test clouds), pair of models and unit; no
        rows for one model. ahead: of `n` units, those that only `model` classifies correctly; behind: those
        that only `other` does; p: of McNemar's test; p_holm: corrected for the pairs of the set. With the
        unit `clouds` p assumes that clouds of the same object are independent, so it is too small if
        objects have several clouds. With the unit `objects` each object counts once, for the model that
        classifies more of its clouds correctly.

    Raises:
        InputError: the models were not evaluated on the same clouds.
    """
    rows: list[dict[str, object]] = []
    for name in (FIRST_DRAW, TEST):
        models = {str(model): own for model, own in hits[hits["set"] == name].groupby("model", sort=False)}
        pairs = [
            {"set": name, "model": model, "other": other, **_compare(models[model], models[other], unit)}
            for model, other in itertools.combinations(models, 2)
            for unit in UNITS
        ]
        for i in range(len(UNITS)):
            same = pairs[i :: len(UNITS)]
            for pair, corrected in zip(same, holm([pair["p"] for pair in same]), strict=True):
                pair["p_holm"] = corrected
        rows += pairs
    return pd.DataFrame(rows, columns=PAIR)


def _compare(first: pd.DataFrame, second: pd.DataFrame, unit: str) -> dict[str, Any]:
    """The counts and the p-value of one row of `compare_models`."""
    if first["cloud_id"].tolist() != second["cloud_id"].tolist():
        models = first["model"].iloc[0], second["model"].iloc[0]
        raise InputError(f"{' and '.join(models)} were evaluated on different clouds. Evaluate again.")
    names = first["cloud_id"] if unit == "clouds" else first["class"] + "/" + first["object"]
    hits, others = (rows["top1"].to_numpy(dtype=bool) for rows in (first, second))
    paired = exact_mcnemar(hits, others, names.to_numpy(dtype=str))
    return {"unit": unit, "n": names.nunique(), **paired._asdict()}
