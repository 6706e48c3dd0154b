"""PointMLP (Ma et al., ICLR 2022).

    points (B, N, 3)
      embedding             64 channels per point
      four stages           half as many points and twice as many channels each:
        grouping            24 nearest neighbours of each sampled point, residuals from its feature,
                            divided by the standard deviation of all residuals of the cloud
        residual blocks     on the neighbours, max over them, then on the points
      max over points       the embedding (B, 1024)
      classifier            512, 256, classes

Parameters have the names and shapes of github.com/ma-xu/pointMLP-pytorch (classification_ModelNet40). Its
commit d2b8dba uses the standard deviation of the batch, so that clouds influence each other; the later
commits and this implementation use one per cloud.
B: clouds, N: points per cloud, S: sampled points, K: neighbours, C: channels.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pointspider.encoders.checkpoints import rename
from pointspider.encoders.points.layers import (
    PointwiseLinear,
    in_chunks,
    max_over_neighbours,
    norm_linear,
    normalize,
    scale_and_shift,
    weight_of,
)
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import farthest_point_sampling, gather_points, nearest_neighbours

NEIGHBOURS = 24
EPSILON = 1e-5  # added to the standard deviation


class Layer(nn.Module):
    """A linear layer with batch normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(PointwiseLinear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x: Float[Tensor, "*points inputs"]) -> Float[Tensor, "*points outputs"]:
        return norm_linear(x, self.net[0], self.net[1])


class ResidualBlock(nn.Module):
    """Two linear layers with batch normalisation, added to their input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net1 = nn.Sequential(PointwiseLinear(width, hidden, bias=False), nn.BatchNorm1d(hidden))
        self.net2 = nn.Sequential(PointwiseLinear(hidden, width, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Float[Tensor, "*points width"]) -> Float[Tensor, "*points width"]:
        y = F.relu_(norm_linear(x, self.net1[0], self.net1[1]))
        return F.relu_(norm_linear(y, self.net2[0], self.net2[1]).add_(x))


class Grouper(nn.Module):
    """The learned scale and shift of normalised residuals."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affine_alpha = nn.Parameter(torch.ones(1, 1, 1, width))
        self.affine_beta = nn.Parameter(torch.zeros(1, 1, 1, width))


class Extraction(nn.Module):
    """The layers on neighbours (`pre`, with `transfer`) or on points (`pos`) of a stage."""

    def __init__(self, width: int, hidden: int, blocks: int, transfer: int | None = None) -> None:
        super().__init__()
        if transfer:
            self.transfer = Layer(transfer, width)
        self.operation = nn.Sequential(*(ResidualBlock(width, hidden) for _ in range(blocks)))

    def forward(self, x: Float[Tensor, "*points width"]) -> Float[Tensor, "*points width"]:
        """Apply the residual blocks."""
        out: Tensor = self.operation(x)
        return out


