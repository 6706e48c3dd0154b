"""Embed and classify NumPy clouds with a point encoder, in batches."""

import logging
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.encoders.base import Classifier, PointEncoder
from pointspider.encoders.points.module import PointClassifier
from pointspider.training.device import pick_precision

#: The grey of points without colours, for encoders that take colours (OpenShape's and ULIP-2's).
GREY = 0.4


def embed_clouds(
    encoder: PointEncoder,
    clouds: Float[np.ndarray, "clouds points channels"],
    batch_size: int = 32,
    precision: str = "fp32",
) -> Float[np.ndarray, "clouds width"]:
    """Embed clouds as the encoder needs them.

    `encoder.points` points are drawn if a cloud has more; with fewer, a warning says so. Points get the
    colour `GREY` if the encoder takes colours and they have none. Clouds are turned if `encoder.up` is z, and
    moved and scaled if `encoder.unit_ball`.

    Args:
        encoder: in eval mode, as `load_point_encoder` returns it.
        clouds: float32, y up.
        batch_size: clouds per batch.
        precision: of the products, see `pointspider.training.device.pick_precision`. bf16 changes the
            embeddings of PointNets by about 0.3 %. Encoders that search neighbours find others.

    Raises:
        InputError: the clouds have the wrong number of channels or too few points, or the precision does not
            exist.
    """
    if clouds.shape[2] == 3 and encoder.channels == 6:
        clouds = np.concatenate([clouds, np.full_like(clouds, GREY)], axis=2)
    if clouds.shape[2] != encoder.channels:
        raise InputError(f"clouds have {clouds.shape[2]} channels; the encoder takes {encoder.channels}.")
    if clouds.shape[1] < encoder.minimum_points:
        raise InputError(
            f"clouds have {clouds.shape[1]} points; the encoder needs at least {encoder.minimum_points}."
        )
    dtype = pick_precision(precision, encoder.device)
    placed = _place(_draw(clouds, encoder), encoder)
    return _apply(encoder.embed, placed, encoder.device, batch_size, dtype)


def classify(
    encoder: PointClassifier, clouds: Float[np.ndarray, "clouds points channels"], batch_size: int = 32
) -> Int64[np.ndarray, " clouds"]:
    """Predict class numbers. Arguments as for `embed_clouds`."""
    clouds = _draw(clouds, encoder)
    return _apply(lambda x: encoder(x)[0].argmax(dim=1), clouds, encoder.device, batch_size)


def class_logits(
    encoder: Classifier, features: Float[np.ndarray, "clouds width"]
) -> Float[np.ndarray, "clouds classes"]:
    """Logits of the encoder's classifier for embeddings."""
    return _apply(encoder.logits, features, encoder.device, batch_size=4096)


def _draw(
    clouds: Float[np.ndarray, "clouds points channels"], encoder: PointEncoder
) -> Float[np.ndarray, "clouds drawn channels"]:
    """Draw the points that the encoder was trained with, the same of all clouds."""
    count = clouds.shape[1]
    if encoder.points is None or count == encoder.points:
        return clouds
    if count < encoder.points:
        _warn_of_few_points(count, encoder.points)
        return clouds
    return clouds[:, np.sort(generator(0, "encoder").permutation(count)[: encoder.points])]


@cache  # once for all batches
def _warn_of_few_points(count: int, trained_with: int) -> None:
    logging.getLogger(__name__).warning(
        "clouds have %d points; the encoder was trained with %d", count, trained_with
    )


def _place(
    clouds: Float[np.ndarray, "clouds points channels"], encoder: PointEncoder
) -> Float[np.ndarray, "clouds points channels"]:
    """Turn, move and scale clouds as the encoder needs them."""
    if encoder.up == "y" and not encoder.unit_ball:
        return clouds
    points = clouds[..., :3]
    if encoder.up == "z":
        points = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=2)
    if encoder.unit_ball:
        points = points - points.mean(axis=1, keepdims=True)
        radius = np.linalg.norm(points, axis=2).max(axis=1)[:, None, None]
        points = points / np.where(radius > 0, radius, 1)
    return np.concatenate([points, clouds[..., 3:]], axis=2)


def _apply(
    function: Callable[[Tensor], Tensor],
    values: np.ndarray,
    device: torch.device,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
) -> np.ndarray:
    batches = torch.split(torch.tensor(values), batch_size)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, dtype == torch.bfloat16):
        results = torch.cat([function(batch.to(device)) for batch in batches]).cpu()
    return (results.float() if results.dtype == torch.bfloat16 else results).numpy()
