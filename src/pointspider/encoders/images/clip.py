"""Loading a CLIP of open_clip or transformers."""

from pathlib import Path

import numpy as np

from pointspider.core.errors import InputError
from pointspider.core.files import sha256
from pointspider.encoders.images.encoder import ClipEncoder
from pointspider.encoders.images.hub import check_files
from pointspider.training.device import pick_device
from pointspider.training.tensors import read_tensors, verify_tensors

#: Two prompts that every text tower must tell apart.
DIFFERENT_PROMPTS = ("a photo of a cat", "a photo of a dog")
#: CLIP's vocabulary (Radford et al. 2021), by its size, and the token numbers of a text that uses one of its
#: last entries: start, a, photo, of, a, jekyll, diffuser, end.
CLIP_VOCABULARY = 49408
KNOWN_TEXT = "a photo of a jekyll diffuser"
KNOWN_TOKENS = [49406, 320, 1125, 539, 320, 49405, 49400, 49407]


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
