"""CLIP models behind one interface, whether open_clip or transformers holds them.

Each is a pair of towers that map images and prompts to one space. An image has two embeddings:

    pooled      (B, W)  the class token after the vision tower's last LayerNorm (its patches' mean, where the
                        model's configuration pools so)
    projected   (B, D)  pooled times the projection matrix (W, D); what is compared with prompts (C, D)

Neither is normalised. Architecture, activation, image size, mean and standard deviation come from the model's
own configuration.

B is images, C prompts, S the image size that the model takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from tqdm import tqdm
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from pointspider.errors import InputError


@dataclass(frozen=True)
class Preprocessing:
    """From a square uint8 image to what the vision tower takes."""

    size: int  # S
    mean: tuple[float, float, float]  # of each channel, in [0, 1]
    std: tuple[float, float, float]
    resample: Image.Resampling

    def __call__(self, images: np.ndarray) -> torch.Tensor:
        """(B, H, H, 3) uint8 to (B, 3, S, S) float32, resized where H is not S."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
            raise TypeError(f"CLIP takes images (B, H, H, 3) uint8, not {images.shape} {images.dtype}")
        if images.shape[1] != self.size:
            images = np.stack([self._resize(image) for image in images])
        pixels = torch.tensor(images).permute(0, 3, 1, 2) / 255
        mean, std = torch.tensor(self.mean).view(3, 1, 1), torch.tensor(self.std).view(3, 1, 1)
        return (pixels - mean) / std

    def _resize(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((self.size, self.size), self.resample))


@dataclass(frozen=True)
class ClipEncoder:
    """A frozen CLIP; get one from `load_clip`."""

    vision: Callable[[torch.Tensor], torch.Tensor]  # pixels (B, 3, S, S) to pooled (B, W)
    projection: torch.Tensor  # (W, D)
    text: Callable[[Sequence[str]], torch.Tensor]  # prompts to (C, D)
    preprocessing: Preprocessing

    @property
    def image_size(self) -> int:
        """Width and height in pixels of the images that need no resizing."""
        return self.preprocessing.size

    @torch.inference_mode()
    def encode_images(self, images: np.ndarray, batch_size: int = 64) -> dict[str, np.ndarray]:
        """Embed images.

        Args:
            images: (B, H, H, 3) uint8 sRGB.
            batch_size: images that go through the tower at once.

        Returns:
            {"pooled": (B, W) float32, "projected": (B, D) float32}.
        """
        starts = range(0, len(images), batch_size)
        pooled = torch.cat(
            [
                self.vision(self.preprocessing(images[i : i + batch_size]).to(self.projection.device))
                for i in tqdm(starts, desc="CLIP images", unit="batch", disable=None, leave=False)
            ]
        )
        return {"pooled": pooled.cpu().numpy(), "projected": (pooled @ self.projection).cpu().numpy()}

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> np.ndarray:
        """Embed prompts: (C, D) float32."""
        return self.text(prompts).cpu().numpy()


def load_clip(name: str, backend: str, weights: str | Path, device: str = "auto") -> ClipEncoder:
    """Load a CLIP from a local directory, or from the Hugging Face hub (cached; HF_HUB_OFFLINE is honoured).

    Args:
        name: what params.yaml calls it; for messages.
        backend: "open_clip" (open_clip_config.json and open_clip_model.safetensors) or "transformers"
            (CLIPModel: config.json, model.safetensors, preprocessor_config.json and the tokenizer's files).
        weights: a local directory, or a name on the hub, e.g. "openai/clip-vit-base-patch32".
        device: a PyTorch device, or "auto": CUDA where there is one.

    Raises:
        InputError: nothing is there, the hub cannot be reached, or it is not a whole CLIP with a ViT.
    """
    if backend not in BACKENDS:
        raise InputError(f"encoders.images.{name}: backend '{backend}' is not one of {sorted(BACKENDS)}.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return BACKENDS[backend](str(weights), torch.device(device))
    except Exception as error:  # the two libraries raise almost anything
        local = Path(weights).is_dir()
        problem = "the directory is broken" if local else "no such directory, nor did the hub give one"
        raise InputError(
            f"encoders.images.{name}: no {backend} model could be loaded from '{weights}': {problem} "
            f"({error}). Give a local directory that holds the whole model, or a Hugging Face hub name and a "
            "network to fetch it."
        ) from error


def _load_open_clip(weights: str, device: torch.device) -> ClipEncoder:
    source = f"local-dir:{weights}" if Path(weights).is_dir() else f"hf-hub:{weights}"
    # Without require_pretrained, missing weights are a warning and the model is random
    model = open_clip.create_model(source, device=device, require_pretrained=True).eval()
    tokenizer = open_clip.get_tokenizer(source)
    if not isinstance(model.visual, open_clip.transformer.VisionTransformer):
        raise InputError(f"its vision tower is a {type(model.visual).__name__}, not a ViT.")
    # A ViT without `proj` returns its pooled feature
    projection, model.visual.proj = model.visual.proj.detach(), None
    configuration = model.visual.preprocess_cfg
    return ClipEncoder(
        vision=model.visual,
        projection=projection,
        text=lambda prompts: model.encode_text(tokenizer(list(prompts)).to(device)),
        preprocessing=Preprocessing(
            size=model.visual.image_size[0],
            mean=tuple(configuration["mean"]),
            std=tuple(configuration["std"]),
            resample=Image.Resampling[configuration["interpolation"].upper()],
        ),
    )


def _load_transformers(weights: str, device: torch.device) -> ClipEncoder:
    model, report = CLIPModel.from_pretrained(weights, output_loading_info=True)
    # Missing weights are a warning to transformers and random in the model
    if missing := sorted(report["missing_keys"]):
        raise InputError(f"tensors missing: {', '.join(missing)}")
    model = model.to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights)
    processor = AutoImageProcessor.from_pretrained(weights)

    def text(prompts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt").to(device)
        return model.text_projection(model.text_model(**tokens).pooler_output)

    return ClipEncoder(
        # Of CLIPModel's outputs only the towers' own pooler_output is unprojected
        vision=lambda pixels: model.vision_model(pixel_values=pixels).pooler_output,
        projection=model.visual_projection.weight.detach().T,
        text=text,
        preprocessing=Preprocessing(
            size=model.config.vision_config.image_size,
            mean=tuple(processor.image_mean),
            std=tuple(processor.image_std),
            resample=Image.Resampling(processor.resample),
        ),
    )


BACKENDS: dict[str, Callable[[str, torch.device], ClipEncoder]] = {
    "open_clip": _load_open_clip,
    "transformers": _load_transformers,
}
