"""PointMLP-elite (Ma et al., ICLR 2022): `pointmlp` with fewer channels and narrow residual blocks."""

from pointspider.encoders.points.architectures.pointmlp import PointMLP
from pointspider.encoders.points.registry import register_point_encoder


@register_point_encoder("pointmlp_elite")
class PointMLPElite(PointMLP):
    """The classifier."""

    WIDTHS = (32, 64, 128, 256, 256)
    BLOCKS = (1, 1, 2, 1)
    RATIO = 0.25
    width = 256
