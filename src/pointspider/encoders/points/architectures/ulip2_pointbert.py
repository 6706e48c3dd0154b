"""The point encoder of ULIP-2 (Xue et al., CVPR 2024): a deeper Point-BERT on coloured points.

    points (B, N, 6)    x, y, z, red, green, blue
      point_encoder     Point-BERT with 512 patches and 18 blocks (B, 768)
      pc_projection     the embedding (B, 1280), in the space of OpenCLIP's ViT-bigG-14

Parameters have the names and shapes of github.com/salesforce/ULIP; a checkpoint also contains the CLIP, whose
tensors are skipped. Weights are only loaded, not trained.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pointspider.encoders.points.architectures.pointbert import WIDTH, PointTokens
from pointspider.encoders.points.module import PointEncoderModule
from pointspider.encoders.points.registry import register_point_encoder


@register_point_encoder("ulip2_pointbert")
class Ulip2PointBert(PointEncoderModule):
    """The encoder, without a classifier."""

    width = 1280
    channels = 6
    points = 10_000
    minimum_points = 512
    unit_ball = True
    space = "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"

    def __init__(self) -> None:
        super().__init__()
        self.point_encoder = PointTokens(depth=18, patches=512, channels=self.channels)
        self.pc_projection = nn.Parameter(torch.randn(2 * WIDTH, self.width) / (2 * WIDTH) ** 0.5)

    def embed(self, points: Float[Tensor, "B N channels"]) -> Float[Tensor, "B width"]:
        return self.point_encoder.embed(points) @ self.pc_projection

    @classmethod
    def convert(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Skip the tensors of the CLIP and of the training."""
        return {
            name: tensor
            for name, tensor in tensors.items()
            if name != "logit_scale" and not name.startswith("open_clip_model.")
        }
