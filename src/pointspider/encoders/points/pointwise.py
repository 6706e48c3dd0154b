"""What the point encoders are made of. P = B * N points of B clouds; C channels."""

import torch
import torch.nn.functional as F
from torch import nn


class PointwiseLinear(nn.Conv1d):
    """One linear layer for every point: (P, C) to (P, C').

    Its weight is that of a convolution of width 1, the published checkpoints' layout; as a matrix product it
    takes a CPU half the time.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight[:, :, 0], self.bias)


def max_over_points(x: torch.Tensor, clouds: int) -> torch.Tensor:
    """(P, C) to (B, C)."""
    # max with indices, not amax: its gradient goes to one point and is twice as quick
    return x.view(clouds, -1, x.shape[1]).max(dim=1).values
