"""A tiny CLIP, trained from scratch on renders: what the embedded preset has in place of published weights.

It is an open_clip model in all but size (configuration, tokenizer, loss, file layout), so that
`clip.load_clip` loads it as it loads a real one.

B is images in a batch, S their width and height in pixels.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.training.reproducible import reproducible

#: Tokens of a prompt with its start and end; "a model of night stand" takes 7.
CONTEXT_LENGTH = 16
#: Channels of an attention head, in both towers; widths are multiples of it.
HEAD_WIDTH = 32
#: As CLIP was trained (Radford et al. 2021, hyperparameter tables): AdamW's coefficients for ViTs, and the
#: highest factor on the cosines.
BETAS = (0.9, 0.98)
MAX_SCALE = 100
#: Share of the steps in which the learning rate rises.
WARMUP = 0.1
#: Augmentation: zoom around the centre, uniform, and shift along each axis, uniform, as a share of S.
ZOOM = (0.85, 1.15)
SHIFT = 0.06


@dataclass(frozen=True)
class ClipSettings:
    """Architecture and training of a tiny CLIP: an entry of `encoders.images` with `weights: train`.

    With the embedded preset's values and 960 renders of 64 pixels, 16 epochs took 42 s of one CPU core with
    patch 8 and 17 s with patch 16, and named 95 % and 98 % of 320 clean renders of unseen objects among 40
    classes.
    """

    patch: int  # pixels; the image's width is a multiple of it
    width: int  # of the vision tower
    layers: int  # of the vision tower
    text_width: int
    text_layers: int
    projection: int  # width of the common space
    epochs: int
    learning_rate: float  # AdamW, its peak
    weight_decay: float


def architecture(image_size: int, settings: ClipSettings) -> dict:
    """The arguments of open_clip's CLIP, `model_cfg` of open_clip_config.json."""
    return {
        "embed_dim": settings.projection,
        "vision_cfg": {
            "image_size": image_size,
            "layers": settings.layers,
            "width": settings.width,
            "head_width": HEAD_WIDTH,
            "patch_size": settings.patch,
            # Untrained, a class token sees all images alike, and training may never leave that plateau
            "pool_type": "avg",
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": 49408,  # open_clip's own tokenizer
            "width": settings.text_width,
            "heads": settings.text_width // HEAD_WIDTH,
            "layers": settings.text_layers,
        },
    }


