"""PointNet++ with single-scale grouping (Qi et al., NeurIPS 2017).

    points (B, N, 3)
      sa1            512 points, 32 neighbours within 0.2: 64, 64, 128 channels, max over neighbours
      sa2            128 points, 64 neighbours within 0.4: 128, 128, 256 channels, max over neighbours
      sa3            256, 512, 1024 channels, max over points: the embedding (B, 1024), not negative
      fc1, fc2, fc3  512, 256, classes

A cloud of fewer than 1024 points is sampled in the same proportions: N / 2 and N / 8 points. Parameters have
the names and shapes of github.com/yanx27/Pointnet_Pointnet2_pytorch (pointnet2_cls_ssg without normals).
B: clouds, N: points per cloud, S: sampled points, K: neighbours, C: channels.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pointspider.encoders.checkpoints import rename
from pointspider.encoders.points.layers import (
    PointwiseLinear2d,
    in_chunks,
    max_over_neighbours,
    norm_edges,
    norm_linear,
    weight_of,
)
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import ball_query, farthest_point_sampling, gather_points


class SetAbstraction(nn.Module):
    """Embeds neighbourhoods: a shared network on positions and features, then the maximum over neighbours."""

    def __init__(self, inputs: int, *widths: int) -> None:
        super().__init__()
        layers = zip((inputs, *widths), widths, strict=False)
        self.mlp_convs = nn.ModuleList(PointwiseLinear2d(*layer) for layer in layers)
        self.mlp_bns = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)

    def forward(
        self,
        points: Float[Tensor, "B N 3"],
        features: Float[Tensor, "B N C"] | None,
        centres: Float[Tensor, "B S 3"],
        radius: float,
        count: int,
    ) -> Float[Tensor, "B S width"]:
        """Embed the balls around `centres`, which are points of the cloud."""
        index = ball_query(points, centres, radius, count)
        x = points if features is None else torch.cat([points, features], dim=2)
        first = self.mlp_convs[0]
        centres = -F.linear(centres, weight_of(first)[:, :3])  # the network gets relative positions
        return self._rest(norm_edges(first(x), centres, index, self.mlp_bns[0]))

    def embed_all(
        self, points: Float[Tensor, "B N 3"], features: Float[Tensor, "B N C"]
    ) -> Float[Tensor, "B width"]:
        """Embed all points as one neighbourhood, with positions that are not relative."""
        x = torch.cat([points, features], dim=2)
        return self._rest(norm_linear(x, self.mlp_convs[0], self.mlp_bns[0]))

    def _rest(self, x: Float[Tensor, "*points K C"]) -> Float[Tensor, "*points width"]:
        for linear, norm in zip(self.mlp_convs[1:], self.mlp_bns[1:], strict=True):
            x = norm_linear(F.relu_(x), linear, norm)
        return F.relu_(max_over_neighbours(x))  # ReLU is monotone, so it can follow the maximum


@register_point_encoder("pointnet2_ssg")
class PointNet2(PointClassifier):
    """The classifier."""

    LAST_LAYER = "fc3"
    NEEDS_DENSITY = True
    width = 1024
    minimum_points = 8

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.sa1 = SetAbstraction(3, 64, 64, 128)
        self.sa2 = SetAbstraction(128 + 3, 128, 128, 256)
        self.sa3 = SetAbstraction(256 + 3, 256, 512, self.width)
        self.fc1, self.bn1 = nn.Linear(self.width, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.4)
        self.fc3 = nn.Linear(256, classes)

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        available = points.shape[1]
        samples = farthest_point_sampling(points, min(512, available // 2))
        return in_chunks(self._embed, points, samples)

    def _embed(
        self, points: Float[Tensor, "B N 3"], samples: Int64[Tensor, "B S"]
    ) -> Float[Tensor, "B width"]:
        available = points.shape[1]
        first = gather_points(points, samples)  # (B, S, 3)
        second = first[:, : min(128, available // 8)]
        x = self.sa1(points, None, first, radius=0.2, count=32)  # (B, S, 128)
        x = self.sa2(first, x, second, radius=0.4, count=64)  # (B, S / 4, 256)
        return self.sa3.embed_all(second, x)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        x = self.dropout(F.relu(self.bn1(self.fc1(features))))  # (B, 512)
        x = self.dropout(F.relu(self.bn2(self.fc2(x))))  # (B, 256)
        logits: Tensor = self.fc3(x)
        return logits

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Accept also the names of the mirror torch-pointcloud/pointnet2-ssg.modelnet40.xu-yan."""
        state = rename(tensors, MIRROR)
        if "aggr.lins.0.weight" in tensors:  # its layers take features before positions
            for name in ("sa2.mlp_convs.0.weight", "sa3.mlp_convs.0.weight"):
                state[name] = state[name].roll(3, dims=1)
        return state


#: Modules of the mirror.
MIRROR = {
    f"{theirs}.{kind}.{layer}{suffix}": f"sa{number}.{ours}.{layer}"
    for number, theirs in enumerate(
        ["encoder.sa_blocks.0.convs.0.local_nn", "encoder.sa_blocks.1.convs.0.local_nn", "aggr"], start=1
    )
    for kind, suffix, ours in [("lins", "", "mlp_convs"), ("norms", ".module", "mlp_bns")]
    for layer in range(3)
} | {
    "head.lins.0": "fc1",
    "head.lins.1": "fc2",
    "head.lins.2": "fc3",
    "head.norms.0.module": "bn1",
    "head.norms.1.module": "bn2",
}
