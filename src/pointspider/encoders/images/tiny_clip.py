"""A tiny CLIP trained from scratch on renders: the embedded preset uses it instead of published weights.

It is an open_clip model in all but size (configuration, tokenizer, loss, files), so `load_clip` loads it like
a published one. B: images in a batch, S: their width and height in pixels.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from jaxtyping import Float, Int64, Integer, UInt8
from torch import Tensor, nn

from pointspider.core.errors import InputError
from pointspider.core.files import sha256, write_json
from pointspider.encoders.images.settings import HEAD_WIDTH, TinyClipSettings
from pointspider.training.checkpoint import Checkpoint, fingerprint
from pointspider.training.loop import Metrics, OnEpoch, reproducible, run_epochs
from pointspider.training.tensors import write_tensors

#: Tokens of a prompt with its start and end; "a model of night stand" has 7.
CONTEXT_LENGTH = 16
#: From the training of CLIP (Radford et al. 2021, hyperparameter tables): AdamW's coefficients for ViTs, and
#: the largest factor on the cosines.
BETAS = (0.9, 0.98)
MAX_SCALE = 100
#: Share of the steps in which the learning rate rises.
WARMUP = 0.1
#: Augmentation: zoom around the centre, uniform, and shift along each axis, uniform, as a share of S.
ZOOM = (0.85, 1.15)
SHIFT = 0.06


def architecture(image_size: int, settings: TinyClipSettings) -> dict[str, Any]:
    """Return the arguments of open_clip's CLIP, `model_cfg` of open_clip_config.json."""
    return {
        "embed_dim": settings.projection,
        "vision_cfg": {
            "image_size": image_size,
            "layers": settings.layers,
            "width": settings.width,
            "head_width": HEAD_WIDTH,
            "patch_size": settings.patch,
            # An untrained class token is alike for all images, and training may not leave that plateau
            "pool_type": "avg",
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": 49408,  # of open_clip's tokenizer
            "width": settings.text_width,
            "heads": settings.text_width // HEAD_WIDTH,
            "layers": settings.text_layers,
        },
    }


def preprocessing(images: UInt8[np.ndarray, "M S S 3"]) -> dict[str, Any]:
    """Return `preprocess_cfg` of open_clip_config.json for a model trained on `images`.

    Mean and standard deviation are those of the images, not of natural ones: renders are mostly white, and
    would look all alike to an untrained tower.
    """
    return {
        "mean": (images.mean(axis=(0, 1, 2)) / 255).tolist(),
        "std": (images.std(axis=(0, 1, 2)) / 255).tolist(),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }


def augment(images: UInt8[Tensor, "B S S 3"], generator: torch.Generator) -> UInt8[Tensor, "B S S 3"]:
    """Zoom and shift each image by nearest-neighbour sampling; the border's colour fills gaps."""
    count, size = images.shape[:2]
    zoom = torch.empty(count, 1).uniform_(*ZOOM, generator=generator)
    shift = torch.empty(2, count, 1).uniform_(-SHIFT * size, SHIFT * size, generator=generator)
    centred = torch.arange(size) - (size - 1) / 2  # (S,)
    rows, columns = (centred * zoom + shift + (size - 1) / 2).round().long().clamp(0, size - 1)  # (B, S)
    chosen = zip(images, rows, columns, strict=True)  # one index for all images takes three times as long
    return torch.stack([image.index_select(0, row).index_select(1, column) for image, row, column in chosen])


