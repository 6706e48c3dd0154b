"""Training of point encoders, by default with the recipe of ModelNet40-C's benchmark.

Source of the default, and of the loss and the augmentation of every recipe: github.com/jiachens/ModelNet40-C,
configs/dgcnn_pointnet_run_1.yaml, main.py (get_loss), all_utils.py (smooth_loss) and dataloader.py.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from pointspider.core.errors import InputError
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import create_point_encoder
from pointspider.encoders.points.settings import PointSettings
from pointspider.training.checkpoint import Checkpoint, fingerprint
from pointspider.training.device import pick_device
from pointspider.training.loop import Metrics, OnEpoch, reproducible, run_epochs

SCALE = (2 / 3, 3 / 2)  # per cloud and axis, uniform
SHIFT = 0.2  # per cloud and axis, uniform in [-SHIFT, SHIFT]


def augment(points: Float[Tensor, "B N 3"], generator: torch.Generator) -> Float[Tensor, "B N 3"]:
    """Scale and shift each cloud along each axis."""
    clouds = len(points)
    scale = torch.empty(clouds, 1, 3).uniform_(*SCALE, generator=generator)
    shift = torch.empty(clouds, 1, 3).uniform_(-SHIFT, SHIFT, generator=generator)
    return points * scale + shift


def loss_function(
    logits: Float[Tensor, "B classes"], labels: Integer[Tensor, " B"], smoothing: float
) -> Float[Tensor, ""]:
    """Cross-entropy with smoothed labels; see `PointSettings.label_smoothing`."""
    classes = logits.shape[1]
    # PyTorch spreads the smoothing over all classes, the benchmark over the wrong ones
    smoothing = smoothing * classes / (classes - 1)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def batches(
    points: Float[Tensor, "M N 3"],
    labels: Integer[Tensor, " M"],
    settings: PointSettings,
    generator: torch.Generator,
) -> Iterator[tuple[Float[Tensor, "B points 3"], Integer[Tensor, " B"]]]:
    """Yield the augmented clouds and labels of one epoch; the last incomplete batch is dropped."""
    size = min(settings.batch_size, len(points))
    for rows in torch.split(torch.randperm(len(points), generator=generator), size):
        if len(rows) == size:
            chosen = torch.randperm(points.shape[1], generator=generator)[: settings.points]
            yield augment(points[rows][:, chosen], generator), labels[rows]


def create_optimizer(model: nn.Module, settings: PointSettings) -> torch.optim.Optimizer:
    """Create the optimiser of all weights."""
    weights, decay = model.parameters(), settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            weights, settings.learning_rate, momentum=settings.momentum, weight_decay=decay, fused=True
        )
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, settings.learning_rate, weight_decay=decay, fused=True)


def create_schedule(
    optimizer: torch.optim.Optimizer, settings: PointSettings
) -> torch.optim.lr_scheduler.LRScheduler:
    """Create the learning-rate schedule, which is stepped once per epoch."""
    schedules, warmup = torch.optim.lr_scheduler, settings.warmup_epochs
    if settings.schedule == "plateau":
        return schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=10, min_lr=1e-5)
    if warmup:
        # Before the schedule that follows it, so that both start from the peak
        rise = schedules.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
    schedule: torch.optim.lr_scheduler.LRScheduler
    if settings.schedule == "step":
        schedule = schedules.StepLR(optimizer, settings.decay_epochs, settings.decay_factor)
    else:
        epochs = settings.epochs - warmup
        schedule = schedules.CosineAnnealingLR(optimizer, epochs, settings.final_learning_rate)
    return schedules.SequentialLR(optimizer, [rise, schedule], [warmup]) if warmup else schedule


def step_schedule(schedule: torch.optim.lr_scheduler.LRScheduler, loss: float) -> None:
    """Set the learning rate of the next epoch."""
    if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        schedule.step(loss)
    else:
        schedule.step()


def train_point_encoder(
    name: str,
    points: Float[np.ndarray, "M N 3"],
    labels: Integer[np.ndarray, " M"],
    settings: PointSettings,
    seed: int,
    checkpoint: Path | None = None,
    device: str = "auto",
    on_epoch: OnEpoch | None = None,
) -> tuple[PointClassifier, list[Metrics]]:
    """Train a classifier.

    Args:
        name: one of `pointspider.encoders.points.registry.list_point_encoders`.
        points: the training clouds, float32.
        labels: class numbers from 0.
        settings: see `PointSettings`.
        seed: of initial weights, batches, augmentation and dropout.
        checkpoint: file to resume from, see `pointspider.training.checkpoint`.
        device: see `pointspider.training.device.pick_device`.
        on_epoch: see `pointspider.training.loop.OnEpoch`.

    Returns:
        The model in eval mode, and each epoch's loss, accuracy (means over its batches) and learning_rate.

    Raises:
        InputError: the clouds have fewer points than `settings.points`, there are fewer than two clouds, the
            encoder does not exist or needs more points, or the checkpoint is damaged.
    """
    target = pick_device(device)
    clouds, targets = np.asarray(points, np.float32), np.asarray(labels, np.int64)
    identity = fingerprint(
        {"encoder": name, "seed": seed, **settings.model_dump()},
        {"points": clouds, "labels": targets},
        target,
    )
    x_train, y_train = torch.tensor(clouds), torch.tensor(targets)
    with reproducible(seed, name) as generator:
        model = create_point_encoder(name, classes=int(targets.max()) + 1).to(target)
        _check(model, name, clouds, settings)
        optimizer = create_optimizer(model, settings)
        schedule = create_schedule(optimizer, settings)

        def train_epoch(history: list[Metrics]) -> Metrics:
            losses, hits = [], []
            for x, y in batches(x_train, y_train, settings, generator):
                x, y = x.to(target), y.to(target)
                logits, penalty = model(x)
                loss = loss_function(logits, y, settings.label_smoothing) + penalty
                optimizer.zero_grad()
                loss.backward()
                if settings.gradient_clip:
                    nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
                optimizer.step()
                losses.append(loss.detach())
                hits.append((logits.argmax(dim=1) == y).float().mean())
            metrics = {
                "loss": torch.stack(losses).mean().item(),
                "accuracy": torch.stack(hits).mean().item(),
                "learning_rate": optimizer.param_groups[0]["lr"],
            }
            step_schedule(schedule, metrics["loss"])
            return metrics

        history = run_epochs(
            train_epoch,
            settings.epochs,
            f"train {name}",
            {"model": model, "optimizer": optimizer, "schedule": schedule},
            generator,
            Checkpoint(checkpoint, identity) if checkpoint else None,
            on_epoch,
        )
    if model.NEEDS_DENSITY:
        model.points = settings.points
    return model.eval(), history


def _check(model: PointClassifier, name: str, clouds: np.ndarray, settings: PointSettings) -> None:
    """Refuse clouds that the settings do not fit."""
    if len(clouds) < 2:
        raise InputError(f"encoders.points: training needs at least 2 clouds, not {len(clouds)}.")
    if settings.points > clouds.shape[1]:
        raise InputError(
            f"encoders.points.points: {settings.points}, but the training clouds have {clouds.shape[1]} "
            "points; choose at most that many."
        )
    if settings.points < model.minimum_points:
        raise InputError(
            f"encoders.points.points: {settings.points}, but {name} needs at least {model.minimum_points}."
        )
