"""Embedding files: an HDF5 per class, a group per variant, a dataset per layer; two per CLIP for its text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError
from pointspider.core.files import Group, read_hdf5, write_hdf5


def write_embeddings(
    path: str | Path,
    variants: Iterable[tuple[str, Sequence[str], Mapping[str, np.ndarray]]],
    model: str,
    preset: str,
) -> None:
    """Write the embeddings of one class.

    Args:
        path: the HDF5 file.
        variants: (variant, cloud ids (n,), {layer: (n, D) float32}) one by one.
        model, preset: what produced the rows; stored as attributes of every group.
    """
    write_hdf5(
        path,
        (
            (
                variant,
                Group(
                    {"cloud_id": np.asarray(cloud_ids, dtype=object), **layers},
                    {"model": model, "preset": preset, "layers": ",".join(layers)},
                ),
            )
            for variant, cloud_ids, layers in variants
        ),
    )


def by_variant(
    variants: Mapping[str, Sequence[str]], layers: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, Sequence[str], dict[str, np.ndarray]]]:
    """The rows of a class, which lie variant after variant, as `write_embeddings` takes them.

    Args:
        variants: the cloud ids of each.
        layers: {layer: (n, D)}, n the number of ids together.
    """
    start = 0
    for variant, ids in variants.items():
        rows = slice(start, start + len(ids))
        yield variant, ids, {layer: values[rows] for layer, values in layers.items()}
        start = rows.stop


def read_embeddings(paths: Iterable[str | Path], layer: str, cloud_ids: Sequence[str]) -> np.ndarray:
    """The rows of `cloud_ids` in their order, gathered from the class files `paths`.

    Returns:
        (n, D) float32.

    Raises:
        InputError: a file is broken, lacks the layer or holds NaN or inf; an id is in no file; widths differ.
    """
    wanted = set(cloud_ids)
    rows: dict[str, np.ndarray] = {}
    for path in paths:
        for variant, group in read_hdf5(path).items():
            if layer not in group.arrays:
                raise InputError(
                    f"{path}: {variant} has no layer '{layer}'; it has {group.attributes.get('layers')}."
                )
            values = group.arrays[layer]
            if not np.isfinite(values).all():
                raise InputError(f"{path}: {variant}/{layer} holds NaN or inf. Delete it and run again.")
            ids = group.arrays["cloud_id"]
            # Copies: views would keep the whole file in memory.
            kept = np.array([name in wanted for name in ids], dtype=bool)
            rows.update(zip(ids[kept].tolist(), values[kept], strict=True))
    missing = [name for name in cloud_ids if name not in rows]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(cloud_ids)} clouds have no '{layer}' embedding, e.g. {missing[0]}."
        )
    widths = {rows[name].shape for name in cloud_ids}
    if len(widths) > 1:
        raise InputError(f"embeddings of layer '{layer}' differ in width: {sorted(widths)}.")
    return np.stack([rows[name] for name in cloud_ids]).astype(np.float32, copy=False)


def read_split(
    manifest: pd.DataFrame,
    points: Iterable[str | Path],
    images: Iterable[str | Path],
    layer: str,
    column: str = "split",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both embeddings of the clouds that are aligned.

    Args:
        manifest: columns cloud_id and `column`, which is train or test.
        points, images: the class files of the point encoder and of the CLIP.
        layer: of the CLIP.
        column: split (sides by objects) or class_split (sides by classes).

    Returns:
        (n, width) float32 each: points and images of the train split, points and images of the test split.

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
    embeddings: Mapping[str, np.ndarray],
    model: str,
    preset: str,
) -> None:
    """Write what a CLIP makes of the classes' prompts.

    Args:
        path: the HDF5 file.
        classes: C names.
        prompts: {style: C sequences of T prompts}; `pointspider.encoders.images.prompts.prompt_styles`.
        embeddings: {style: (C, D) float32}.
        model, preset: what produced them; stored as attributes of every style.
    """
    write_hdf5(
        path,
        (
            (
                style,
                Group(
                    {"class": classes, "prompt": prompts[style], "projected": embeddings[style]},
                    {"model": model, "preset": preset},
                ),
            )
            for style in prompts
        ),
    )


def read_prompts(path: str | Path, style: str) -> tuple[list[str], np.ndarray]:
    """The classes of a file that `write_prompts` wrote, and their embeddings in one style.

    Returns:
        C names, and (C, D) float32 in the CLIP's projected space.

    Raises:
        InputError: the file is broken, lacks the style, or holds NaN or inf.
    """
    styles = read_hdf5(path)
    if style not in styles:
        raise InputError(f"{path}: has no prompts '{style}', only {list(styles)}. Delete it and run again.")
    arrays = styles[style].arrays
    if not np.isfinite(arrays["projected"]).all():
        raise InputError(f"{path}: {style} holds NaN or inf. Delete it and run again.")
    return arrays["class"].tolist(), arrays["projected"]


def write_projection(path: str | Path, projection: np.ndarray, model: str, preset: str) -> None:
    """Write a CLIP's visual projection, (W, D) float32: from its pooled to its projected embeddings."""
    write_hdf5(path, [("visual", Group({"matrix": projection}, {"model": model, "preset": preset}))])


def read_projection(path: str | Path) -> np.ndarray:
    """What `write_projection` wrote.

    Raises:
        InputError: the file is broken, or holds NaN or inf.
    """
    matrix = read_hdf5(path)["visual"].arrays["matrix"]
    if not np.isfinite(matrix).all():
        raise InputError(f"{path}: holds NaN or inf. Delete it and run again.")
    return matrix
