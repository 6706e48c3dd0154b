"""Loads CLIPs with open_clip."""

import open_clip
import torch
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.encoders.images.encoder import ClipEncoder, Preprocessing, vector


def load(directory: str, device: torch.device) -> ClipEncoder:
    """Load a model from a directory; see `pointspider.encoders.images.clip.load_clip`."""
    source = f"local-dir:{directory}"
    # Without require_pretrained, missing weights are a warning and the model is random
    model = open_clip.create_model(source, device=device, require_pretrained=True).eval()
    tokenizer = open_clip.get_tokenizer(source)
    if not isinstance(model.visual, open_clip.transformer.VisionTransformer):
        raise InputError(f"its vision tower is a {type(model.visual).__name__}, not a ViT")
    # A ViT without `proj` returns its pooled embedding
    projection, model.visual.proj = model.visual.proj.detach(), None
    configuration = model.visual.preprocess_cfg
    filters = {filter.name.lower(): filter for filter in Image.Resampling}
    if configuration["interpolation"] not in filters:
        raise InputError(f"preprocess_cfg.interpolation: '{configuration['interpolation']}' is not supported")
    return ClipEncoder(
        vision=model.visual,
        projection=projection,
        tokenize=lambda prompts: tokenizer(list(prompts)).to(device),
        text=model.encode_text,
        vocabulary=model.vocab_size,
        preprocessing=Preprocessing(
            size=model.visual.image_size[0],
            mean=vector(configuration["mean"]),
            std=vector(configuration["std"]),
            resample=filters[configuration["interpolation"]],
        ),
    )
