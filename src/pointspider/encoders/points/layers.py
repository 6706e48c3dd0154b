"""Layers shared by the point encoders."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pointspider.encoders.points.sampling import gather_points


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


class PointwiseLinear2d(nn.Conv2d):
    """`PointwiseLinear` with the weight of a two-dimensional convolution of width 1."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size=1, bias=bias)

    def forward(self, x: Float[Tensor, "*points inputs"]) -> Float[Tensor, "*points outputs"]:
        return F.linear(x, self.weight[:, :, 0, 0], self.bias)


def weight_of(linear: nn.Module) -> Float[Tensor, "outputs inputs"]:
    """Return the matrix of a linear layer or of a convolution of width 1."""
    return linear.get_parameter("weight").flatten(1)


def normalize(x: Float[Tensor, "*points C"], norm: nn.Module) -> Float[Tensor, "*points C"]:
    """Apply batch normalisation to the channels, which are the last axis."""
    normalized: Tensor = norm(x.reshape(-1, x.shape[-1]))
    return normalized.view(x.shape)


def scale_and_shift(norm: nn.Module) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return the factor and the summand of batch normalisation in eval mode."""
    assert isinstance(norm, nn.BatchNorm1d)
    scale = norm.get_parameter("weight") * torch.rsqrt(norm.get_buffer("running_var") + norm.eps)
    return scale, norm.get_parameter("bias") - norm.get_buffer("running_mean") * scale


def norm_linear(
    x: Float[Tensor, "*points inputs"], linear: nn.Module, norm: nn.Module
) -> Float[Tensor, "*points outputs"]:
    """Return norm(linear(x)); in eval mode one matrix product."""
    if norm.training:
        return normalize(linear(x), norm)
    scale, shift = scale_and_shift(norm)
    bias = dict(linear.named_parameters()).get("bias")
    shift = shift if bias is None else torch.addcmul(shift, bias, scale)
    return F.linear(x, weight_of(linear) * scale[:, None], shift)


def norm_edges(
    neighbours: Float[Tensor, "B N C"],
    centres: Float[Tensor, "B S C"],
    index: Int64[Tensor, "B S K"],
    norm: nn.Module,
) -> Float[Tensor, "B S K C"]:
    """Return norm(neighbours[index] + centres), the first layer on the neighbours of points.

    A linear layer on differences and concatenations, as W [xj - xi, fj], is the sum of a layer on the
    neighbours and one on the centres, here W [xj, fj] and W [-xi, 0]. Before grouping it takes about K times
    fewer multiplications.
    """
    if norm.training:
        return normalize(gather_points(neighbours, index) + centres[:, :, None], norm)
    scale, shift = scale_and_shift(norm)
    x = gather_points(neighbours * scale, index)
    return x.add_(torch.addcmul(shift, centres, scale)[:, :, None])


def max_over_neighbours(x: Float[Tensor, "*points K C"]) -> Float[Tensor, "*points C"]:
    """Maximum over the second to last axis."""
    # Without gradients amax is faster; with them max, see `max_over_points`
    return x.max(dim=-2)[0] if torch.is_grad_enabled() else x.amax(dim=-2)


def attend(x: Float[Tensor, "B T C"], qkv: nn.Linear, heads: int) -> Float[Tensor, "B T D"]:
    """Self-attention of tokens without the output layer. `qkv` has 3 D outputs, for all heads together."""
    clouds, tokens, _ = x.shape
    query, key, value = qkv(x).view(clouds, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(clouds, tokens, -1)
