"""Zero-shot classification: an image belongs to the class with the most similar prompt (Table II)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pointspider.errors import InputError
from pointspider.evaluate.statistics import wilson_interval
from pointspider.search import nearest


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
        InputError: more classes are asked for than there are, or what `pointspider.search.nearest` raises.
    """
    if max(top) > len(prompts):
        raise InputError(f"zero_shot.top: the best {max(top)} of {len(prompts)} classes; lower it.")
    ranked, _ = nearest(images, prompts, max(top))  # (n, K) classes
    hits = ranked == labels[:, None]
    return np.stack([hits[:, :k].any(axis=1) for k in top], axis=1)


def zero_shot_records(
    model: str,
    images: np.ndarray,
    classes_of_images: Sequence[str],
    sets: Sequence[str],
    prompts: np.ndarray,
    classes: Sequence[str],
    top: Sequence[int],
) -> pd.DataFrame:
    """The accuracies of one CLIP model, a long frame with one row per evaluated set.

    Args:
        model: its name.
        images: (n, D) projected image embeddings.
        classes_of_images: (n,) the class of each.
        sets: (n,) the evaluated set of each: "draw_0000", "draw_0001", … of the Double Roulette, "clean".
        prompts: (C, D) prompt embeddings, in the order of `classes`.
        classes: (C,) names.
        top: the k of top-k.

    Returns:
        Columns model (text), set (text, in order of first appearance), n (int, images in the set), and for
        each k of `top`: top<k> (float, share from 0 to 1), top<k>_low and top<k>_high (95 % Wilson interval).

    Raises:
        InputError: an image's class is not in `classes`, the lengths differ, or what `top_k_correct` raises.
    """
    lengths = {len(images), len(classes_of_images), len(sets)}
    if len(lengths) > 1 or len(prompts) != len(classes):
        raise InputError(
            f"{model}: {len(images)} images for {len(classes_of_images)} labels in {len(sets)} sets, "
            f"{len(prompts)} prompts for {len(classes)} classes. Embed again."
        )
    number = {name: index for index, name in enumerate(classes)}
    unknown = sorted(set(classes_of_images) - set(number))
    if unknown:
        raise InputError(f"{model}: images of the class '{unknown[0]}', which has no prompt.")
    labels = np.array([number[name] for name in classes_of_images])
    correct = pd.DataFrame(top_k_correct(images, prompts, labels, top), columns=list(top))
    rows = []
    for name, hits in correct.groupby(np.asarray(sets), sort=False):
        row = {"model": model, "set": name, "n": len(hits)}
        for k in top:
            low, high = wilson_interval(int(hits[k].sum()), len(hits))
            row |= {f"top{k}": hits[k].mean(), f"top{k}_low": low, f"top{k}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
