"""CLIP models of open_clip and transformers behind one interface.

A CLIP is a pair of towers that map images and prompts to one space. An image has two embeddings:

    pooled      (B, W)  the class token after the vision tower's last LayerNorm (or the mean of the patches,
                        if the model's configuration pools so)
    projected   (B, D)  pooled times the projection matrix (W, D); compared with prompts (C, D)

Neither is normalised. Architecture, activation, image size, mean and standard deviation come from the model's
configuration. B: images, C: prompts, S: image size of the model in pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.files import sha256
from pointspider.encoders.images.hub import check_files
from pointspider.training.device import pick_device, pick_precision
from pointspider.training.tensors import read_tensors, verify_tensors

#: Images per batch. Larger batches are not faster: on a CPU their activations exceed the caches, and a GPU is
#: busy.
BATCH_SIZE = {"cpu": 16, "cuda": 256}
#: Two prompts that every text tower must tell apart.
DIFFERENT_PROMPTS = ("a photo of a cat", "a photo of a dog")
#: CLIP's vocabulary (Radford et al. 2021), by its size, and the token numbers of a text that uses one of its
#: last entries: start, a, photo, of, a, jekyll, diffuser, end.
CLIP_VOCABULARY = 49408
KNOWN_TEXT = "a photo of a jekyll diffuser"
KNOWN_TOKENS = [49406, 320, 1125, 539, 320, 49405, 49400, 49407]


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
    """A frozen CLIP, see `load_clip`.

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


def load_clip(name: str, backend: str, directory: str | Path, device: str = "auto") -> ClipEncoder:
    """Load a CLIP from a local directory; safetensors are preferred to pickled tensors.

    Args:
        name: its key in `encoders.images` of params.yaml, for messages.
        backend: "open_clip" (open_clip_config.json, open_clip_model.safetensors) or "transformers"
            (CLIPModel: config.json, model.safetensors, preprocessor_config.json; tokenizer.json, or
            vocab.json and merges.txt).
        directory: see `pointspider.encoders.images.hub.model_directory`.
        device: see `pointspider.training.device.pick_device`.

    Raises:
        InputError: a file of the model, its tokenizer or its image processor is missing or damaged; the
            vision tower is not a ViT; the processor does something else than resize and normalise; the
            tokenizer or the text tower does not tell prompts apart.
    """
    if backend not in ("open_clip", "transformers"):
        raise InputError(
            f"encoders.images.{name}: backend '{backend}' does not exist; choose open_clip or transformers."
        )
    _check_seal(Path(directory))
    if problem := check_files(Path(directory), backend):
        raise InputError(f"encoders.images.{name}: {directory}: {problem}. {_ADVICE}")
    try:
        if backend == "open_clip":
            from pointspider.encoders.images.open_clip import load
        else:
            from pointspider.encoders.images.transformers import load
        encoder = load(str(directory), pick_device(device))
        _check_text(encoder)
    except Exception as error:  # the two libraries raise almost anything
        raise InputError(
            f"encoders.images.{name}: {directory} is not a complete {backend} model ({error}). {_ADVICE}"
        ) from error
    return encoder


_ADVICE = "Give a directory with all files of the model on the Hugging Face hub."


def _check_seal(directory: Path) -> None:
    """Refuse a damaged model of `tiny_clip.save_clip`. Its weights have the checksum of its configuration."""
    weights = directory / "open_clip_model.safetensors"
    if not weights.is_file() or not verify_tensors(weights):
        return
    for name, checksum in read_tensors(weights)[1].items():
        if not (directory / name).is_file() or sha256(directory / name) != checksum:
            raise InputError(
                f"{directory / name}: missing or damaged, it does not match its checksum. Delete {directory} "
                "and run again."
            )


def _check_text(encoder: ClipEncoder) -> None:
    """Refuse a tokenizer or text tower that does not tell prompts apart."""
    first, second = encoder.encode_prompts(DIFFERENT_PROMPTS)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("the embeddings of prompts are not finite: the weights are damaged")
    if np.allclose(first, second):
        raise InputError(
            f"'{DIFFERENT_PROMPTS[0]}' and '{DIFFERENT_PROMPTS[1]}' have the same embedding: the tokenizer's "
            "files are missing or damaged"
        )
    if encoder.vocabulary == CLIP_VOCABULARY:
        tokens = encoder.tokenize([KNOWN_TEXT])[0].tolist()
        if tokens[: len(KNOWN_TOKENS)] != KNOWN_TOKENS:
            raise InputError(
                f"the tokenizer's files are damaged: '{KNOWN_TEXT}' has the tokens "
                f"{tokens[: len(KNOWN_TOKENS)]}, not CLIP's {KNOWN_TOKENS}"
            )


def vector(values: Sequence[float]) -> tuple[float, float, float]:
    """The three channels of a mean or standard deviation."""
    red, green, blue = map(float, values)
    return red, green, blue
