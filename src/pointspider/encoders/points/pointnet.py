"""PointNet (Qi et al., CVPR 2017), as ModelNet40-C's benchmark trains it.

    points (B, N, 3)
      input T-Net      3 x 3 matrix per cloud
      conv1            64 channels
      feature T-Net    64 x 64 matrix per cloud
      conv2, conv3     128, 1024 channels
      max over points  the global feature (B, 1024), no ReLU: it has negatives
      fc1, fc2, fc3    512, 256, classes

Parameters have the names and shapes of the benchmark's released checkpoint, which so loads as it is once its
wrappers' prefixes are off (github.com/jiachens/ModelNet40-C, cor_exp/dgcnn_pointnet_run_1).

B is clouds in a batch, N points per cloud, P = B * N, C channels.
"""

import torch
import torch.nn.functional as F
from torch import nn

from pointspider.encoders.points.pointwise import PointwiseLinear, max_over_points

#: Channels of the global feature.
FEATURES = 1024


class TNet(nn.Module):
    """A matrix per cloud, predicted from its points; the identity before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.conv1, self.bn1 = PointwiseLinear(width, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv3, self.bn3 = PointwiseLinear(128, 1024), nn.BatchNorm1d(1024)
        self.fc1, self.bn4 = nn.Linear(1024, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn5 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.fc3 = nn.Linear(256, width * width)
        nn.init.zeros_(self.fc3.weight)
        nn.init.zeros_(self.fc3.bias)

    def forward(self, x: torch.Tensor, clouds: int) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (P, 64)
        x = F.relu(self.bn2(self.conv2(x)))  # (P, 128)
        x = self.bn3(self.conv3(x))  # (P, 1024)
        x = F.relu(max_over_points(x, clouds))  # (B, 1024); ReLU is monotone, so it may come after
        x = F.relu(self.bn4(self.fc1(x)))  # (B, 512)
        x = F.relu(self.bn5(self.fc2(x)))  # (B, 256)
        x = self.fc3(x).view(clouds, self.width, self.width)
        return x + torch.eye(self.width, device=x.device)  # (B, width, width)


class Features(nn.Module):
    """From points to the global feature."""

    def __init__(self) -> None:
        super().__init__()
        self.stn = TNet(3)
        self.fstn = TNet(64)
        self.conv1, self.bn1 = PointwiseLinear(3, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv3, self.bn3 = PointwiseLinear(128, FEATURES), nn.BatchNorm1d(FEATURES)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        clouds = len(points)
        x = points.reshape(-1, 3)  # (P, 3)
        x = torch.bmm(points, self.stn(x, clouds)).view(-1, 3)  # (P, 3)
        x = F.relu(self.bn1(self.conv1(x)))  # (P, 64)
        transform = self.fstn(x, clouds)  # (B, 64, 64)
        x = torch.bmm(x.view(clouds, -1, 64), transform).view(-1, 64)  # (P, 64)
        x = F.relu(self.bn2(self.conv2(x)))  # (P, 128)
        x = self.bn3(self.conv3(x))  # (P, 1024)
        return max_over_points(x, clouds), transform  # (B, 1024), (B, 64, 64)


def distance_from_orthogonality(matrices: torch.Tensor) -> torch.Tensor:
    """Mean over (B, C, C) of the Frobenius norm of A Aᵀ - I, a scalar."""
    gram = torch.bmm(matrices, matrices.transpose(1, 2))
    return torch.linalg.matrix_norm(gram - torch.eye(gram.shape[1], device=gram.device)).mean()


class PointNet(nn.Module):
    """The classifier; its global feature is what clouds are embedded with."""

    LAST_LAYER = "fc3"

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.feat = Features()
        self.fc1, self.bn1 = nn.Linear(FEATURES, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.3)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (B, N, 3) float32 to logits (B, classes) and the feature T-Net's penalty, a scalar."""
        x, transform = self.feat(points)  # (B, 1024)
        return self.logits(x), distance_from_orthogonality(transform)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Global features (B, 1024) to logits (B, classes)."""
        x = F.relu(self.bn1(self.fc1(x)))  # (B, 512)
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))  # (B, 256)
        return self.fc3(x)

    def global_feature(self, points: torch.Tensor) -> torch.Tensor:
        """Points (B, N, 3) float32 to the maximum over points of bn3(conv3), (B, 1024) float32."""
        return self.feat(points)[0]
