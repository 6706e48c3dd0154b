"""PointNeXt-S with 64 channels in the stem (Qian et al., NeurIPS 2022): `pointnext_s`, twice as wide."""

from pointspider.encoders.points.architectures.pointnext_s import PointNeXt
from pointspider.encoders.points.registry import register_point_encoder


@register_point_encoder("pointnext_s_c64")
class PointNeXtC64(PointNeXt):
    """The classifier."""

    STEM = 64
    width = 1024
