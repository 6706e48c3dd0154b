"""PointNet without T-Nets, as in learning3d (github.com/vinits5/learning3d, models/pointnet.py).

    points (B, N, 3)
      conv1 to conv5   64, 64, 64, 128, 1024 channels
      max over points  the embedding (B, 1024), after ReLU, so it has no negative values
      linear1, 2, 3    512, 256, classes

Parameters have the names and shapes of learning3d's classifiers. B: clouds, N: points per cloud.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.layers import PointwiseLinear, max_over_network
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder


class Features(nn.Module):
    """Computes the embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = PointwiseLinear(3, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 64), nn.BatchNorm1d(64)
        self.conv3, self.bn3 = PointwiseLinear(64, 64), nn.BatchNorm1d(64)
        self.conv4, self.bn4 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv5, self.bn5 = PointwiseLinear(128, width), nn.BatchNorm1d(width)

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        layers = [
            (self.conv1, self.bn1),
            (self.conv2, self.bn2),
            (self.conv3, self.bn3),
            (self.conv4, self.bn4),
            (self.conv5, self.bn5),
        ]
        return F.relu(max_over_network(points, layers))  # ReLU is monotone, so it can follow the maximum


@register_point_encoder("pointnet_vanilla")
class PointNetVanilla(PointClassifier):
    """The classifier."""

    LAST_LAYER = "linear3"
    width = 1024

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.feature_model = Features(self.width)
        self.linear1, self.bn1 = nn.Linear(self.width, 512), nn.BatchNorm1d(512)
        self.linear2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.7)
        self.linear3 = nn.Linear(256, classes)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        x = self.dropout(F.relu(self.bn1(self.linear1(features))))  # (B, 512)
        x = self.dropout(F.relu(self.bn2(self.linear2(x))))  # (B, 256)
        logits: Tensor = self.linear3(x)
        return logits

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        features: Tensor = self.feature_model(points)
        return features
