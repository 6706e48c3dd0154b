"""A CLIP behind one interface: images and prompts to embeddings.

A CLIP is a pair of towers that map images and prompts to one space. An image has two embeddings:

    pooled      (B, W)  the class token after the vision tower's last LayerNorm (or the mean of the patches,
                        if the model's configuration pools so)
    projected   (B, D)  pooled times the projection matrix (W, D); compared with prompts (C, D)

Neither is normalised. Architecture, activation, image size, mean and standard deviation come from the model's
configuration. B: images, C: prompts, S: image size of the model in pixels.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.vectors import directions
from pointspider.training.device import pick_precision, require_instructions

#: Images per batch. Larger batches are not faster: on a CPU their activations exceed the caches, and a GPU is
#: busy.
BATCH_SIZE = {"cpu": 16, "cuda": 256}
#: Least cosine to float32 of embeddings in another precision.
AGREEMENT = 0.999


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
        vision: a module from pixels (B, 3, S, S) to pooled embeddings (B, W), in eval mode.
        projection: (W, D).
        tokenize: prompts to token numbers (C, T), padded.
        text: token numbers (C, T) to embeddings (C, D).
        vocabulary: number of tokens of the text tower.
        preprocessing: of images.
    """

    vision: nn.Module
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
            precision: of the tower's products. fp32, bf16, auto: see
                `pointspider.training.device.pick_precision`; weights, norms and the projection stay float32.
                int8, on a CPU: linear layers have weights of 8 bits, a scale per output, and round each batch
                of inputs to 8 bits; attention of open_clip's towers stays float32. See `agreement`.

        Returns:
            {"pooled": (B, W), "projected": (B, D)}.

        Raises:
            InputError: the precision does not exist, or the CPU lacks its instructions, or it is int8 on a
                GPU.
        """
        device = self.projection.device
        size = batch_size or BATCH_SIZE[device.type]
        if device.type == "cpu" and precision in ("bf16", "int8"):
            require_instructions(precision)
        elif precision == "int8":
            raise InputError("precision: 'int8' is for CPUs; choose bf16.")
        vision = self._int8 if precision == "int8" else self.vision
        dtype = pick_precision("fp32" if precision == "int8" else precision, device)
        starts = tqdm(range(0, len(images), size), "CLIP images", unit="batch", disable=None, leave=False)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            batches = [vision(self.preprocessing(images[i : i + size], device)) for i in starts]
        pooled = torch.cat(batches).float()
        return {"pooled": pooled.cpu().numpy(), "projected": (pooled @ self.projection).cpu().numpy()}

    @cached_property
    def _int8(self) -> nn.Module:
        """`vision` with quantised linear layers."""
        layers = {nn.Linear: per_channel_dynamic_qconfig}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch 2.15 deprecates it; torchao is another package
            quantised: nn.Module = quantize_dynamic(self.vision, layers)  # type: ignore[no-untyped-call]  # torch.ao
        return quantised

    def agreement(self, images: UInt8[np.ndarray, "B H H 3"], precision: str) -> float:
        """The smallest cosine, over images and both embeddings, between those in `precision` and in float32.

        Raises:
            InputError: it is below `AGREEMENT`.
        """
        exact, rough = (self.encode_images(images, precision=each) for each in ("fp32", precision))
        pairs = [(directions(exact[layer]), directions(rough[layer])) for layer in exact]
        cosine = min(float((one * other).sum(axis=1).min()) for one, other in pairs)
        if cosine < AGREEMENT:
            raise InputError(
                f"precision: '{precision}' changes the embeddings of this CLIP: the smallest cosine to fp32 "
                f"is {cosine:.4f}, less than {AGREEMENT}; choose fp32."
            )
        return cosine

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> Float32[np.ndarray, "C D"]:
        """Embed prompts; longer ones than the text tower's context are cut."""
        embeddings: np.ndarray = self.text(self.tokenize(prompts)).cpu().numpy()
        return embeddings


def vector(values: Sequence[float]) -> tuple[float, float, float]:
    """The three channels of a mean or standard deviation."""
    red, green, blue = map(float, values)
    return red, green, blue
