"""Sampling and grouping of points: farthest-point sampling, ball query, k nearest neighbours.

All functions work on a batch of clouds, use no random numbers and no gradient, and return indices. Indices
that depend on coordinates only are computed once per forward pass and shared between the layers of a level.

Farthest-point samples are nested: the first k of n sampled points are the sample of k points. An architecture
therefore samples once; each deeper level is a prefix of the sampled points.

B: clouds, N: points per cloud, S: sampled points, K: neighbours per point, C: channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


@torch.no_grad()
def farthest_point_sampling(points: Float[Tensor, "B N 3"], count: int) -> Int64[Tensor, "B {count}"]:
    """Sample points one by one, each the farthest from those sampled before.

    The first is the farthest from the mean of the cloud, so the order of the points matters only where
    distances are equal: then the lowest index is sampled. Published implementations start at a random point
    or at the first.

    Raises:
        ValueError: a cloud has fewer than `count` points.
    """
    clouds, available, _ = points.shape
    if count > available:
        raise ValueError(f"cannot sample {count} of {available} points")
    axes = points.detach().permute(2, 0, 1).contiguous()
    difference = torch.empty_like(axes[0])
    distance = torch.empty_like(axes[0])  # squared, from the last sampled point
    nearest = torch.full_like(axes[0], torch.inf)  # squared distance from the nearest sampled point
    samples = torch.empty(clouds, count, dtype=torch.int64, device=points.device)
    last = _argmax((axes - axes.mean(dim=2, keepdim=True)).square().sum(dim=0))
    for number in range(count):
        samples[:, number] = last
        for axis, values in enumerate(axes):
            torch.sub(values, values.gather(1, last[:, None]), out=difference)
            if axis == 0:
                torch.mul(difference, difference, out=distance)
            else:
                distance.addcmul_(difference, difference)
        torch.minimum(nearest, distance, out=nearest)
        last = _argmax(nearest)
    return samples


@torch.no_grad()
def ball_query(
    points: Float[Tensor, "B N 3"], centres: Float[Tensor, "B S 3"], radius: float, count: int
) -> Int64[Tensor, "B S K"]:
    """Find the first `count` points, in the order of the cloud, within `radius` of each centre.

    K is `count`, or N if that is less. A ball with fewer than K points repeats its first.

    Raises:
        ValueError: a ball is empty; this cannot happen if the centres are points of the cloud.
    """
    available = points.shape[1]
    order = torch.arange(available, dtype=torch.int32, device=points.device)
    order = torch.where(_distances(centres, points) <= radius, order, available)
    index = order.topk(min(count, available), dim=2, largest=False, sorted=True)[0].long()
    first = index[:, :, :1]
    if (first == available).any():
        raise ValueError(f"no point within {radius} of a centre")
    return torch.where(index == available, first, index)


@torch.no_grad()
def nearest_neighbours(
    points: Float[Tensor, "B N C"], centres: Float[Tensor, "B S C"], count: int
) -> Int64[Tensor, "B S K"]:
    """Find the `count` nearest points of each centre, in any order. K is `count`, or N if that is less."""
    if points.shape[2] == 3:
        distances = _distances(centres, points)
    else:  # squared and without a constant per centre, which does not change the order
        squares = points.square().sum(dim=2)[:, None]
        distances = torch.baddbmm(squares, centres, points.transpose(1, 2), alpha=-2)
    return distances.topk(min(count, points.shape[1]), dim=2, largest=False, sorted=False)[1]


def gather_points(values: Float[Tensor, "B N C"], index: Int64[Tensor, "B ..."]) -> Float[Tensor, "B ... C"]:
    """Return the values of the points with the given indices."""
    clouds, points, channels = values.shape
    offsets = torch.arange(clouds, device=index.device) * points
    rows = index + offsets.view(-1, *[1] * (index.ndim - 1))
    # An embedding, because its gradient is deterministic and twice as fast as that of index_select
    return F.embedding(rows, values.reshape(-1, channels))


def _distances(centres: Float[Tensor, "B S C"], points: Float[Tensor, "B N C"]) -> Float[Tensor, "B S N"]:
    """Euclidean distances from coordinate differences: exactly 0 between equal points."""
    return torch.cdist(centres, points, compute_mode="donot_use_mm_for_euclid_dist")


def _argmax(values: Float[Tensor, "B N"]) -> Int64[Tensor, " B"]:
    """Index of the first maximum of each row."""
    if values.device.type == "cpu":  # NumPy is ten times as fast for short rows
        return torch.from_numpy(values.numpy().argmax(axis=1))
    return values.argmax(dim=1)
