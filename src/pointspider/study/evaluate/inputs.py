"""The clouds of Table III, with both embeddings, from the files of the workflow."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pointspider.core.files import read_csv
from pointspider.study.embeddings import read_embeddings, read_projection, read_prompts
from pointspider.study.evaluate.alignment import OBJECT, Clouds, ImageSpace


def read_sides(
    manifests: Sequence[str | Path],
    points: str | Path,
    images: str | Path,
    layer: str,
    column: str,
) -> tuple[Clouds, Clouds, Clouds]:
    """Read the training clouds, the test clouds, and the test objects' clouds at every level.

    Args:
        manifests: `alignment` and `test`.
        points: the embeddings of the point encoder.
        images: the embeddings of the CLIP.
        layer: of the CLIP.
        column: split (by objects) or class_split (by classes).

    Raises:
        InputError: a file is broken, or a cloud has no embedding.
    """
    columns = ["cloud_id", *OBJECT, "corruption", "severity", column]
    frames = [read_csv(path, columns) for path in manifests]
    ids = pd.concat(frames)["cloud_id"].drop_duplicates().tolist()
    every = read_embeddings(points, "global", ids), read_embeddings(images, layer, ids)
    row = pd.Series(range(len(ids)), index=ids)
    aligned, levels = (Clouds(rows, *(values[row[rows["cloud_id"]]] for values in every)) for rows in frames)
    train = aligned.where((aligned.manifest[column] == "train").to_numpy())
    test, levels = (part.where((part.manifest[column] == "test").to_numpy()) for part in (aligned, levels))
    return train, test, levels


def read_space(
    train: Clouds, prompts: str | Path, projection: str | Path, layer: str, style: str, top: Sequence[int]
) -> ImageSpace:
    """Read the prompts and the projection of the CLIP, and return the space of its image embeddings.

    Raises:
        InputError: a file is broken, or lacks the style.
    """
    classes, embedded = read_prompts(prompts, style)
    matrix = read_projection(projection) if layer == "pooled" else None
    return ImageSpace.of(train.images, classes, embedded, matrix, top)
