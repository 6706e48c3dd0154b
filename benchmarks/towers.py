"""The vision towers of the paper's four CLIPs with random weights: times do not depend on values."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pointspider.encoders.images.encoder import ClipEncoder

#: Width, MLP width, layers, heads, patch and projection: CLIP's and OpenCLIP's published configurations. Two
#: of the four CLIPs are a ViT-L/14.
TOWERS = {
    "ViT-B/32": (768, 3072, 12, 12, 32, 512),
    "ViT-L/14": (1024, 4096, 24, 16, 14, 768),
    "ViT-H/14": (1280, 5120, 32, 16, 14, 1024),
}
SIZE = 224


def tower(name: str, device: str = "cpu") -> "ClipEncoder":
    """A CLIP without a text tower."""
    import torch
    from PIL import Image
    from transformers import CLIPVisionConfig, CLIPVisionModel

    from pointspider.encoders.images.encoder import ClipEncoder, Preprocessing
    from pointspider.encoders.images.transformers import Pooled

    width, mlp, layers, heads, patch, projection = TOWERS[name]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=SIZE,
        patch_size=patch,
    )
    torch.manual_seed(0)
    model = CLIPVisionModel(config).to(device).eval()

    def no_text(_: object) -> torch.Tensor:
        raise NotImplementedError

    return ClipEncoder(
        vision=Pooled(model),
        projection=torch.randn(width, projection, device=device) / width**0.5,
        tokenize=no_text,
        text=no_text,
        vocabulary=0,
        preprocessing=Preprocessing(
            SIZE, (0.481, 0.458, 0.408), (0.269, 0.261, 0.276), Image.Resampling.BICUBIC
        ),
    )


def operations(name: str) -> float:
    """Operations of the products for one image: two per weight and token, and attention."""
    width, mlp, layers, _, patch, _ = TOWERS[name]
    tokens = (SIZE // patch) ** 2 + 1
    return layers * (2 * tokens * (4 * width**2 + 2 * width * mlp) + 4 * tokens**2 * width)


def pictures(count: int) -> np.ndarray:
    """Random images (count, SIZE, SIZE, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
