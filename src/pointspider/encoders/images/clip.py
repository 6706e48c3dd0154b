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

from pointspider.core.errors import InputError
from pointspider.training.device import native_precision, pick_device

#: Images that go through the vision tower at once. More are no faster: on a CPU their activations leave the
#: caches, and a GPU is full.
BATCH_SIZE = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True)
class Preprocessing:
    """From square uint8 images to what the vision tower takes."""

    size: int  # S
    mean: tuple[float, float, float]  # of each channel, in [0, 1]
    std: tuple[float, float, float]
    resample: Image.Resampling

    def __call__(self, images: np.ndarray, device: torch.device) -> torch.Tensor:
        """(B, H, H, 3) uint8 to (B, 3, S, S) float32 on `device`, resized where H is not S."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
            raise TypeError(f"CLIP takes images (B, H, H, 3) uint8, not {images.shape} {images.dtype}")
        if images.shape[1] != self.size:
            images = np.stack([self._resize(image) for image in images])
        # Bytes travel to the device, a quarter of the floats
        pixels = torch.tensor(images, device=device).permute(0, 3, 1, 2)  # (B, 3, S, S)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - 255 * mean) / (255 * std)

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
    def encode_images(
        self, images: np.ndarray, batch_size: int | None = None, precision: torch.dtype | None = None
    ) -> dict[str, np.ndarray]:
        """Embed images.

        Args:
            images: (B, H, H, 3) uint8 sRGB.
            batch_size: images that go through the tower at once; None: `BATCH_SIZE`.
            precision: in which the tower multiplies; None: `native_precision`. Weights, norms and the
                projection stay float32.

        Returns:
            {"pooled": (B, W) float32, "projected": (B, D) float32}.
        """
        device = self.projection.device
        size = batch_size or BATCH_SIZE[device.type]
        precision = precision or native_precision(device)
        starts = tqdm(range(0, len(images), size), "CLIP images", unit="batch", disable=None, leave=False)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            batches = [self.vision(self.preprocessing(images[i : i + size], device)) for i in starts]
        pooled = torch.cat(batches).float()
        return {"pooled": pooled.cpu().numpy(), "projected": (pooled @ self.projection).cpu().numpy()}

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> np.ndarray:
        """Embed prompts: (C, D) float32."""
        return self.text(prompts).cpu().numpy()


def load_clip(name: str, backend: str, directory: str | Path, device: str = "auto") -> ClipEncoder:
    """Load a CLIP from a local directory; safetensors are preferred to pickled tensors.

    Args:
        name: what params.yaml calls it; for messages.
        backend: "open_clip" (open_clip_config.json and open_clip_model.safetensors) or "transformers"
            (CLIPModel: config.json, model.safetensors, preprocessor_config.json and the tokenizer's files).
        directory: see `hub.model_directory`.
        device: see `device.pick_device`.

    Raises:
        InputError: the directory does not hold a whole CLIP with a ViT.
    """
    if backend not in BACKENDS:
        raise InputError(f"encoders.images.{name}: backend '{backend}' is not one of {sorted(BACKENDS)}.")
    try:
        return BACKENDS[backend](str(directory), pick_device(device))
    except Exception as error:  # the two libraries raise almost anything
        raise InputError(
            f"encoders.images.{name}: {directory} holds no whole {backend} model ({error}). Give a directory "
            "as the Hugging Face hub has it."
        ) from error


def _load_open_clip(directory: str, device: torch.device) -> ClipEncoder:
    source = f"local-dir:{directory}"
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


def _load_transformers(directory: str, device: torch.device) -> ClipEncoder:
    model, report = CLIPModel.from_pretrained(
        directory, local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    # Missing weights are a warning to transformers and random in the model
    if missing := sorted(report["missing_keys"]):
        raise InputError(f"tensors missing: {', '.join(missing)}")
    model = model.to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    processor = AutoImageProcessor.from_pretrained(directory, local_files_only=True)
    size = model.config.vision_config.image_size
    if processor.do_resize and set(dict(processor.size).values()) != {size}:
        raise InputError(f"it resizes images to {processor.size} and then cuts {size} pixels out.")

    def text(prompts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt").to(device)
        return model.text_projection(model.text_model(**tokens).pooler_output)

    return ClipEncoder(
        # Of CLIPModel's outputs only the towers' own pooler_output is unprojected
        vision=lambda pixels: model.vision_model(pixel_values=pixels).pooler_output,
        projection=model.visual_projection.weight.detach().T,
        text=text,
        preprocessing=Preprocessing(
            size=size,
            mean=tuple(processor.image_mean),
            std=tuple(processor.image_std),
            resample=Image.Resampling(processor.resample),
        ),
    )


BACKENDS: dict[str, Callable[[str, torch.device], ClipEncoder]] = {
    "open_clip": _load_open_clip,
    "transformers": _load_transformers,
}
