"""Layers shared by the point encoders."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class PointwiseLinear(nn.Conv1d):
    """A linear layer applied to every point.

    The weight has the shape of a convolution of width 1, as in published checkpoints. On a CPU the matrix
    product takes half the time of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size=1, bias=bias)

    def forward(self, x: Float[Tensor, "*points inputs"]) -> Float[Tensor, "*points outputs"]:
        return F.linear(x, self.weight[:, :, 0], self.bias)


def max_over_points(x: Float[Tensor, "points channels"], clouds: int) -> Float[Tensor, "clouds channels"]:
    """Maximum over the points of each cloud; the clouds have equally many points."""
    # max with indices, not amax: its gradient goes to one point and is computed in half the time
    return x.view(clouds, -1, x.shape[-1]).max(dim=1)[0]
