"""Loads CLIPs with transformers."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from pointspider.core.errors import InputError
from pointspider.encoders.images.encoder import ClipEncoder, Preprocessing, vector


class Pooled(nn.Module):
    """A vision tower as a function of pixels. The tower's own output is not projected."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B W"]:
        pooled: Tensor = self.tower(pixel_values=pixels).pooler_output
        return pooled


def load(directory: str, device: torch.device) -> ClipEncoder:
    """Load a CLIPModel from a directory; see `pointspider.encoders.images.clip.load_clip`."""
    loaded: Any = CLIPModel.from_pretrained(
        directory, local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    model, report = loaded
    # Missing weights are a warning and random in the model
    if missing := sorted(report["missing_keys"]):
        raise InputError(f"tensors missing: {', '.join(missing)}")
    model = model.to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    context = model.config.text_config.max_position_embeddings

    def tokenize(prompts: Sequence[str]) -> Tensor:
        tokens: Tensor = tokenizer(
            list(prompts), padding=True, max_length=context, truncation=True, return_tensors="pt"
        )["input_ids"]
        return tokens.to(device)

    def text(tokens: Tensor) -> Tensor:
        # Attention is causal and the embedding is taken at the end token, so padding needs no mask
        embeddings: Tensor = model.text_projection(model.text_model(input_ids=tokens).pooler_output)
        return embeddings

    return ClipEncoder(
        vision=Pooled(model.vision_model),
        projection=model.visual_projection.weight.detach().T,
        tokenize=tokenize,
        text=text,
        vocabulary=model.config.text_config.vocab_size,
        preprocessing=read_processor(
            AutoImageProcessor.from_pretrained(directory, local_files_only=True),  # type: ignore[no-untyped-call]  # transformers
            model.config.vision_config.image_size,
        ),
    )


def read_processor(processor: Any, size: int) -> Preprocessing:
    """Return the steps of an image processor for square images.

    Args:
        processor: of transformers, from preprocessor_config.json.
        size: image size of the model in pixels.

    Raises:
        InputError: the processor does something that `Preprocessing` does not.
    """
    if not processor.do_resize or set(filter(None, dict(processor.size).values())) != {size}:
        raise InputError(
            f"preprocessor_config.json: must resize images to {size} pixels, but do_resize is "
            f"{processor.do_resize} and size {processor.size}"
        )
    if processor.do_center_crop and set(filter(None, dict(processor.crop_size).values())) != {size}:
        raise InputError(f"preprocessor_config.json: crop_size is {processor.crop_size}, not {size} pixels")
    if not processor.do_rescale or abs(255 * processor.rescale_factor - 1) > 1e-6:
        raise InputError(
            f"preprocessor_config.json: must rescale by 1/255, but do_rescale is {processor.do_rescale} and "
            f"rescale_factor {processor.rescale_factor}"
        )
    return Preprocessing(
        size=size,
        mean=vector(processor.image_mean) if processor.do_normalize else (0, 0, 0),
        std=vector(processor.image_std) if processor.do_normalize else (1, 1, 1),
        resample=Image.Resampling(processor.resample),
    )
