"""Two-dimensional maps of embeddings, and the neighbours of each cloud, for the page to explore."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, Num

from pointspider.core.vectors import directions
from pointspider.study.evaluate.alignment import OBJECT

#: More are not shown: the page is limited to 15 MB, and the neighbour embedding takes minutes.
MOST_CLOUDS = 2000
PERPLEXITY, ITERATIONS = 30, 400


def choose_shown(manifest: pd.DataFrame) -> pd.DataFrame:
    """Choose at most `MOST_CLOUDS` clouds, spread evenly over the manifest."""
    rows = np.linspace(0, len(manifest) - 1, min(MOST_CLOUDS, len(manifest))).round().astype(int)
    return manifest.iloc[rows].reset_index(drop=True)


def principal_components(values: Num[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    """The first two principal components of directions; the largest entry of each axis is positive."""
    centred = directions(values)
    centred -= centred.mean(axis=0)
    left, scale, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    return np.asarray(left[:, :2] * scale[:2] * signs)


def neighbour_map(values: Num[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    """The t-SNE of directions (L. van der Maaten and G. Hinton, JMLR 9, 2008), started from their PCA."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, max_iter=ITERATIONS, init="pca", random_state=0)
    return np.asarray(tsne.fit_transform(directions(values)), dtype=np.float64)


def nearest_objects(
    manifest: pd.DataFrame, values: Num[np.ndarray, "n D"], count: int, chunk: int = 512
) -> tuple[Int64[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """Find the most similar cloud of each of the `count` most similar other objects.

    Args:
        manifest: n clouds with class and object.
        values: their embeddings.
        count: at most the number of other objects are returned.
        chunk: clouds that are compared at a time.

    Returns:
        Rows, the most similar first, and their cosines.
    """
    unit = directions(values)
    objects = manifest.groupby(OBJECT, sort=False).ngroup().to_numpy()
    order = np.argsort(objects, kind="stable")
    starts = np.searchsorted(objects[order], np.arange(objects.max() + 1))
    count = min(count, len(starts) - 1)
    rows, cosines = [], []
    for start in range(0, len(unit), chunk):
        part = slice(start, start + chunk)
        similarity = unit[part] @ unit[order].T
        best = np.maximum.reduceat(similarity, starts, axis=1)  # of each object
        best[np.arange(len(best)), objects[part]] = -np.inf
        chosen = np.argsort(-best, axis=1, kind="stable")[:, :count]
        for query, found in enumerate(chosen):
            ends = np.append(starts, len(order))
            within = [starts[o] + similarity[query, starts[o] : ends[o + 1]].argmax() for o in found]
            rows.append(order[within])
            cosines.append(similarity[query, within])
    return np.array(rows, dtype=np.int64), np.array(cosines)
