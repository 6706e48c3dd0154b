"""Base class of the point encoders."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.settings import PointSettings


class PointEncoderModule(nn.Module):
    """A `PointEncoder` with weights.

    A subclass sets `width` and defines `embed`. It overrides the other attributes where they differ. Without
    a classifier (see `PointClassifier`) it can be loaded but not trained.
    """

    width: int
    channels: int = 3
    points: int | None = None
    minimum_points: int = 1
    up: str = "y"
    unit_ball: bool = False
    space: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @abstractmethod
    def embed(self, points: Float[Tensor, "clouds points channels"]) -> Float[Tensor, "clouds width"]:
        """Embed clouds."""

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of a published checkpoint to those of `state_dict`. By default: no change."""
        return dict(tensors)

    @classmethod
    def create_for(cls, state: Mapping[str, Tensor]) -> "PointEncoderModule":
        """Create the encoder, with random weights, that a converted state dict fits."""
        return cls()


class PointClassifier(PointEncoderModule):
    """A trainable point encoder: one with a classifier.

    A subclass sets `LAST_LAYER` and defines `logits`.

    Args:
        classes: outputs of the classifier.
    """

    #: Name of the classifier's last linear layer, whose number of outputs is the number of classes.
    LAST_LAYER: ClassVar[str]
    Settings: ClassVar[type[PointSettings]] = PointSettings
    #: Whether the embedding depends on the density of points, so that it needs as many points as in training.
    NEEDS_DENSITY: ClassVar[bool] = False

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    @abstractmethod
    def logits(self, features: Float[Tensor, "clouds width"]) -> Float[Tensor, "clouds classes"]:
        """Classify embeddings."""

    def forward(
        self, points: Float[Tensor, "clouds points channels"]
    ) -> tuple[Float[Tensor, "clouds classes"], Float[Tensor, ""]]:
        """Return logits and a penalty that training adds to the loss."""
        return self.logits(self.embed(points)), points.new_zeros(())

    @classmethod
    def create_for(cls, state: Mapping[str, Tensor]) -> "PointClassifier":
        """Create the classifier with the classes of the state dict; 1 if it lacks the last layer."""
        weight = state.get(f"{cls.LAST_LAYER}.weight")
        return cls(1 if weight is None else len(weight))
