"""PointNet without T-Nets, as learning3d has it (github.com/vinits5/learning3d, models/pointnet.py).

    points (B, N, 3)
      conv1 to conv5   64, 64, 64, 128, 1024 channels
      max over points  the global feature (B, 1024), after ReLU: it has no negatives
      linear1, 2, 3    512, 256, classes

Parameters have the names and shapes of learning3d's classifiers.

B is clouds in a batch, N points per cloud, P = B * N, C channels.
"""

import torch
import torch.nn.functional as F
from torch import nn

from pointspider.encoders.points.pointwise import PointwiseLinear, max_over_points


class Features(nn.Module):
    """From points to the global feature."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = PointwiseLinear(3, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 64), nn.BatchNorm1d(64)
        self.conv3, self.bn3 = PointwiseLinear(64, 64), nn.BatchNorm1d(64)
        self.conv4, self.bn4 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv5, self.bn5 = PointwiseLinear(128, 1024), nn.BatchNorm1d(1024)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        x = points.reshape(-1, 3)  # (P, 3)
        x = F.relu(self.bn1(self.conv1(x)))  # (P, 64)
        x = F.relu(self.bn2(self.conv2(x)))  # (P, 64)
        x = F.relu(self.bn3(self.conv3(x)))  # (P, 64)
        x = F.relu(self.bn4(self.conv4(x)))  # (P, 128)
        x = self.bn5(self.conv5(x))  # (P, 1024)
        return F.relu(max_over_points(x, len(points)))  # (B, 1024); ReLU is monotone, so it may come after


class PointNetVanilla(nn.Module):
    """The classifier; its global feature is what clouds are embedded with."""

    LAST_LAYER = "linear3"

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.feature_model = Features()
        self.linear1, self.bn1 = nn.Linear(1024, 512), nn.BatchNorm1d(512)
        self.linear2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.7)
        self.linear3 = nn.Linear(256, classes)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (B, N, 3) float32 to logits (B, classes) and the penalty of T-Nets: 0, it has none."""
        x = self.feature_model(points)  # (B, 1024)
        return self.logits(x), x.new_zeros(())

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Global features (B, 1024) to logits (B, classes)."""
        x = self.dropout(F.relu(self.bn1(self.linear1(x))))  # (B, 512)
        x = self.dropout(F.relu(self.bn2(self.linear2(x))))  # (B, 256)
        return self.linear3(x)

    def global_feature(self, points: torch.Tensor) -> torch.Tensor:
        """Points (B, N, 3) float32 to the maximum over points of ReLU(bn5(conv5)), (B, 1024) float32."""
        return self.feature_model(points)
