"""Loads CLIPs with open_clip."""

import json
from pathlib import Path

import open_clip
import torch
from PIL import Image
from safetensors import safe_open

from pointspider.core.errors import InputError
from pointspider.encoders.images.encoder import ClipEncoder, Preprocessing, vector


def load(directory: str, device: torch.device) -> ClipEncoder:
    """Load a model from a directory; see `pointspider.encoders.images.clip.load_clip`."""
    _check_positions(Path(directory))
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


def _check_positions(directory: Path) -> None:
    """Compare the number of positions with that of the weights, which open_clip would resize silently."""
    weights = directory / "open_clip_model.safetensors"
    if not weights.is_file():
        return
    architecture = json.loads((directory / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    context, size, patch = text.get("context_length", 77), vision.get("image_size"), vision.get("patch_size")
    expected = {
        name: [context, context + 1] for name in ("positional_embedding", "text.positional_embedding")
    }
    if isinstance(size, int) and isinstance(patch, int):
        expected["visual.positional_embedding"] = [(size // patch) ** 2 + 1]
    with safe_open(weights, framework="pt") as file:
        for name in expected.keys() & set(file.keys()):
            stored = file.get_slice(name).get_shape()[0]
            if stored not in expected[name]:  # one more of a text tower with a class token
                raise InputError(
                    f"open_clip_config.json states {expected[name][0]} positions for {name}, but the weights "
                    f"have {stored}"
                )
