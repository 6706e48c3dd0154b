"""A CLIP behind one interface: images and prompts to embeddings.

A CLIP is a pair of towers that map images and prompts to one space. An image has two embeddings:

    pooled      (B, W)  the class token after the vision tower's last LayerNorm (or the mean of the patches,
                        if the model's configuration pools so)
    projected   (B, D)  pooled times the projection matrix (W, D); compared with prompts (C, D)

Neither is normalised. Architecture, activation, image size, mean and standard deviation come from the model's
configuration. B: images, C: prompts, S: image size of the model in pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from pointspider.training.device import pick_precision

#: Images per batch. Larger batches are not faster: on a CPU their activations exceed the caches, and a GPU is
#: busy.
BATCH_SIZE = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True)
class Preprocessing:
    """Resizes and normalises square images for the vision tower.

    Attributes:
        size: S.
        mean, std: of each channel, in [0, 1].
        resample: filter to resize with.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Image.Resampling

    def __call__(
        self, images: UInt8[np.ndarray, "B H H 3"], device: torch.device
    ) -> Float32[Tensor, "B 3 S S"]:
        """Return pixels on `device`; images of another size are resized."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
            raise TypeError(f"CLIP takes images (B, H, H, 3) uint8, not {images.shape} {images.dtype}")
        if images.shape[1] != self.size:
            images = np.stack([self._resize(image) for image in images])
        # Bytes are copied to the device, a quarter of the size of floats
        pixels = torch.tensor(images, device=device).permute(0, 3, 1, 2)  # (B, 3, S, S)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - 255 * mean) / (255 * std)

    def _resize(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((self.size, self.size), self.resample))


@dataclass(frozen=True)
class ClipEncoder:
    """A frozen CLIP, see `pointspider.encoders.images.clip.load_clip`.

    Attributes:
        vision: pixels (B, 3, S, S) to pooled embeddings (B, W).
        projection: (W, D).
        tokenize: prompts to token numbers (C, T), padded.
        text: token numbers (C, T) to embeddings (C, D).
        vocabulary: number of tokens of the text tower.
        preprocessing: of images.
    """

    vision: Callable[[Tensor], Tensor]
    projection: Tensor
    tokenize: Callable[[Sequence[str]], Tensor]
    text: Callable[[Tensor], Tensor]
    vocabulary: int
    preprocessing: Preprocessing

    @property
    def image_size(self) -> int:
        """Width and height in pixels of images that are not resized."""
        return self.preprocessing.size

    @torch.inference_mode()
    def encode_images(
        self, images: UInt8[np.ndarray, "B H H 3"], batch_size: int | None = None, precision: str = "auto"
    ) -> dict[str, Float32[np.ndarray, "B _"]]:
        """Embed sRGB images.

        Args:
            images: square.
            batch_size: images per batch; None: `BATCH_SIZE`.
            precision: of the tower's products, see `pointspider.training.device.pick_precision`. Weights,
                norms and the projection stay float32.

        Returns:
            {"pooled": (B, W), "projected": (B, D)}.
        """
        device = self.projection.device
        size = batch_size or BATCH_SIZE[device.type]
        dtype = pick_precision(precision, device)
        starts = tqdm(range(0, len(images), size), "CLIP images", unit="batch", disable=None, leave=False)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            batches = [self.vision(self.preprocessing(images[i : i + size], device)) for i in starts]
        pooled = torch.cat(batches).float()
        return {"pooled": pooled.cpu().numpy(), "projected": (pooled @ self.projection).cpu().numpy()}

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> Float32[np.ndarray, "C D"]:
        """Embed prompts; longer ones than the text tower's context are cut."""
        embeddings: np.ndarray = self.text(self.tokenize(prompts)).cpu().numpy()
        return embeddings


def vector(values: Sequence[float]) -> tuple[float, float, float]:
    """The three channels of a mean or standard deviation."""
    red, green, blue = map(float, values)
    return red, green, blue