@register_point_encoder("pointmlp")
class PointMLP(PointClassifier):
    """The classifier."""

    LAST_LAYER = "classifier.8"
    NEEDS_DENSITY = True
    #: Channels after the embedding and after each stage.
    WIDTHS: ClassVar[tuple[int, ...]] = (64, 128, 256, 512, 1024)
    #: Residual blocks of each stage, on neighbours and again on points.
    BLOCKS: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
    #: Channels inside a residual block in multiples of those outside.
    RATIO: ClassVar[float] = 1.0
    width = 1024
    minimum_points = 16

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        stages = [
            (inputs, width, int(width * self.RATIO), blocks)
            for (inputs, width), blocks in zip(pairwise(self.WIDTHS), self.BLOCKS, strict=True)
        ]
        self.embedding = Layer(3, self.WIDTHS[0])
        self.local_grouper_list = nn.ModuleList(Grouper(inputs) for inputs, *_ in stages)
        self.pre_blocks_list = nn.ModuleList(
            Extraction(width, hidden, blocks, transfer=2 * inputs) for inputs, width, hidden, blocks in stages
        )
        self.pos_blocks_list = nn.ModuleList(
            Extraction(width, hidden, blocks) for _, width, hidden, blocks in stages
        )
        self.classifier = nn.Sequential(
            *(nn.Linear(self.width, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(256, classes),
        )

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        samples = farthest_point_sampling(points, points.shape[1] // 2)
        return in_chunks(self._embed, points, samples)

    def _embed(
        self, points: Float[Tensor, "B N 3"], samples: Int64[Tensor, "B S"]
    ) -> Float[Tensor, "B width"]:
        x = F.relu_(self.embedding(points))  # (B, N, C)
        centres, anchors = gather_points(points, samples), gather_points(x, samples)
        for grouper, pre, pos in zip(
            self.local_grouper_list, self.pre_blocks_list, self.pos_blocks_list, strict=True
        ):
            index = nearest_neighbours(points, centres, NEIGHBOURS)
            x = transfer(gather_points(x, index), anchors, grouper, pre.get_submodule("transfer.net"))
            x = pos(max_over_neighbours(pre(x)))  # (B, S, D)
            points, count = centres, centres.shape[1] // 2
            centres, anchors = points[:, :count], x[:, :count]  # farthest-point samples are nested
        return max_over_neighbours(x)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.classifier(features)
        return logits

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Accept also the names of the mirrors torch-pointcloud/pointmlp-….modelnet40.xu-ma."""
        return rename(tensors, MIRROR)


def transfer(
    neighbours: Float[Tensor, "B S K C"],
    anchors: Float[Tensor, "B S C"],
    grouper: nn.Module,
    layer: nn.Module,
) -> Float[Tensor, "B S K D"]:
    """Apply the first layer of a stage, to the concatenation of normalised residuals and their anchor.

    The part on the anchors is computed once for all neighbours.
    """
    linear, norm = layer.children()
    alpha, beta = (grouper.get_parameter(name).flatten() for name in ("affine_alpha", "affine_beta"))
    of_residual, of_anchor = weight_of(linear).chunk(2, dim=1)
    residuals = (neighbours - anchors[:, :, None]).flatten(1, 2)
    deviation = standard_deviation(residuals.flatten(1)).view(-1, 1, 1)
    offset = F.linear(anchors, of_anchor) + of_residual @ beta
    of_residual = of_residual * alpha
    if not norm.training:
        scale, shift = scale_and_shift(norm)
        of_residual, offset = of_residual * scale[:, None], torch.addcmul(shift, offset, scale)
    x = torch.bmm(residuals, of_residual.T / (deviation + EPSILON))
    x = x.view(*neighbours.shape[:3], -1).add_(offset[:, :, None])
    return F.relu_(normalize(x, norm) if norm.training else x)


def standard_deviation(x: Float[Tensor, "B M"]) -> Float[Tensor, " B"]:
    """Standard deviation of each row, whose mean is not much larger."""
    if torch.is_grad_enabled():
        return x.std(dim=1)  # has a gradient where all values are equal
    count = x.shape[1]  # a tenth of the time of torch.std
    squares = torch.linalg.vector_norm(x, dim=1).square()
    return torch.sqrt((squares - count * x.mean(dim=1).square()).clamp_min(0) / (count - 1))


def _mirror() -> dict[str, str]:
    table = {"stem.lins.0": "embedding.net.0", "stem.norms.0.module": "embedding.net.1"}
    for stage in range(4):
        theirs = f"encoder.blocks.{stage}"
        pre, pos = f"pre_blocks_list.{stage}", f"pos_blocks_list.{stage}.operation"
        table |= {
            f"{theirs}.conv.alpha": f"local_grouper_list.{stage}.affine_alpha",
            f"{theirs}.conv.beta": f"local_grouper_list.{stage}.affine_beta",
            f"{theirs}.conv.local_nn.0.stem": f"{pre}.transfer.net.0",
            f"{theirs}.conv.local_nn.0.norm.module": f"{pre}.transfer.net.1",
        }
        for block in range(2):
            for old, new in [
                (f"{theirs}.conv.local_nn.{block + 1}", f"{pre}.operation.{block}"),
                (f"{theirs}.pos_mlp.{block}", f"{pos}.{block}"),
            ]:
                for layer in (1, 2):
                    table[f"{old}.lin{layer}"] = f"{new}.net{layer}.0"
                    table[f"{old}.norm{layer}.module"] = f"{new}.net{layer}.1"
    for layer in range(3):
        table[f"head.lins.{layer}"] = f"classifier.{4 * layer}"
        table[f"head.norms.{layer}.module"] = f"classifier.{4 * layer + 1}"
    return table


#: Modules and parameters of the mirrors.
MIRROR = _mirror()
