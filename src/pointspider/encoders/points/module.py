"""Base class of the point encoders."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.settings import PointSettings


class PointEncoderModule(nn.Module):
    """A trainable `PointEncoder` with a classifier.

    A subclass sets `width` and `LAST_LAYER`, and defines `embed` and `logits`. It overrides the other
    attributes where they differ.

    Args:
        classes: outputs of the classifier.
    """

    #: Name of the classifier's last linear layer, whose number of outputs is the number of classes.
    LAST_LAYER: ClassVar[str]
    Settings: ClassVar[type[PointSettings]] = PointSettings
    width: int
    channels: int = 3
    points: int | None = None
    minimum_points: int = 1
    up: str = "y"
    space: str | None = None

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @abstractmethod
    def embed(self, points: Float[Tensor, "clouds points channels"]) -> Float[Tensor, "clouds width"]:
        """Embed clouds."""

    @abstractmethod
    def logits(self, features: Float[Tensor, "clouds width"]) -> Float[Tensor, "clouds classes"]:
        """Classify embeddings."""

    def forward(
        self, points: Float[Tensor, "clouds points channels"]
    ) -> tuple[Float[Tensor, "clouds classes"], Float[Tensor, ""]]:
        """Return logits and a penalty that training adds to the loss."""
        return self.logits(self.embed(points)), points.new_zeros(())

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of a published checkpoint to those of `state_dict`. By default: no change."""
        return dict(tensors)

    @classmethod
    def count_classes(cls, state: Mapping[str, Tensor]) -> int:
        """Number of classes of a state dict; 1 if it lacks the last layer."""
        weight = state.get(f"{cls.LAST_LAYER}.weight")
        return 1 if weight is None else len(weight)
