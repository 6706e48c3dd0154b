"""Point-BERT (Yu et al., CVPR 2022).

    points (B, N, 3)
      64 patches           farthest-point samples and their 32 nearest neighbours, relative positions
      encoder              128, 256, then 512, 256 channels per point, max: a token per patch
      12 blocks            384 channels, 6 heads; the position is added before every block
      class token, max     over the tokens: the embedding (B, 768)
      cls_head_finetune    256, classes

Parameters have the names and shapes of github.com/lulutang0608/Point-BERT (models/Point_BERT.py). Its
training uses stochastic depth, which is not implemented here.
B: clouds, N: points per cloud, G: patches, K: points per patch, T: tokens.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.checkpoints import rename
from pointspider.encoders.points.layers import (
    PointwiseLinear,
    attend,
    max_over_neighbours,
    norm_edges,
    norm_linear,
    weight_of,
)
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import farthest_point_sampling, gather_points, nearest_neighbours

WIDTH = 384
HEADS = 6
NEIGHBOURS = 32


class PatchEncoder(nn.Module):
    """Embeds patches: a small PointNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(
            PointwiseLinear(channels, 128), nn.BatchNorm1d(128), nn.ReLU(), PointwiseLinear(128, 256)
        )
        self.second_conv = nn.Sequential(
            PointwiseLinear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), PointwiseLinear(512, 256)
        )

    def forward(
        self, points: Float[Tensor, "B N channels"], centres: Float[Tensor, "B G 3"]
    ) -> Float[Tensor, "B G 256"]:
        index = nearest_neighbours(points[:, :, :3], centres, NEIGHBOURS)
        linear, norm, _, last = self.first_conv
        offset = -F.linear(centres, weight_of(linear)[:, :3])
        x = last(F.relu_(norm_edges(linear(points), offset, index, norm)))  # (B, G, K, 256)
        overall = max_over_neighbours(x)[:, :, None].expand_as(x)
        linear, norm, _, last = self.second_conv
        x = last(F.relu_(norm_linear(torch.cat([overall, x], dim=3), linear, norm)))
        return max_over_neighbours(x)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        out: Tensor = self.proj(attend(x, self.qkv, HEADS))
        return out


class MLP(nn.Module):
    """Two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """A transformer block with normalisation before each part."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.mlp = nn.LayerNorm(WIDTH), MLP()

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class Blocks(nn.Module):
    """Transformer blocks; the position is added before each."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(depth))

    def forward(self, x: Float[Tensor, "B T C"], position: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        for block in self.blocks:
            x = block(x + position)
        return x


class PointTokens(nn.Module):
    """Computes the embedding of Point-BERT.

    Args:
        depth: number of transformer blocks.
        patches: number of patches.
        channels: of a point, x, y, z first.
        rest: arguments of the next base class.
    """

    def __init__(self, depth: int, patches: int, channels: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.patches = patches
        self.encoder = PatchEncoder(channels)
        self.reduce_dim = nn.Linear(256, WIDTH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.cls_pos = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.pos_embed = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, WIDTH))
        self.blocks = Blocks(depth)
        self.norm = nn.LayerNorm(WIDTH)

    def embed(self, points: Float[Tensor, "B N channels"]) -> Float[Tensor, "B width"]:
        """Return the class token and the maximum of the others, 768 channels."""
        positions = points[:, :, :3]
        centres = gather_points(positions, farthest_point_sampling(positions, self.patches))
        tokens = self.reduce_dim(self.encoder(points, centres))
        x = torch.cat([self.cls_token.expand(len(points), -1, -1), tokens], dim=1)  # (B, 1 + G, 384)
        position = torch.cat([self.cls_pos.expand(len(points), -1, -1), self.pos_embed(centres)], dim=1)
        x = self.norm(self.blocks(x, position))
        return torch.cat([x[:, 0], max_over_neighbours(x[:, 1:])], dim=1)


@register_point_encoder("pointbert")
class PointBert(PointTokens, PointClassifier):
    """The classifier."""

    LAST_LAYER = "cls_head_finetune.3"
    NEEDS_DENSITY = True
    width = 2 * WIDTH
    points = 1024
    minimum_points = 64

    def __init__(self, classes: int) -> None:
        super().__init__(depth=12, patches=64, channels=3, classes=classes)
        self.cls_head_finetune = nn.Sequential(
            nn.Linear(self.width, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, classes)
        )

    def logits(self, features: Float[Tensor, "B width"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.cls_head_finetune(features)
        return logits

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Accept also the names of the mirrors torch-pointcloud/point-bert-base.modelnet40….xumin-yu."""
        return rename(tensors, MIRROR)


def _mirror() -> dict[str, str]:
    table = {"norm": "norm"} | {
        f"encoder.{name}": name for name in ("cls_token", "cls_pos", "reduce_dim", "norm")
    }
    for theirs, ours in [("local_mlp", "first_conv"), ("global_mlp", "second_conv")]:
        table |= {
            f"encoder.encoder.{theirs}.lins.0": f"encoder.{ours}.0",
            f"encoder.encoder.{theirs}.norms.0.module": f"encoder.{ours}.1",
            f"encoder.encoder.{theirs}.lins.1": f"encoder.{ours}.3",
        }
    for number in range(12):
        theirs, ours = f"encoder.blocks.{number}", f"blocks.blocks.{number}"
        for name in ("norm1", "norm2", "attn.qkv", "attn.proj"):
            table[f"{theirs}.{name}"] = f"{ours}.{name}"
        table |= {f"{theirs}.mlp.lins.0": f"{ours}.mlp.fc1", f"{theirs}.mlp.lins.1": f"{ours}.mlp.fc2"}
    table |= {"encoder.pos_embed.lins.0": "pos_embed.0", "encoder.pos_embed.lins.1": "pos_embed.2"}
    return table | {"head.lins.0": "cls_head_finetune.0", "head.lins.1": "cls_head_finetune.3"}


#: Modules and parameters of the mirrors.
MIRROR = _mirror()