def batches(labels: Int64[Tensor, " M"], generator: torch.Generator) -> Iterator[Int64[Tensor, " B"]]:
    """Yield the image numbers of one epoch, each once; a batch has at most one image of a class.

    With two images of a class, the loss would push one of them away from a prompt that describes it (a false
    negative). So the batch size is the number of classes.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    counts = torch.bincount(labels)
    turn = torch.cat([torch.arange(count) for count in counts.tolist()])  # position within the class
    for number in range(int(counts.max())):
        yield shuffled[turn == number]


def tokenize(prompts: Sequence[str]) -> Int64[Tensor, "C context"]:
    """Return the token numbers of prompts.

    Raises:
        InputError: a prompt is longer than the context.
    """
    tokens = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH + 1)(list(prompts))
    for prompt, last in zip(prompts, tokens[:, -1].tolist(), strict=True):
        if last:
            raise InputError(
                f"zero_shot.prompt: '{prompt}' has more than the {CONTEXT_LENGTH} tokens of a tiny CLIP; "
                "shorten it."
            )
    return torch.as_tensor(tokens[:, :-1])


def call_with_short_texts(
    model: open_clip.CLIP, images: Float[Tensor, "B 3 S S"], tokens: Int64[Tensor, "B length"]
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"], Float[Tensor, ""]]:
    """Return `model(images, tokens)` for prompts without the padding that all of them end with.

    The text tower is causal and its feature is that of the end token, so padding only costs time; but
    open_clip takes texts of the context's length only.
    """
    length = tokens.shape[1]
    parts = {
        "positional_embedding": model.positional_embedding[:length],
        "attn_mask": model.attn_mask[:length, :length],
    }
    features: tuple[Tensor, Tensor, Tensor] = torch.func.functional_call(model, parts, (images, tokens))
    return features


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for gains, biases and the temperature, as in CLIP."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def train_clip(
    images: UInt8[np.ndarray, "M S S 3"],
    labels: Integer[np.ndarray, " M"],
    prompts: Sequence[str],
    settings: TinyClipSettings,
    seed: int,
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[open_clip.CLIP, list[Metrics]]:
    """Train on the CPU.

    Args:
        images: sRGB.
        labels: numbers of prompts.
        prompts: one per class.
        settings: see `TinyClipSettings`.
        seed: of initial weights, batches and augmentation.
        checkpoint: file to resume from, see `pointspider.training.checkpoint`.
        on_epoch: see `pointspider.training.loop.OnEpoch`.

    Returns:
        The model in eval mode, and each epoch's loss and accuracy, means over its batches. The accuracy is
        top-1 among the prompts of the batch.

    Raises:
        InputError: a prompt is too long, the patch does not divide the image, or the checkpoint is damaged.
    """
    size = images.shape[1]
    if size % settings.patch:
        raise InputError(
            f"render.resolution: {size} is not a multiple of the tiny CLIP's patch {settings.patch}; change "
            "one of them."
        )
    preprocess = preprocessing(images)
    tokens = tokenize(prompts)
    tokens = tokens[:, : int(tokens.count_nonzero(dim=1).max())]  # padding is zero
    made_of = {"prompts": list(prompts), "seed": seed, **settings.model_dump()}
    identity = fingerprint(made_of, {"images": images, "labels": labels}, torch.device("cpu"))
    pictures, classes = torch.tensor(images), torch.tensor(labels, dtype=torch.long)
    mean, std = (torch.tensor(preprocess[key]).view(3, 1, 1) for key in ("mean", "std"))
    loss_function = open_clip.ClipLoss()
    with reproducible(seed, f"tiny-clip-patch{settings.patch}") as generator:
        model = open_clip.CLIP(**architecture(size, settings))
        model.visual.preprocess_cfg = preprocess  # where open_clip stores it
        # Random token embeddings are enough for a few prompts; their table is larger than all other weights
        model.token_embedding.requires_grad_(False)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, settings.weight_decay), lr=settings.learning_rate, betas=BETAS, fused=True
        )
        steps = settings.epochs * int(torch.bincount(classes).max())
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, steps)
        )

        def train_epoch(history: list[Metrics]) -> Metrics:
            losses, hits = [], []
            for rows in batches(classes, generator):
                pixels = augment(pictures[rows], generator).permute(0, 3, 1, 2) / 255  # (B, 3, S, S)
                image_features, text_features, scale = call_with_short_texts(
                    model, (pixels - mean) / std, tokens[classes[rows]]
                )
                loss = loss_function(image_features, text_features, scale)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                with torch.no_grad():
                    model.logit_scale.clamp_(max=np.log(MAX_SCALE))
                losses.append(loss.item())
                best = (image_features @ text_features.T).argmax(dim=1)
                hits.append((best == torch.arange(len(rows))).float().mean().item())
            return {"loss": float(np.mean(losses)), "accuracy": float(np.mean(hits))}

        history = run_epochs(
            train_epoch,
            settings.epochs,
            f"train CLIP with patch {settings.patch}",
            {"model": model, "optimizer": optimizer, "schedule": schedule},
            generator,
            Checkpoint(checkpoint, identity) if checkpoint else None,
            on_epoch,
        )
    return model.eval(), history


def save_clip(directory: str | Path, model: open_clip.CLIP, settings: TinyClipSettings) -> None:
    """Write a model in the layout of open_clip on the Hugging Face hub. Equal weights give equal bytes.

    Args:
        directory: replaced if it exists; not changed if writing fails.
        model: as `train_clip` returns it.
        settings: of its training.
    """
    config = {
        "model_cfg": architecture(model.visual.image_size[0], settings),
        "preprocess_cfg": model.visual.preprocess_cfg,
    }
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{directory.name}.", suffix=".tmp", dir=directory.parent
    ) as temporary:
        new = Path(temporary) / directory.name
        new.mkdir()
        write_json(new / "open_clip_config.json", config)
        state = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
        checksum = sha256(new / "open_clip_config.json")
        write_tensors(new / "open_clip_model.safetensors", state, {"open_clip_config.json": checksum})
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(new, directory)
