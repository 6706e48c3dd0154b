"""How point encoders are trained: the recipe of ModelNet40-C's benchmark, resumable after a kill.

Facts of the recipe: github.com/jiachens/ModelNet40-C, configs/dgcnn_pointnet_run_1.yaml, main.py (get_loss),
all_utils.py (smooth_loss) and dataloader.py.

B is clouds in a batch, N points per cloud, M clouds.
"""

import hashlib
import logging
import pickle
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.files import atomic, content_hash
from pointspider.encoders.points.base import ARCHITECTURES, PointEncoder
from pointspider.training.device import pick_device
from pointspider.training.reproducible import reproducible

LABEL_SMOOTHING = 0.2  # probability that the target gives to the other classes together
ORTHOGONALITY = 0.001  # weight of the feature T-Net's penalty
SCALE = (2 / 3, 3 / 2)  # per cloud and axis, uniform
SHIFT = 0.2  # per cloud and axis, uniform in [-SHIFT, SHIFT]
PLATEAU = {"factor": 0.5, "patience": 10, "min_lr": 1e-5}  # of the learning rate, by the training loss


@dataclass(frozen=True)
class PointSettings:
    """How to train: `encoders.points` with `checkpoint: train`.

    The benchmark trains 300 epochs of 1024 points in batches of 32 with learning rate 0.001 and the plateau
    schedule, which gives 89 to 90 % on ModelNet40's test split, and takes days on a CPU. Fifteen epochs of
    128 points with the cosine take about a minute of one CPU core for 480 procedural clouds, and name 90 %
    of 320 clean unseen ones among 40 classes.
    """

    epochs: int
    points: int  # drawn anew from each cloud for every batch
    batch_size: int  # clouds
    learning_rate: float  # Adam
    schedule: str  # of the learning rate: "plateau", or "cosine" to zero, for trainings of a few epochs


def augment(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale and shift each cloud of (B, N, 3) along each axis."""
    clouds = len(points)
    scale = torch.empty(clouds, 1, 3).uniform_(*SCALE, generator=generator)
    shift = torch.empty(clouds, 1, 3).uniform_(-SHIFT, SHIFT, generator=generator)
    return points * scale + shift


def loss_function(logits: torch.Tensor, labels: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
    """Smoothed cross-entropy plus the weighted penalty of the T-Nets."""
    classes = logits.shape[1]
    # PyTorch spreads its smoothing over all classes, the benchmark over the wrong ones
    smoothing = LABEL_SMOOTHING * classes / (classes - 1)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing) + ORTHOGONALITY * penalty


def batches(
    points: torch.Tensor, labels: torch.Tensor, settings: PointSettings, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of augmented (points (B, settings.points, 3), labels (B,)); a rest is dropped."""
    size = min(settings.batch_size, len(points))
    for rows in torch.randperm(len(points), generator=generator).split(size):
        if len(rows) == size:
            some = torch.randperm(points.shape[1], generator=generator)[: settings.points]
            yield augment(points[rows][:, some], generator), labels[rows]


class Training:
    """A model, what trains it, and every random state: all that its further course depends on."""

    def __init__(self, model: PointEncoder, settings: PointSettings, generator: torch.Generator):
        self.model, self.generator = model, generator
        self.optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
        self.schedule = {
            "plateau": lambda: torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, **PLATEAU),
            "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, settings.epochs),
        }[settings.schedule]()
        self.history: list[dict[str, float]] = []  # of the epochs so far

    def step_schedule(self, loss: float) -> None:
        """Set the next epoch's learning rate; only the plateau looks at the loss."""
        plateau = isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
        self.schedule.step(*([loss] if plateau else []))

    def save(self, path: Path, identity: str) -> None:
        """Write all to a file, or nothing."""
        state = {
            "identity": identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history,
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),  # feeds dropout, on CUDA the next line's
            "cuda": torch.cuda.get_rng_state_all(),
        }
        with atomic(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path, identity: str) -> None:
        """Continue where the file stops; a file of another training is left aside.

        Raises:
            InputError: the file is broken.
        """
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["identity"] != identity:
                logging.warning("%s is of another training; starting anew", path)
                return
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise InputError(f"{path}: cannot be resumed from ({error}). Delete it and run again.") from error
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.history = state["history"]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        torch.cuda.set_rng_state_all(state["cuda"])


def train_point_encoder(
    name: str,
    points: np.ndarray,
    labels: np.ndarray,
    settings: PointSettings,
    seed: int,
    checkpoint: Path | None = None,
    device: str = "auto",
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, metrics: None,
) -> tuple[PointEncoder, list[dict[str, float]]]:
    """Train a classifier.

    Args:
        name: a key of `ARCHITECTURES`.
        points: (M, N, 3) float32.
        labels: (M,) integers from 0.
        settings: see `PointSettings`.
        seed: of initial weights, batches, augmentation and dropout.
        checkpoint: written after every epoch. If it is there already, of the same arguments, the training
            goes on from it, to the bits that it would have reached uninterrupted.
        device: see `device.pick_device`.
        on_epoch: called after every epoch with its number and {"loss", "accuracy", "learning_rate"}, the
            first two means over its batches.

    Returns:
        The model in eval mode, and the epochs' metrics.

    Raises:
        InputError: the checkpoint is broken.
    """
    target = pick_device(device)
    points, labels = np.asarray(points, np.float32), np.asarray(labels, np.int64)
    facts = (name, asdict(settings), seed, content_hash(points), content_hash(labels))
    identity = hashlib.sha256(repr(facts).encode()).hexdigest()
    points, labels = torch.tensor(points), torch.tensor(labels)
    with reproducible(seed, name) as generator:
        model = ARCHITECTURES[name](classes=int(labels.max()) + 1).to(target)
        training = Training(model, settings, generator)
        if checkpoint:
            training.resume(checkpoint, identity)
        epochs = range(len(training.history), settings.epochs)
        progress = tqdm(epochs, desc=name, unit="epoch", disable=None)
        for epoch in progress:
            losses, hits = [], []
            for x, y in batches(points, labels, settings, generator):
                x, y = x.to(target), y.to(target)
                logits, penalty = model(x)
                loss = loss_function(logits, y, penalty)
                training.optimizer.zero_grad()
                loss.backward()
                training.optimizer.step()
                losses.append(loss.detach())
                hits.append((logits.argmax(dim=1) == y).float().mean())
            metrics = {
                "loss": torch.stack(losses).mean().item(),
                "accuracy": torch.stack(hits).mean().item(),
                "learning_rate": training.optimizer.param_groups[0]["lr"],
            }
            training.step_schedule(metrics["loss"])
            training.history.append(metrics)
            progress.set_postfix(loss=metrics["loss"], accuracy=metrics["accuracy"])
            if checkpoint:
                training.save(checkpoint, identity)
            on_epoch(epoch, metrics)
    return model.eval(), training.history
