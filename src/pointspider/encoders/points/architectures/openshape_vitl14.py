"""OpenShape's Point-BERT (Liu et al., NeurIPS 2023) in the space of OpenAI's CLIP ViT-L/14.

    points (B, N, 6)   x, y, z, red, green, blue; y up
      ppat.sa           64 patches, farthest-point samples and 256 points within 0.4: 64, 64, 128 channels
                        from relative position, position and colour, max over points
      ppat.lift         the patch's features and centre: a token of 512 channels
      ppat.transformer  12 blocks, 8 heads
      proj              the class token: the embedding (B, 768), in the projected space of the CLIP

Parameters have the names and shapes of OpenShape/openshape-pointbert-vitl14-rgb on the Hugging Face hub,
without the prefix pc_encoder. Weights are only loaded, not trained.
B: clouds, N: points per cloud, G: patches, T: tokens.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.architectures.pointnet2_ssg import SetAbstraction
from pointspider.encoders.points.layers import PointwiseLinear, attend
from pointspider.encoders.points.module import PointEncoderModule
from pointspider.encoders.points.registry import register_point_encoder
from pointspider.encoders.points.sampling import farthest_point_sampling, gather_points

HEADS = 8
PATCHES = 64
RADIUS = 0.4
NEIGHBOURS = 256


class Sizes(NamedTuple):
    """Channels of a token, hidden channels of the feed-forward layers, and transformer blocks."""

    width: int = 512
    hidden: int = 1024
    blocks: int = 12


PUBLISHED = Sizes()


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        out: Tensor = self.to_out(attend(x, self.to_qkv, HEADS))
        return out


class FeedForward(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width)
        )  # the identity: dropout in training

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        out: Tensor = self.net(x)
        return out


class Residual(nn.Module):
    """A module with normalisation before it, added to its input."""

    def __init__(self, width: int, module: nn.Module) -> None:
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), module

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        out: Tensor = x + self.fn(self.norm(x))
        return out


class Transformer(nn.Module):
    """Transformer blocks."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [Residual(width, Attention(width)), Residual(width, FeedForward(width, sizes.hidden))]
            )
            for _ in range(sizes.blocks)
        )

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        for attention, feed_forward in (layer.children() for layer in self.layers):
            x = feed_forward(attention(x))
        return x


class PointPatchTransformer(nn.Module):
    """Embeds clouds as the class token of a transformer over patches."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(sizes.width))
        self.sa = SetAbstraction(3 + 6, 64, 64, 128)
        # The identity: a change of the order of axes
        self.lift = nn.Sequential(
            PointwiseLinear(128 + 3, sizes.width), nn.Identity(), nn.LayerNorm(sizes.width)
        )
        self.transformer = Transformer(sizes)

    def forward(self, points: Float[Tensor, "B N 6"]) -> Float[Tensor, "B C"]:
        positions = points[:, :, :3].contiguous()
        centres = gather_points(positions, farthest_point_sampling(positions, PATCHES))
        patches = self.sa(positions, points, centres, RADIUS, NEIGHBOURS)  # (B, G, 128)
        tokens = self.lift(torch.cat([centres, patches], dim=2))
        x = torch.cat([self.cls_token.expand(len(points), 1, -1), tokens], dim=1)
        out: Tensor = self.transformer(x)[:, 0]
        return out


@register_point_encoder("openshape_vitl14")
class OpenShapeL14(PointEncoderModule):
    """The encoder, without a classifier."""

    width = 768
    channels = 6
    points = 10_000
    minimum_points = PATCHES
    unit_ball = True
    space = "openai/clip-vit-large-patch14"

    def __init__(self, sizes: Sizes = PUBLISHED, width: int | None = None) -> None:
        super().__init__()
        self.width = width or type(self).width
        self.ppat = PointPatchTransformer(sizes)
        # The embedding of ViT-B/32 has as many channels as the transformer and is not projected
        self.proj = nn.Linear(sizes.width, self.width) if self.width != sizes.width else nn.Identity()

    def embed(self, points: Float[Tensor, "B N channels"]) -> Float[Tensor, "B width"]:
        embedding: Tensor = self.proj(self.ppat(points))
        return embedding

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Remove the prefix; the checkpoint for ViT-B/32 also lacks `ppat.`."""
        state = {name.removeprefix("pc_encoder."): tensor for name, tensor in tensors.items()}
        return {
            name if name.startswith(("ppat.", "proj.")) else f"ppat.{name}": tensor
            for name, tensor in state.items()
        }

    @classmethod
    def create_for(cls, state: Mapping[str, Tensor]) -> "OpenShapeL14":
        """Create the encoder with the sizes of the state dict; with the published ones if it has none."""
        layers = "ppat.transformer.layers"
        token, hidden = state.get("ppat.cls_token"), state.get(f"{layers}.0.1.fn.net.0.weight")
        if token is None or hidden is None:
            return cls()
        width = len(token)
        blocks = {name.split(".")[3] for name in state if name.startswith(f"{layers}.")}
        projection = state.get("proj.weight")
        return cls(Sizes(width, len(hidden), len(blocks)), width if projection is None else len(projection))
