"""DGCNN (Wang et al., ACM TOG 2019).

    points (B, N, 3)
      conv1 to conv4      64, 64, 128, 256 channels per edge, max over the 20 nearest neighbours
      conv5               1024 channels per point, from all four layers
      max, mean           over points: the embedding (B, 2048)
      linear1, 2, 3       512, 256, classes

The neighbours are searched in the space of each layer's input, so they depend on the weights. Parameters
have the names and shapes of github.com/antao97/dgcnn.pytorch (DGCNN_cls). Its files contain bn1 to bn5 twice;
here they are only in conv1.1 to conv5.1.
B: clouds, N: points per cloud, K: neighbours, C: channels.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.checkpoints import absorb_bias, rename
from pointspider.encoders.points.layers import (
    PointwiseLinear,
    PointwiseLinear2d,
    in_chunks,
    max_over_neighbours,
    norm_edges,
    norm_linear,
    weight_of,
)
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import nearest_neighbours

NEIGHBOURS = 20
SLOPE = 0.2  # of the leaky ReLU


class EdgeConvolution(nn.Sequential):
    """A layer on (neighbour - point, point), and the maximum over the neighbours."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(PointwiseLinear2d(2 * inputs, outputs, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x: Float[Tensor, "B N inputs"]) -> Float[Tensor, "B N outputs"]:
        index = nearest_neighbours(x, x, NEIGHBOURS)
        of_difference, of_point = weight_of(self[0]).chunk(2, dim=1)
        centres = F.linear(x, of_point - of_difference)
        x = norm_edges(F.linear(x, of_difference), centres, index, self[1])  # (B, N, K, outputs)
        return F.leaky_relu(max_over_neighbours(x), SLOPE)


@register_point_encoder("dgcnn")
class DGCNN(PointClassifier):
    """The classifier."""

    LAST_LAYER = "linear3"
    NEEDS_DENSITY = True
    width = 2048
    minimum_points = NEIGHBOURS

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.conv1 = EdgeConvolution(3, 64)
        self.conv2 = EdgeConvolution(64, 64)
        self.conv3 = EdgeConvolution(64, 128)
        self.conv4 = EdgeConvolution(128, 256)
        self.conv5 = nn.Sequential(PointwiseLinear(512, 1024, bias=False), nn.BatchNorm1d(1024))
        self.linear1, self.bn6 = nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512)
        self.linear2, self.bn7 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.5)
        self.linear3 = nn.Linear(256, classes)

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        return in_chunks(self._embed, points)

    def _embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        layers = []
        x = points
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x)
            layers.append(x)
        x = norm_linear(torch.cat(layers, dim=2), self.conv5[0], self.conv5[1])
        x = F.leaky_relu_(x, SLOPE)  # (B, N, 1024)
        return torch.cat([max_over_neighbours(x), x.mean(dim=1)], dim=1)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        x = self.dropout(F.leaky_relu(self.bn6(self.linear1(features)), SLOPE))  # (B, 512)
        x = self.dropout(F.leaky_relu(self.bn7(self.linear2(x)), SLOPE))  # (B, 256)
        logits: Tensor = self.linear3(x)
        return logits

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Accept also the names of the mirror torch-pointcloud/dgcnn.modelnet40-1024.an-tao."""
        twice = tuple(f"bn{number}." for number in range(1, 6))
        once = {name: tensor for name, tensor in tensors.items() if not name.startswith(twice)}
        state = rename(once, MIRROR)
        if "proj.lins.0.weight" in tensors:
            for number in range(1, 5):  # its layers take the point before the difference
                name = f"conv{number}.0.weight"
                state[name] = torch.cat(state[name].chunk(2, dim=1)[::-1], dim=1)
            for number in range(1, 6):
                absorb_bias(state, f"conv{number}.0", f"conv{number}.1")
            absorb_bias(state, "linear1", "bn6")
        return state


#: Modules of the mirror.
MIRROR = {
    **{f"encoder.blocks.{number}.conv.nn.lins.0": f"conv{number + 1}.0" for number in range(4)},
    **{f"encoder.blocks.{number}.conv.nn.norms.0.module": f"conv{number + 1}.1" for number in range(4)},
    "proj.lins.0": "conv5.0",
    "proj.norms.0.module": "conv5.1",
    "head.lins.0": "linear1",
    "head.lins.1": "linear2",
    "head.lins.2": "linear3",
    "head.norms.0.module": "bn6",
    "head.norms.1.module": "bn7",
}
