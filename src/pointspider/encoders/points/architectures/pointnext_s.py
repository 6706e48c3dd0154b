"""PointNeXt-S (Qian et al., NeurIPS 2022).

    points (B, N, 3)
      stem                    32 channels per point
      four set abstractions   half as many points and twice as many channels each, 32 neighbours within
                              0.15, 0.225, 0.3375, 0.50625; max over neighbours, plus the point's feature
      all points              512 channels, max: the embedding (B, 512), not negative
      prediction.head         512, 256, classes

Parameters have the names and shapes of github.com/guochengqian/PointNeXt (modelnet40ply2048/pointnext-s).
B: clouds, N: points per cloud, S: sampled points, K: neighbours, C: channels.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.checkpoints import absorb_bias, rename
from pointspider.encoders.points.layers import (
    PointwiseLinear,
    PointwiseLinear2d,
    max_over_neighbours,
    norm_edges,
    norm_linear,
    weight_of,
)
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import ball_query, farthest_point_sampling, gather_points

RADII = (0.15, 0.225, 0.3375, 0.50625)
NEIGHBOURS = 32


def layer(inputs: int, outputs: int) -> nn.Sequential:
    """A linear layer on neighbours with batch normalisation."""
    return nn.Sequential(PointwiseLinear2d(inputs, outputs, bias=False), nn.BatchNorm1d(outputs))


class SetAbstraction(nn.Module):
    """Two layers on relative positions and features of neighbours, their maximum, and a skip connection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(layer(3 + inputs, outputs // 2), layer(outputs // 2, outputs))
        self.skipconv = nn.Sequential(PointwiseLinear(inputs, outputs))

    def forward(
        self,
        points: Float[Tensor, "B N 3"],
        x: Float[Tensor, "B N inputs"],
        centres: Float[Tensor, "B S 3"],
        own: Float[Tensor, "B S inputs"],
        radius: float,
    ) -> Float[Tensor, "B S outputs"]:
        """Embed the balls around `centres`, which are points of the cloud with the features `own`."""
        index = ball_query(points, centres, radius, NEIGHBOURS)
        (first, first_norm), (second, second_norm) = (layer.children() for layer in self.convs)
        of_position, of_feature = weight_of(first).tensor_split([3], dim=1)
        of_position = of_position / radius
        neighbours = F.linear(points, of_position) + F.linear(x, of_feature)
        y = F.relu_(norm_edges(neighbours, -F.linear(centres, of_position), index, first_norm))
        y = max_over_neighbours(norm_linear(y, second, second_norm))
        return F.relu_(y + self.skipconv(own))


class AllPoints(nn.Module):
    """Two layers on positions and features of all points, and their maximum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(layer(3 + inputs, outputs), layer(outputs, outputs))

    def forward(
        self, points: Float[Tensor, "B N 3"], x: Float[Tensor, "B N C"]
    ) -> Float[Tensor, "B outputs"]:
        x = torch.cat([points, x], dim=2)
        for linear, norm in (layer.children() for layer in self.convs):
            x = F.relu_(norm_linear(x, linear, norm))
        return max_over_neighbours(x)


class Stem(nn.Module):
    """A linear layer per point."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Sequential(PointwiseLinear(3, width)))

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N width"]:
        features: Tensor = self.convs(points)
        return features


class Encoder(nn.Module):
    """Computes the embedding."""

    def __init__(self, stem: int) -> None:
        super().__init__()
        widths = [stem * 2**stage for stage in range(5)]
        stages: list[nn.Module] = [Stem(stem)]
        stages += [SetAbstraction(width, 2 * width) for width in widths[:4]]
        stages.append(AllPoints(widths[4], widths[4]))
        self.encoder = nn.Sequential(*(nn.Sequential(stage) for stage in stages))

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        stem, *abstractions, all_points = (next(stage.children()) for stage in self.encoder)
        x = stem(points)
        samples = farthest_point_sampling(points, points.shape[1] // 2)
        centres, own = gather_points(points, samples), gather_points(x, samples)
        for abstraction, radius in zip(abstractions, RADII, strict=True):
            x = abstraction(points, x, centres, own, radius)
            points, count = centres, centres.shape[1] // 2
            centres, own = points[:, :count], x[:, :count]  # farthest-point samples are nested
        embedding: Tensor = all_points(points, x)
        return embedding


class Prediction(nn.Module):
    """The classifier's layers."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Sequential(nn.Linear(inputs, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU()),
            nn.Dropout(0.5),
            nn.Sequential(nn.Linear(512, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()),
            nn.Dropout(0.5),
            nn.Sequential(nn.Linear(256, classes)),
        )


@register_point_encoder("pointnext_s")
class PointNeXt(PointClassifier):
    """The classifier."""

    LAST_LAYER = "prediction.head.4.0"
    NEEDS_DENSITY = True
    #: Channels of the stem.
    STEM: ClassVar[int] = 32
    width = 512
    minimum_points = 16

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.encoder = Encoder(self.STEM)
        self.prediction = Prediction(self.width, classes)

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        features: Tensor = self.encoder(points)
        return features

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.prediction.head(features)
        return logits

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Accept also the names of the mirror torch-pointcloud/pointnext-sm-c64.modelnet40.openpoints."""
        state = rename(tensors, MIRROR)
        if "stem.lins.0.weight" in tensors:
            for linear, norm in NORMED.items():
                absorb_bias(state, linear, norm)
        return state


def _normed() -> dict[str, str]:
    """Linear layers without bias, and the normalisations that follow them."""
    convs = [f"encoder.encoder.{stage}.0.convs.{number}" for stage in range(1, 6) for number in range(2)]
    return {f"{name}.0": f"{name}.1" for name in [*convs, "prediction.head.0", "prediction.head.2"]}


def _mirror() -> dict[str, str]:
    table = {"stem.lins.0": "encoder.encoder.0.0.convs.0.0"}
    for stage in range(1, 6):
        theirs = f"encoder.blocks.{stage - 1}.downsample"
        convs = f"{theirs}.convs.0.local_nn" if stage < 5 else "global_sa"
        for number in range(2):
            table[f"{convs}.lins.{number}"] = f"encoder.encoder.{stage}.0.convs.{number}.0"
            table[f"{convs}.norms.{number}.module"] = f"encoder.encoder.{stage}.0.convs.{number}.1"
        table[f"{theirs}.skip_convs.0.lins.0"] = f"encoder.encoder.{stage}.0.skipconv.0"
    for number in range(3):
        table[f"head.lins.{number}"] = f"prediction.head.{2 * number}.0"
        table[f"head.norms.{number}.module"] = f"prediction.head.{2 * number}.1"
    return table


NORMED = _normed()
#: Modules of the mirror.
MIRROR = _mirror()
