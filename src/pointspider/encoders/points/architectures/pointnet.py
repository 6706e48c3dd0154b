"""PointNet (Qi et al., CVPR 2017), as trained by the benchmark of ModelNet40-C.

    points (B, N, 3)
      input T-Net      3 x 3 matrix per cloud
      conv1            64 channels
      feature T-Net    64 x 64 matrix per cloud
      conv2, conv3     128, 1024 channels
      max over points  the embedding (B, 1024), without ReLU, so it has negative values
      fc1, fc2, fc3    512, 256, classes

Parameters have the names and shapes of the benchmark's released checkpoint (github.com/jiachens/ModelNet40-C,
cor_exp/dgcnn_pointnet_run_1). B: clouds, N: points per cloud, C: channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.layers import PointwiseLinear, max_over_network, norm_linear
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder


class TNet(nn.Module):
    """Predicts a matrix per cloud from its points; the identity before training."""

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

    def forward(self, x: Float[Tensor, "B N width"]) -> Float[Tensor, "B width width"]:
        layers = [(self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)]
        x = F.relu(max_over_network(x, layers))  # (B, 1024); ReLU is monotone, so it can follow the maximum
        x = F.relu(self.bn4(self.fc1(x)))  # (B, 512)
        x = F.relu(self.bn5(self.fc2(x)))  # (B, 256)
        x = self.fc3(x).view(-1, self.width, self.width)
        return x + torch.eye(self.width, device=x.device)


class Features(nn.Module):
    """Computes the embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stn = TNet(3)
        self.fstn = TNet(64)
        self.conv1, self.bn1 = PointwiseLinear(3, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv3, self.bn3 = PointwiseLinear(128, width), nn.BatchNorm1d(width)

    def forward(
        self, points: Float[Tensor, "B N 3"]
    ) -> tuple[Float[Tensor, "B width"], Float[Tensor, "B 64 64"]]:
        x = torch.bmm(points, self.stn(points))  # (B, N, 3)
        x = F.relu(norm_linear(x, self.conv1, self.bn1))  # (B, N, 64)
        transform = self.fstn(x)  # (B, 64, 64)
        x = torch.bmm(x, transform)  # (B, N, 64)
        return max_over_network(x, [(self.conv2, self.bn2), (self.conv3, self.bn3)]), transform


def distance_from_orthogonality(matrices: Float[Tensor, "B C C"]) -> Float[Tensor, ""]:
    """Mean Frobenius norm of A Aᵀ - I."""
    gram = torch.bmm(matrices, matrices.transpose(1, 2))
    distance: Tensor = torch.linalg.matrix_norm(gram - torch.eye(gram.shape[1], device=gram.device))
    return distance.mean()


@register_point_encoder("pointnet")
class PointNet(PointClassifier):
    """The classifier. Training penalises the feature T-Net's distance from orthogonality."""

    LAST_LAYER = "fc3"
    #: Weight of the penalty in the loss (ModelNet40-C's benchmark, main.py: get_loss).
    ORTHOGONALITY = 0.001
    width = 1024

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.feat = Features(self.width)
        self.fc1, self.bn1 = nn.Linear(self.width, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.3)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B classes"], Float[Tensor, ""]]:
        x, transform = self.feat(points)
        return self.logits(x), self.ORTHOGONALITY * distance_from_orthogonality(transform)

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        x = F.relu(self.bn1(self.fc1(features)))  # (B, 512)
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))  # (B, 256)
        logits: Tensor = self.fc3(x)
        return logits

    def embed(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B width"]:
        features: Tensor = self.feat(points)[0]
        return features
