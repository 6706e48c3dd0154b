"""Layers shared by the point encoders."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pointspider.encoders.points.pooling import normalized_maximum
from pointspider.encoders.points.sampling import gather_points

#: Points whose activations of up to 1024 channels fit into the cache of a CPU core.
CACHED_POINTS = 1024


class PointwiseLinear(nn.Conv1d):
    """A linear layer applied to every point.

    The weight has the shape of a convolution of width 1, as in published checkpoints. On a CPU the matrix
    product takes half the time of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size=1, bias=bias)

    def forward(self, x: Float[Tensor, "*points inputs"]) -> Float[Tensor, "*points outputs"]:
        return F.linear(x, self.weight[:, :, 0], self.bias)


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


def fold(
    linear: nn.Module, norm: nn.Module
) -> tuple[Float[Tensor, "outputs inputs"], Float[Tensor, " outputs"]]:
    """Return the weight and the bias of norm(linear(x)) in eval mode."""
    scale, shift = scale_and_shift(norm)
    bias = dict(linear.named_parameters()).get("bias")
    return weight_of(linear) * scale[:, None], shift if bias is None else torch.addcmul(shift, bias, scale)


def norm_linear(
    x: Float[Tensor, "*points inputs"], linear: nn.Module, norm: nn.Module
) -> Float[Tensor, "*points outputs"]:
    """Return norm(linear(x)); in eval mode one matrix product."""
    return normalize(linear(x), norm) if norm.training else F.linear(x, *fold(linear, norm))


def in_chunks(function: Callable[..., Tensor], points: Tensor, *others: Tensor) -> Tensor:
    """Apply a function of clouds to few of them at a time, so that their activations stay in a CPU's cache.

    With gradients or on a GPU it is applied to all at once.

    Args:
        function: from tensors with one row per cloud to another.
        points: (B, N, C), the first argument.
        others: further arguments, (B, …).
    """
    if torch.is_grad_enabled() or points.device.type != "cpu":
        return function(points, *others)
    chunk = max(1, CACHED_POINTS // points.shape[1])
    chunks = zip(*(torch.split(tensor, chunk) for tensor in (points, *others)), strict=True)
    return torch.cat([function(*tensors) for tensors in chunks])


def max_over_network(
    x: Float[Tensor, "B N inputs"], layers: Sequence[tuple[nn.Module, nn.Module]]
) -> Float[Tensor, "B outputs"]:
    """Apply a network to every point, then take the maximum over the points of each cloud.

    Args:
        x: the clouds.
        layers: a linear layer and its batch normalisation each. All but the last are followed by ReLU.
    """
    *hidden, last = layers
    if last[1].training:
        for linear, norm in hidden:
            x = F.relu(norm_linear(x, linear, norm))
        linear, norm = last
        return normalized_maximum(x, weight_of(linear), dict(linear.named_parameters()).get("bias"), norm)
    folded = [fold(linear, norm) for linear, norm in hidden]
    weight, bias = fold(*last)

    def maximum(points: Tensor) -> Tensor:
        for layer in folded:
            points = F.relu_(F.linear(points, *layer))
        return max_over_neighbours(F.linear(points, weight)) + bias  # the bias does not move the maximum

    return in_chunks(maximum, x)


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
    # Without gradients amax is faster; with them max: its gradient goes to one point and takes half the time
    return x.max(dim=-2)[0] if torch.is_grad_enabled() else x.amax(dim=-2)


def attend(x: Float[Tensor, "B T C"], qkv: nn.Linear, heads: int) -> Float[Tensor, "B T D"]:
    """Self-attention of tokens without the output layer. `qkv` has 3 D outputs, for all heads together."""
    clouds, tokens, _ = x.shape
    query, key, value = qkv(x).view(clouds, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(clouds, tokens, -1)
