"""Point Transformer (Zhao et al., ICCV 2021): encoder of the released segmentation network, and classifier.

    points (B, N, 3)
      enc1 to enc5    N, N/4, N/16, N/64, N/256 points; 32, 64, 128, 256, 512 channels; 1, 2, 3, 5, 2 blocks
                      of vector attention to the 8 (enc1) or 16 nearest neighbours
      mean            over points: the embedding (B, 512)
      cls             256, 128, classes

The encoder's parameters have the names and shapes of github.com/POSTECH-CVLab/point-transformer
(pointtransformer_seg) for points without colours. No weights for ModelNet40 are published.
B: clouds, N: points per cloud, S: sampled points, K: neighbours, C: channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pointspider.encoders.points.layers import max_over_neighbours, norm_edges, norm_linear, normalize
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import farthest_point_sampling, gather_points, nearest_neighbours

WIDTHS = (32, 64, 128, 256, 512)
BLOCKS = (1, 2, 3, 5, 2)
NEIGHBOURS = (8, 16, 16, 16, 16)
STRIDE = 4
SHARED = 8  # channels with the same attention


class TransitionDown(nn.Module):
    """A linear layer on relative positions and features of neighbours, and their maximum.

    At the first level it is applied to the points.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear, self.bn = nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)

    def forward(
        self,
        points: Float[Tensor, "B N 3"],
        x: Float[Tensor, "B N C"],
        centres: Float[Tensor, "B S 3"],
        count: int,
    ) -> Float[Tensor, "B S outputs"]:
        """Embed the `count` nearest neighbours of `centres`, which are points of the cloud."""
        index = nearest_neighbours(points, centres, count)
        neighbours = self.linear(torch.cat([points, x], dim=2))
        offset = -F.linear(centres, self.linear.weight[:, :3])
        return F.relu_(max_over_neighbours(norm_edges(neighbours, offset, index, self.bn)))


class VectorAttention(nn.Module):
    """Attention to neighbours with a weight per group of channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        groups = width // SHARED
        self.linear_q, self.linear_k, self.linear_v = (nn.Linear(width, width) for _ in range(3))
        self.linear_p = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, width))
        self.linear_w = nn.Sequential(
            *(nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, groups)),
            *(nn.BatchNorm1d(groups), nn.ReLU(), nn.Linear(groups, groups)),
        )

    def forward(
        self, points: Float[Tensor, "B N 3"], x: Float[Tensor, "B N C"], index: Int64[Tensor, "B N K"]
    ) -> Float[Tensor, "B N C"]:
        relative = gather_points(points, index) - points[:, :, None]
        position = self.linear_p[3](F.relu_(norm_linear(relative, self.linear_p[0], self.linear_p[1])))
        key, value = gather_points(self.linear_k(x), index), gather_points(self.linear_v(x), index)
        weights = key - self.linear_q(x)[:, :, None] + position  # (B, N, K, C)
        weights = F.relu(normalize(weights, self.linear_w[0]))
        weights = F.relu(norm_linear(weights, self.linear_w[2], self.linear_w[3]))  # (B, N, K, groups)
        weights = self.linear_w[5](weights).softmax(dim=2)
        # Channel c has the weight of group c modulo groups
        values: Tensor = (value + position).view(*weights.shape[:3], SHARED, -1)
        attended: Tensor = (values * weights[:, :, :, None]).sum(dim=2).flatten(2)
        return attended


class Block(nn.Module):
    """Vector attention between two linear layers, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1, self.bn1 = nn.Linear(width, width, bias=False), nn.BatchNorm1d(width)
        self.transformer2, self.bn2 = VectorAttention(width), nn.BatchNorm1d(width)
        self.linear3, self.bn3 = nn.Linear(width, width, bias=False), nn.BatchNorm1d(width)

    def forward(
        self, points: Float[Tensor, "B N 3"], x: Float[Tensor, "B N C"], index: Int64[Tensor, "B N K"]
    ) -> Float[Tensor, "B N C"]:
        y = F.relu(norm_linear(x, self.linear1, self.bn1))
        y = F.relu(normalize(self.transformer2(points, y, index), self.bn2))
        return F.relu(norm_linear(y, self.linear3, self.bn3) + x)


def encoder_level(level: int, features: int = 3) -> nn.Sequential:
    """The modules of enc1 to enc5. features: channels of a point besides its position, for level 0."""
    inputs = features if level == 0 else 3 + WIDTHS[level - 1]
    blocks = (Block(WIDTHS[level]) for _ in range(BLOCKS[level]))
    return nn.Sequential(TransitionDown(inputs, WIDTHS[level]), *blocks)


@register_point_encoder("point_transformer")
class PointTransformer(PointClassifier):
    """The classifier."""

    LAST_LAYER = "cls.8"
    NEEDS_DENSITY = True
    width = 512
    minimum_points = 256

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.enc1, self.enc2, self.enc3, self.enc4, self.enc5 = map(encoder_level, range(5))
        self.cls = nn.Sequential(
            *(nn.Linear(self.width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(128, classes),
        )

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        down, *blocks = self.enc1
        x = F.relu(norm_linear(points, *down.children()))
        x = _attend(points, x, blocks, NEIGHBOURS[0])
        samples = farthest_point_sampling(points, points.shape[1] // STRIDE)
        centres = gather_points(points, samples)
        for (down, *blocks), count in zip(
            (self.enc2, self.enc3, self.enc4, self.enc5), NEIGHBOURS[1:], strict=True
        ):
            x = _attend(centres, down(points, x, centres, count), blocks, count)
            # Farthest-point samples are nested
            points, centres = centres, centres[:, : centres.shape[1] // STRIDE]
        return x.mean(dim=1)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.cls(features)
        return logits


def _attend(
    points: Float[Tensor, "B N 3"], x: Float[Tensor, "B N C"], blocks: list[nn.Module], count: int
) -> Float[Tensor, "B N C"]:
    """Apply the blocks of a level, which share the neighbours."""
    index = nearest_neighbours(points, points, count)
    for block in blocks:
        x = block(points, x, index)
    return x
