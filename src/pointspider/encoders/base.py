"""Interfaces of the point encoders."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class PointEncoder(Protocol):
    """Embeds batches of point clouds.

    Attributes:
        width: of the embedding.
        channels: of a point: 3 (x, y, z) or 6 (x, y, z and red, green, blue in [0, 1]).
        points: number of points per cloud that the published weights were trained with; None: any number.
        minimum_points: fewest points per cloud that `embed` accepts.
        up: axis that points up in the clouds that the encoder was trained on, "y" or "z".
        unit_ball: whether clouds are moved and scaled to mean 0 and largest distance 1.
        space: name on the Hugging Face hub of the CLIP whose projected space the embeddings are in; None: the
            encoder has a space of its own.
        device: where the weights are.
    """

    width: int
    channels: int
    points: int | None
    minimum_points: int
    up: str
    unit_ball: bool
    space: str | None

    @property
    def device(self) -> torch.device: ...

    def embed(self, points: Float[Tensor, "clouds points channels"]) -> Float[Tensor, "clouds width"]:
        """Embed clouds on `device`. Clouds do not influence each other."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A point encoder with a classification head.

    Attributes:
        classes: number of classes.
        device: where the weights are.
    """

    classes: int

    @property
    def device(self) -> torch.device: ...

    def logits(self, features: Float[Tensor, "clouds width"]) -> Float[Tensor, "clouds classes"]:
        """Classify embeddings."""
        ...
