"""Linear layer, batch normalisation in training mode and maximum over points, with a cheap exact gradient.

The gradient of the maximum reaches one point of each cloud and channel. All points get the gradient of the
batch's mean and variance, which are functions of the mean and covariance of the layer's input. So the
gradient takes sums of B K rows of C values and products with C x C matrices, where automatic differentiation
takes two products of (B N) x C x K. B: clouds, N: points per cloud, C: inputs, K: outputs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: Points whose 1024 outputs are computed at a time on a CPU: half a MiB, which stays in a core's cache.
CHUNK = 128


def normalized_maximum(
    x: Float[Tensor, "B N C"], weight: Float[Tensor, "K C"], bias: Float[Tensor, " K"] | None, norm: nn.Module
) -> Float[Tensor, "B K"]:
    """Return the maximum over points of norm(x weightᵀ + bias), and update the running statistics of `norm`.

    Args:
        x: floating point, on any device.
        weight: of the linear layer.
        bias: of the linear layer. Normalisation cancels it: it only moves the running mean.
        norm: batch normalisation in training mode, with running statistics.
    """
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.momentum is not None
    with torch.autocast(x.device.type, enabled=False):  # the covariance needs more than bfloat16
        maximum, mean, variance = _NormalizedMaximum.apply(
            x.to(weight.dtype), weight, bias, norm.weight, norm.bias, norm.eps
        )
    with torch.no_grad():
        points = x.shape[0] * x.shape[1]
        norm.get_buffer("num_batches_tracked").add_(1)
        norm.get_buffer("running_mean").lerp_(mean if bias is None else mean + bias, norm.momentum)
        norm.get_buffer("running_var").lerp_(variance * (points / (points - 1)), norm.momentum)
    result: Tensor = maximum
    return result


class _NormalizedMaximum(torch.autograd.Function):
    """From (x, weight, bias, gain, shift, eps) to the maximum, and the mean and variance of x weightᵀ."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gain: Tensor,
        shift: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        clouds, points, _ = x.shape
        rows = x.flatten(0, 1)  # (B N, C)
        mean = rows.mean(dim=0)
        rows = rows - mean
        products = weight @ (rows.T @ rows).div_(len(rows))  # (K, C), weight times the covariance
        variance = (products * weight).sum(dim=1)
        sign = torch.where(gain < 0, -1, 1).to(weight.dtype)  # with a negative gain the least output counts
        find = largest_in_chunks if x.device.type == "cpu" else largest
        extremes, which = find(rows, weight * sign[:, None], clouds)  # (B, K)
        deviation = torch.rsqrt(variance + eps)
        normalized = extremes * (sign * deviation)
        which += torch.arange(clouds, device=x.device)[:, None] * points  # row numbers
        ctx.save_for_backward(rows, weight, gain, products, deviation, normalized, which)
        ctx.has_bias = bias is not None
        statistics = weight @ mean, variance
        ctx.mark_non_differentiable(*statistics)
        return torch.addcmul(shift, normalized, gain), *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, gain, products, deviation, normalized, which = ctx.saved_tensors
        of_shift = gradient.sum(dim=0)  # (K,)
        of_gain = (gradient * normalized).sum(dim=0)
        scale = gain * deviation
        sparse = gradient * scale  # of the output at the largest point, (B, K)
        # All points of a channel share -(of_shift + of_gain z) scale / (B N), z their normalised output
        slope = of_gain * scale * deviation
        of_weight = F.embedding_bag(which.T, rows, mode="sum", per_sample_weights=sparse.T.contiguous())
        of_weight = torch.addcmul(of_weight, products, slope[:, None], value=-1)
        of_x = _scatter(which, sparse, weight, len(rows))
        of_x -= (weight.T @ (of_shift * scale)).div_(len(rows))
        of_x.addmm_(rows, (weight.T * slope) @ weight, alpha=-1 / len(rows))
        of_bias = torch.zeros_like(gain) if ctx.has_bias else None
        return of_x.view(len(gradient), -1, rows.shape[1]), of_weight, of_bias, of_gain, of_shift, None


def largest(
    rows: Float[Tensor, "points C"], weight: Float[Tensor, "K C"], clouds: int
) -> tuple[Float[Tensor, "B K"], Int64[Tensor, "B K"]]:
    """Return the maximum over the points of each cloud of rows weightᵀ, and the point's number."""
    values, index = (rows @ weight.T).view(clouds, -1, len(weight)).max(dim=1)
    return values, index


def largest_in_chunks(
    rows: Float[Tensor, "points C"], weight: Float[Tensor, "K C"], clouds: int
) -> tuple[Float[Tensor, "B K"], Int64[Tensor, "B K"]]:
    """As `largest`, on a CPU, for few clouds at a time."""
    size = len(rows) // clouds
    chunks = []
    for part in torch.split(rows, max(1, CHUNK // size) * size):
        outputs = (weight @ part.T).view(len(weight), -1, size)
        # NumPy finds the largest of contiguous values in a fraction of PyTorch's time
        index = torch.from_numpy(outputs.numpy().argmax(axis=2))
        chunks.append((outputs.gather(2, index[:, :, None])[:, :, 0], index))
    values, index = (torch.cat(results, dim=1).T for results in zip(*chunks, strict=True))
    return values, index


def _scatter(
    rows: Tensor, values: Float[Tensor, "B K"], weight: Float[Tensor, "K C"], count: int
) -> Float[Tensor, "count C"]:
    """Return the matrix whose row r is the sum of values[b, k] weight[k] over rows[b, k] = r."""
    found, order = rows.flatten().sort(stable=True)
    starts = torch.searchsorted(found, torch.arange(count, device=found.device))
    factors = values.flatten()[order]
    return F.embedding_bag(order % len(weight), weight, starts, mode="sum", per_sample_weights=factors)
