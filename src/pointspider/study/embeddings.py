"""Files of embeddings: one per class, with a group per corruption level and a dataset per layer; two per CLIP
for its prompts and its projection.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from pointspider.core.errors import InputError
from pointspider.core.files import Group, read_hdf5, write_hdf5

Rows = Float32[np.ndarray, "n D"]


def write_embeddings(
    path: str | Path,
    levels: Iterable[tuple[str, Sequence[str], Mapping[str, Rows]]],
    model: str,
    preset: str,
    **facts: str | float,
) -> None:
    """Write the embeddings of one class.

    Args:
        path: the HDF5 file.
        levels: (level, n cloud ids, {layer: n rows}) one by one.
        model: name of the encoder; stored as an attribute of every group.
        preset, facts: likewise.
    """
    write_hdf5(
        path,
        (
            (
                level,
                Group(
                    {"cloud_id": np.asarray(cloud_ids, dtype=object), **layers},
                    {"model": model, "preset": preset, "layers": ",".join(layers), **facts},
                ),
            )
            for level, cloud_ids, layers in levels
        ),
    )


def by_level(
    levels: Mapping[str, Sequence[str]], layers: Mapping[str, Rows]
) -> Iterator[tuple[str, Sequence[str], dict[str, Rows]]]:
    """Split the rows of a class by corruption level, for `write_embeddings`.

    Args:
        levels: the cloud ids of each level.
        layers: {layer: rows}, level after level.
    """
    start = 0
    for level, ids in levels.items():
        rows = slice(start, start + len(ids))
        yield level, ids, {layer: values[rows] for layer, values in layers.items()}
        start = rows.stop


def read_embeddings(paths: Iterable[str | Path], layer: str, cloud_ids: Sequence[str]) -> Rows:
    """Read the rows of `cloud_ids`, in their order, from the class files `paths`.

    Raises:
        InputError: a file is broken, lacks the layer or holds NaN or inf; an id is in no file; widths differ.
    """
    selected = set(cloud_ids)
    rows: dict[str, Float32[np.ndarray, " D"]] = {}
    for path in paths:
        for level, group in read_hdf5(path).items():
            if layer not in group.arrays:
                raise InputError(
                    f"{path}: {level} has no layer '{layer}'; it has {group.attributes.get('layers')}."
                )
            values = group.arrays[layer]
            if not np.isfinite(values).all():
                raise InputError(f"{path}: {level}/{layer} has NaN or inf. Delete it and run again.")
            ids = group.arrays["cloud_id"]
            # A boolean index copies: views would hold the arrays of every file in memory.
            found = np.array([name in selected for name in ids], dtype=bool)
            rows.update(zip(ids[found].tolist(), values[found], strict=True))
    missing = [name for name in cloud_ids if name not in rows]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(cloud_ids)} clouds have no '{layer}' embedding, e.g. {missing[0]}."
        )
    widths = {rows[name].shape for name in cloud_ids}
    if len(widths) > 1:
        raise InputError(f"embeddings of layer '{layer}' differ in width: {sorted(widths)}.")
    return np.stack([rows[name] for name in cloud_ids]).astype(np.float32, copy=False)


def read_precision(path: str | Path) -> dict[str, str | float]:
    """Read in which precision the images of a class file were embedded, and its smallest cosine to float32.

    Raises:
        InputError: the file is broken.
    """
    attributes = next(iter(read_hdf5(path).values())).attributes
    return {"precision": attributes["precision"], "cosine_to_fp32": float(attributes["cosine_to_fp32"])}


def read_split(
    manifest: pd.DataFrame,
    points: Iterable[str | Path],
    images: Iterable[str | Path],
    layer: str,
    column: str = "split",
) -> tuple[Rows, Rows, Rows, Rows]:
    """Read the embeddings of the aligned clouds.

    Args:
        manifest: columns cloud_id and `column`, which is train or test.
        points: the class files of the point encoder.
        images: the class files of the CLIP.
        layer: of the CLIP.
        column: split (by objects) or class_split (by classes).

    Returns:
        Points and images of the train split, points and images of the test split.

    Raises:
        InputError: what `read_embeddings` raises.
    """
    ids = manifest["cloud_id"].tolist()
    x, y = read_embeddings(points, "global", ids), read_embeddings(images, layer, ids)
    train, test = (manifest[column].to_numpy() == side for side in ("train", "test"))
    return x[train], y[train], x[test], y[test]


def write_prompts(
    path: str | Path,
    classes: Sequence[str],
    prompts: Mapping[str, Sequence[Sequence[str]]],
    embeddings: Mapping[str, Rows],
    model: str,
    preset: str,
) -> None:
    """Write a CLIP's embeddings of the prompts of each class.

    Args:
        path: the HDF5 file.
        classes: C names.
        prompts: {style: C sequences of T prompts}; `pointspider.encoders.images.prompts.prompt_styles`.
        embeddings: {style: a row per class}.
        model: name of the CLIP; stored as an attribute of every style.
        preset: likewise.
    """
    write_hdf5(
        path,
        (
            (
                style,
                Group(
                    {
                        "class": np.array(classes),
                        "prompt": np.array(prompts[style]),
                        "projected": embeddings[style],
                    },
                    {"model": model, "preset": preset},
                ),
            )
            for style in prompts
        ),
    )


def read_prompts(path: str | Path, style: str) -> tuple[list[str], Rows]:
    """Read a file of `write_prompts` in one style.

    Returns:
        The classes, and their embeddings in the CLIP's projected space.

    Raises:
        InputError: the file is broken, lacks the style, or holds NaN or inf.
    """
    styles = read_hdf5(path)
    if style not in styles:
        raise InputError(f"{path}: has no prompts '{style}', only {list(styles)}. Delete it and run again.")
    arrays = styles[style].arrays
    if not np.isfinite(arrays["projected"]).all():
        raise InputError(f"{path}: {style} has NaN or inf. Delete it and run again.")
    return arrays["class"].tolist(), arrays["projected"]


def write_projection(
    path: str | Path, projection: Float32[np.ndarray, "W D"], model: str, preset: str
) -> None:
    """Write a CLIP's visual projection, the matrix from its pooled to its projected embeddings."""
    write_hdf5(path, [("visual", Group({"matrix": projection}, {"model": model, "preset": preset}))])


def read_projection(path: str | Path) -> Float32[np.ndarray, "W D"]:
    """Read a file of `write_projection`.

    Raises:
        InputError: the file is broken, or holds NaN or inf.
    """
    matrix = read_hdf5(path)["visual"].arrays["matrix"]
    if not np.isfinite(matrix).all():
        raise InputError(f"{path}: has NaN or inf. Delete it and run again.")
    return matrix
