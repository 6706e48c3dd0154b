"""OpenShape's Point-BERT (Liu et al., NeurIPS 2023) in the space of OpenAI's CLIP ViT-B/32.

`openshape_vitl14` without its last layer. The checkpoint is OpenShape/openshape-pointbert-vitb32-rgb.
"""

from pointspider.encoders.points.architectures.openshape_vitl14 import OpenShapeL14
from pointspider.encoders.points.registry import register_point_encoder


@register_point_encoder("openshape_vitb32")
class OpenShapeB32(OpenShapeL14):
    """The encoder, without a classifier."""

    width = 512
    space = "openai/clip-vit-base-patch32"
