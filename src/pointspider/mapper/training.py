"""Train a mapper: Adam on the mean L1 distance between mapped point-cloud embeddings and image embeddings.

One loop for BASE, LNORM and RNORM. The data stay on the device; with `batch_size` None each epoch is one step
on all of it.

Two states are kept: *last*, after the last epoch, and *best*, after the epoch with the lowest test loss.
Choosing by the test loss makes "best" optimistic: it is the luckiest of many looks at the test split and no
estimate of the loss on other clouds. The report shows it as "best", beside "last".
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss
from tqdm import tqdm

from pointspider.errors import InputError
from pointspider.mapper import LABELS
from pointspider.mapper.model import Mapper
from pointspider.seeding import generator


@dataclass(frozen=True)
class Settings:
    """The section `mapper` of params.yaml as far as one training uses it.

    Attributes:
        epochs: passes over the training split (paper: 1000).
        learning_rate: of Adam (paper, section IV: 0.005); its other constants are PyTorch's.
        batch_size: samples; None: the whole training split (the paper gives none).
        base_width: hidden layers are 2, 4, 8, 4 and 2 times this; None: the input's width (paper).
        response_size: channels of LocalResponseNorm; used by norm "response" alone.
    """

    epochs: int
    learning_rate: float = 0.005
    batch_size: int | None = None
    base_width: int | None = None
    response_size: int = 1


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves.

    Attributes:
        norm, settings, seed: what was trained.
        last: the mapper as the training ended, on the CPU; not finite where it diverged.
        best: the mapper after `best_epoch`, on the CPU; untrained where no epoch was finite.
        train_loss: (epochs,) float64, mean of the batches' losses, each taken before its step.
        test_loss: (epochs,) float64, loss on the test split after the epoch.
        diverged_at: the first epoch, counted from 1, whose losses or weights are not finite; the losses end
            before it. None: the training did not diverge.
        seconds: wall time of the epochs.
    """

    norm: str
    settings: Settings
    seed: int
    last: Mapper
    best: Mapper
    train_loss: np.ndarray
    test_loss: np.ndarray
    diverged_at: int | None
    seconds: float

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, with the lowest test loss; None if no epoch was finite."""
        return int(self.test_loss.argmin()) + 1 if len(self.test_loss) else None

    def summary(self) -> dict[str, str | int | float | None]:
        """A run of `pointspider.evaluate.alignment.alignment_records`, for JSON: no NaN, no wall time."""
        finished = self.diverged_at is None
        return {
            "norm": self.norm,
            "seed": self.seed,
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "base_width": self.last.architecture.base_width,
            "l1_train": float(self.train_loss[-1]) if finished else None,
            "l1_last": float(self.test_loss[-1]) if finished else None,
            "l1_best": float(self.test_loss.min()) if self.best_epoch else None,
            "best_epoch": self.best_epoch,
            "diverged_at": self.diverged_at,
        }


def train_mapper(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    norm: str,
    settings: Settings,
    seed: int,
    on_epoch: Callable[[int, float, float], None] | None = None,
    device: str | None = None,
) -> TrainingResult:
    """Train one mapper from random weights.

    On the CPU, equal arguments and an equal number of threads give equal bytes.

    Args:
        x_train, x_test: (n, input width) point-cloud embeddings.
        y_train, y_test: (n, output width) image embeddings of the same clouds in the same order.
        norm: none, layer or response. One seed gives the three the same initial Linear weights and batches.
        seed: of the initial weights and of the batches.
        on_epoch: called with (epoch counted from 1, train loss, test loss) after every finite epoch.
        device: where to train; None: on a CUDA device if there is one.

    Raises:
        InputError: the embeddings do not fit each other, are empty, or hold NaN or inf.
    """
    _check(x_train, y_train, x_test, y_test)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    x_train, y_train, x_test, y_test = (
        torch.as_tensor(values, dtype=torch.float32, device=device)
        for values in (x_train, y_train, x_test, y_test)
    )
    mapper = Mapper(x_train.shape[1], y_train.shape[1], norm, settings.base_width, settings.response_size)
    mapper.initialise(_torch_generator(seed, "weights"))
    mapper.to(device)
    best = copy.deepcopy(mapper)
    optimiser = torch.optim.Adam(mapper.parameters(), lr=settings.learning_rate, fused=True)
    shuffling = _torch_generator(seed, "batches")

    train_losses: list[float] = []
    test_losses: list[float] = []
    diverged_at = None
    start = time.perf_counter()
    for epoch in tqdm(range(1, settings.epochs + 1), desc=f"{LABELS[norm]}, seed {seed}", disable=None):
        total = torch.zeros((), device=device)
        for rows in _batches(len(x_train), settings.batch_size, shuffling):
            loss = l1_loss(mapper(x_train[rows]), y_train[rows])  # mean over (rows, output width)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(x_train[rows])
        with torch.inference_mode():
            test_loss = l1_loss(mapper(x_test), y_test).item()
        train_loss = total.item() / len(x_train)
        if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
            diverged_at = epoch
            break
        if test_loss < min(test_losses, default=math.inf):
            best.load_state_dict(mapper.state_dict())
        train_losses.append(train_loss)
        test_losses.append(test_loss)
        if on_epoch:
            on_epoch(epoch, train_loss, test_loss)
    return TrainingResult(
        norm=norm,
        settings=settings,
        seed=seed,
        last=mapper.cpu().eval(),
        best=best.cpu().eval(),
        train_loss=np.array(train_losses),
        test_loss=np.array(test_losses),
        diverged_at=diverged_at,
        seconds=time.perf_counter() - start,
    )


def _batches(samples: int, size: int | None, shuffling: torch.Generator) -> Iterator[Tensor | slice]:
    """The rows of each batch of one epoch: every row once, in a new order each epoch."""
    if size is None or size >= samples:
        yield slice(None)  # one batch: its order does not matter, and a slice copies nothing
    else:
        yield from torch.randperm(samples, generator=shuffling).split(size)


def _torch_generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator(seed, "mapper", name).integers(2**63)))


def _check(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> None:
    """Refuse embeddings that no mapper can be trained on."""
    for split, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        for kind, values in (("point", x), ("image", y)):
            what = f"{kind} embeddings of the {split} split"
            if values.ndim != 2:
                raise InputError(f"{what}: the shape is {values.shape}, not (clouds, width).")
            if not values.size:
                raise InputError(f"{what}: none, the shape is {values.shape}. Raise alignment.split.{split}.")
            if not np.isfinite(values).all():
                raise InputError(
                    f"{what}: NaN or inf in row {_first_broken(values)}. Embed this cloud again."
                )
        if len(x) != len(y):
            raise InputError(
                f"{len(x)} point embeddings but {len(y)} image embeddings in the {split} split; "
                "each cloud needs one of both."
            )
    for kind, train, test in (("point", x_train, x_test), ("image", y_train, y_test)):
        if train.shape[1] != test.shape[1]:
            raise InputError(
                f"{kind} embeddings are {train.shape[1]} wide in the train split but {test.shape[1]} in the "
                "test split; embed both with one encoder."
            )


def _first_broken(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