def preprocessing(images: np.ndarray) -> dict:
    """How a model of images (M, S, S, 3) uint8 sees them, `preprocess_cfg` of open_clip_config.json.

    Their own mean and standard deviation take the place of those of natural images: renders are mostly
    white, and would look all alike to an untrained tower.
    """
    return {
        "mean": (images.mean(axis=(0, 1, 2)) / 255).tolist(),
        "std": (images.std(axis=(0, 1, 2)) / 255).tolist(),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Zoom and shift each image of (B, S, S, 3), by picking pixels; the border's colour fills what opens."""
    count, size = images.shape[:2]
    zoom = torch.empty(count, 1).uniform_(*ZOOM, generator=generator)
    shift = torch.empty(2, count, 1).uniform_(-SHIFT * size, SHIFT * size, generator=generator)
    centred = torch.arange(size) - (size - 1) / 2  # (S,)
    rows, columns = (centred * zoom + shift + (size - 1) / 2).round().long().clamp(0, size - 1)  # (B, S)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def batches(labels: torch.Tensor, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """One epoch of image numbers (B,), each image once, each batch with at most one image of a class.

    With two of a class, the loss would push one of them away from a prompt that describes it: a false
    negative. So the batch is as large as the number of classes.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    counts = torch.bincount(labels)
    turn = torch.cat([torch.arange(count) for count in counts.tolist()])  # which of its class each is
    for number in range(int(counts.max())):
        yield shuffled[turn == number]


def tokenize(prompts: Sequence[str]) -> torch.Tensor:
    """Prompts (C,) to tokens (C, CONTEXT_LENGTH).

    Raises:
        InputError: a prompt is too long, and would be cut.
    """
    tokens = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH + 1)(list(prompts))
    for prompt, last in zip(prompts, tokens[:, -1].tolist(), strict=True):
        if last:
            raise InputError(
                f"zero_shot.prompt: '{prompt}' has more than the {CONTEXT_LENGTH} tokens of a tiny CLIP."
            )
    return tokens[:, :-1]


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warmup, then half a cosine to zero."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; gains, biases and the temperature do not, as in CLIP."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def train_clip(
    images: np.ndarray,
    labels: np.ndarray,
    prompts: Sequence[str],
    settings: ClipSettings,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, metrics: None,
) -> tuple[open_clip.CLIP, list[dict[str, float]]]:
    """Train on the CPU.

    Args:
        images: (M, S, S, 3) uint8 sRGB.
        labels: (M,) integers, numbers of prompts.
        prompts: (C,) one per class.
        settings: see `ClipSettings`.
        seed: of initial weights, batches and augmentation.
        on_epoch: called after every epoch with its number and {"loss", "accuracy"}, the means over its
            batches; accuracy is top-1 among the batch's prompts.

    Returns:
        The model in eval mode, and the epochs' metrics.

    Raises:
        InputError: a prompt is too long, or the patch does not divide the image.
    """
    size = images.shape[1]
    if size % settings.patch:
        raise InputError(
            f"render.resolution: {size} is not a multiple of the tiny CLIP's patch {settings.patch}."
        )
    preprocess = preprocessing(images)
    tokens = tokenize(prompts)
    images, labels = torch.tensor(images), torch.tensor(labels, dtype=torch.long)
    mean, std = (torch.tensor(preprocess[key]).view(3, 1, 1) for key in ("mean", "std"))
    loss_function = open_clip.ClipLoss()
    history = []
    with reproducible(seed, f"tiny-clip-patch{settings.patch}") as generator:
        model = open_clip.CLIP(**architecture(size, settings))
        model.visual.preprocess_cfg = preprocess  # where open_clip keeps it
        # Random embeddings tell a few prompts' tokens apart; their table is larger than all the rest
        model.token_embedding.requires_grad_(False)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings.weight_decay), lr=settings.learning_rate, betas=BETAS, fused=True
        )
        steps = settings.epochs * int(torch.bincount(labels).max())
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, steps)
        )
        description = f"CLIP with patch {settings.patch}"
        for epoch in tqdm(range(settings.epochs), desc=description, unit="epoch", disable=None):
            losses, hits = [], []
            for rows in batches(labels, generator):
                pixels = augment(images[rows], generator).permute(0, 3, 1, 2) / 255  # (B, 3, S, S)
                image_features, text_features, scale = model((pixels - mean) / std, tokens[labels[rows]])
                loss = loss_function(image_features, text_features, scale)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                with torch.no_grad():
                    model.logit_scale.clamp_(max=np.log(MAX_SCALE))
                losses.append(loss.item())
                best = (image_features @ text_features.T).argmax(dim=1)
                hits.append((best == torch.arange(len(rows))).float().mean().item())
            metrics = {"loss": float(np.mean(losses)), "accuracy": float(np.mean(hits))}
            history.append(metrics)
            on_epoch(epoch, metrics)
    return model.eval(), history


def save_clip(directory: str | Path, model: open_clip.CLIP, settings: ClipSettings) -> None:
    """Write a model as the Hugging Face hub holds open_clip's; equal weights give equal bytes.

    Args:
        directory: written whole or not at all; one that is there is replaced.
        model: as `train_clip` returns it.
        settings: those that it was trained with.
    """
    config = {
        "model_cfg": architecture(model.visual.image_size[0], settings),
        "preprocess_cfg": model.visual.preprocess_cfg,
    }
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as temporary:
        whole = Path(temporary) / directory.name
        whole.mkdir()
        (whole / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(model.state_dict(), whole / "open_clip_model.safetensors")
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(whole, directory)
