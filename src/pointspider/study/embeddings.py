"""Files of embeddings: one per encoder, with a group per class and a dataset per layer; two more per CLIP,
for its prompts and its projection.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from pointspider.core.errors import InputError
from pointspider.core.files import Group, read_hdf5, write_hdf5

Rows = Float32[np.ndarray, "n D"]


def write_embeddings(
    path: str | Path,
    classes: Iterable[tuple[str, Sequence[str], Mapping[str, Rows]]],
    model: str,
    preset: str,
    **facts: str | float,
) -> None:
    """Write the embeddings of all clouds.

    Args:
        path: the HDF5 file.
        classes: (class, n cloud ids, {layer: n rows}) one by one.
        model: name of the encoder; stored as an attribute of every group.
        preset, facts: likewise.
    """
    write_hdf5(
        path,
        (
            (
                class_name,
                Group(
                    {"cloud_id": np.asarray(cloud_ids, dtype=object), **layers},
                    {"model": model, "preset": preset, "layers": ",".join(layers), **facts},
                ),
            )
            for class_name, cloud_ids, layers in classes
        ),
    )


def read_embeddings(path: str | Path, layer: str, cloud_ids: Sequence[str]) -> Rows:
    """Read the rows of `cloud_ids`, in their order.

    Raises:
        InputError: the file is broken, lacks the layer or an id, or holds NaN or inf; widths differ.
    """
    ids, parts = [], []
    for name, group in read_hdf5(path, {"cloud_id", layer}).items():
        if layer not in group.arrays:
            raise InputError(
                f"{path}: {name} has no layer '{layer}'; it has {group.attributes.get('layers')}."
            )
        if not np.isfinite(group.arrays[layer]).all():
            raise InputError(f"{path}: {name}/{layer} has NaN or inf. Delete it and run again.")
        ids.append(group.arrays["cloud_id"])
        parts.append(group.arrays[layer])
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        raise InputError(f"{path}: the rows of layer '{layer}' differ in width: {widths}.")
    rows = pd.Index(np.concatenate(ids)).get_indexer(pd.Index(cloud_ids))
    missing = [name for name, row in zip(cloud_ids, rows, strict=True) if row < 0]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(cloud_ids)} clouds have no '{layer}' embedding, "
            f"e.g. {missing[0]}."
        )
    selected: Rows = np.concatenate(parts)[rows].astype(np.float32, copy=False)
    return selected


def read_precision(path: str | Path) -> dict[str, str | float]:
    """Read in which precision a file's images were embedded, and its smallest cosine to float32.

    Raises:
        InputError: the file is broken.
    """
    attributes = next(iter(read_hdf5(path, ()).values())).attributes
    return {"precision": attributes["precision"], "cosine_to_fp32": float(attributes["cosine_to_fp32"])}


def read_split(
    manifest: pd.DataFrame,
    points: str | Path,
    images: str | Path,
    layer: str,
    column: str = "split",
) -> tuple[Rows, Rows, Rows, Rows]:
    """Read the embeddings of the aligned clouds.

    Args:
        manifest: columns cloud_id and `column`, which is train or test.
        points: the embeddings of the point encoder.
        images: the embeddings of the CLIP.
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
