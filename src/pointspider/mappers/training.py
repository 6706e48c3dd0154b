"""Train a mapper: Adam on the mean L1 distance between mapped point-cloud embeddings and image embeddings.

One loop for BASE, LNORM and RNORM. The data stay on the device; with `batch_size` None each epoch is one step
on all of it.

Two states are kept: *last*, after the last epoch, and *best*, after the epoch with the lowest test loss.
Choosing by the test loss makes "best" optimistic: it is the luckiest of many looks at the test split and no
estimate of the loss on other clouds. The report shows it as "best", beside "last".
"""

import copy
import ctypes
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.base import LABELS
from pointspider.mappers.checkpoint import Progress, fingerprint
from pointspider.mappers.network import HIDDEN, Mapper

#: A training whose test loss ends above this many times its own lowest has diverged, finite or not.
DIVERGED = 10

#: Between two checkpoints: what a kill can cost. At full width one is 1.4 GB.
CHECKPOINT_SECONDS = 60


@dataclass(frozen=True)
class Settings:
    """The section `mapper` of params.yaml as far as one training uses it.

    Attributes:
        epochs: passes over the training split (paper: 1000).
        learning_rate: of Adam (paper, section IV: 0.005); its other constants are PyTorch's.
        batch_size: samples; None: the whole training split (the paper gives none).
        base_width: hidden layers are 2, 4, 8, 4 and 2 times this; None: the input's width (paper).
        response_size: channels of LocalResponseNorm; used by norm "response" alone.
        hidden: hidden layers, see `pointspider.mappers.network.Architecture`.
        precision: of the layers' products: fp32, bf16 (weights, losses and Adam stay float32), or auto: bf16
            where the device computes in it, otherwise fp32.
    """

    epochs: int
    learning_rate: float = 0.005
    batch_size: int | None = None
    base_width: int | None = None
    response_size: int = 1
    precision: str = "auto"
    hidden: tuple[int, ...] = HIDDEN


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves.

    Attributes:
        norm, settings, seed: what was trained.
        precision: fp32 or bf16, as it was trained.
        last: the mapper as the training ended, on the CPU; may not be finite where it diverged.
        best: the mapper after `best_epoch`, on the CPU; untrained where no epoch was finite.
        train_loss: (epochs,) float64, mean of the batches' losses, each taken before its step.
        test_loss: (epochs,) float64, loss on the test split after the epoch.
        diverged_at: the first epoch, counted from 1, whose losses are not finite (the losses end before it),
            or from which to the end the test loss is above `DIVERGED` times its lowest; None: it did not
            diverge.
        seconds: wall time of the epochs, since it was resumed if it was.
    """

    norm: str
    settings: Settings
    seed: int
    precision: str
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
        """A run of `pointspider.study.evaluate.candidates.trained`, for JSON: no NaN, no wall time."""
        finished = self.diverged_at is None
        return {
            "norm": self.norm,
            "seed": self.seed,
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "base_width": self.last.architecture.base_width,
            "precision": self.precision,
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
    checkpoint: Path | None = None,
) -> TrainingResult:
    """Train one mapper from random weights, or on from its checkpoint.

    On the CPU, equal arguments and an equal number of threads give equal bytes, resumed or not.

    Args:
        x_train, x_test: (n, input width) point-cloud embeddings.
        y_train, y_test: (n, output width) image embeddings of the same clouds in the same order.
        norm: none, layer or response. One seed gives the three the same initial Linear weights and batches.
        seed: of the initial weights and of the batches.
        on_epoch: called with (epoch counted from 1, train loss, test loss) after every finite epoch; after a
            resume first with the epochs before.
        device: where to train; None: on a CUDA device if there is one.
        checkpoint: a file that is written every minute and at the end; if it is there and of this training,
            the training goes on from it. The caller deletes it once the result is safe.

    Raises:
        InputError: the embeddings do not fit each other, are empty, or hold NaN or inf; the precision has no
            such name; the checkpoint is broken.
    """
    _check(x_train, y_train, x_test, y_test)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    precision = _precision(settings.precision, device)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    # What decides the bytes of a training, beside its data
    made_of = {"norm": norm, "seed": seed, **asdict(settings), "precision": precision, "device": device}
    made_of |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    training = fingerprint(made_of, arrays)
    x_train, y_train, x_test, y_test = (
        torch.as_tensor(values, dtype=torch.float32, device=device) for values in arrays.values()
    )
    _keep_freed_memory()

    mapper = Mapper(
        x_train.shape[1],
        y_train.shape[1],
        norm,
        settings.base_width,
        settings.response_size,
        settings.hidden,
    )
    mapper.initialise(_torch_generator(seed, "weights"))
    mapper.to(device)
    optimiser = torch.optim.Adam(mapper.parameters(), lr=settings.learning_rate, fused=True)
    run = Progress(mapper, copy.deepcopy(mapper), optimiser, _torch_generator(seed, "batches"))
    if checkpoint:
        run.restore(checkpoint, training)
    if on_epoch:
        for epoch, losses in enumerate(zip(run.train_loss, run.test_loss, strict=True), start=1):
            on_epoch(epoch, *losses)

    batch_loss = _loss(mapper, precision, device, rows=min(settings.batch_size or len(x_train), len(x_train)))
    diverged_at = None
    start = saved = time.perf_counter()
    epochs = range(len(run.test_loss) + 1, settings.epochs + 1)
    for epoch in tqdm(epochs, desc=f"{LABELS[norm]}, seed {seed}", disable=None):
        total = torch.zeros((), device=device)
        for x, y in _batches(x_train, y_train, settings.batch_size, run.shuffling):
            loss = batch_loss(x, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(x)
        with torch.inference_mode(), _autocast(precision, device):
            test_loss = l1_loss(mapper(x_test).float(), y_test).item()
        train_loss = total.item() / len(x_train)
        if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
            diverged_at = epoch
            break
        if test_loss < min(run.test_loss, default=math.inf):
            run.best.load_state_dict(mapper.state_dict())
        run.train_loss.append(train_loss)
        run.test_loss.append(test_loss)
        if on_epoch:
            on_epoch(epoch, train_loss, test_loss)
        if checkpoint and time.perf_counter() - saved >= CHECKPOINT_SECONDS:
            run.save(checkpoint, training)
            saved = time.perf_counter()
    if checkpoint:
        run.save(checkpoint, training)
    return TrainingResult(
        norm=norm,
        settings=settings,
        seed=seed,
        precision=precision,
        last=mapper.cpu().eval(),
        best=run.best.cpu().eval(),
        train_loss=np.array(run.train_loss),
        test_loss=np.array(run.test_loss),
        diverged_at=diverged_at or _grown_from(run.test_loss),
        seconds=time.perf_counter() - start,
    )


def _precision(name: str, device: str) -> str:
    """fp32 or bf16: what `name` says, or, where it is auto, what the device computes in natively."""
    if name == "auto":
        if device.startswith("cuda"):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu.get_capabilities()
            native = able.get("amx_bf16") or able.get("avx512_bf16")
        return "bf16" if native else "fp32"
    if name not in ("fp32", "bf16"):
        raise InputError(f"mapper.precision: '{name}' does not exist; choose fp32, bf16 or auto.")
    return name


def _autocast(precision: str, device: str) -> torch.autocast:
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def _loss(mapper: Mapper, precision: str, device: str, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean L1 of a batch (x, y) of about `rows` rows, computed the fastest way."""
    # The basis' Gram matrices need the digits of float32.
    in_basis = precision == "fp32" and mapper.basis_pays(rows)
    forward = mapper.forward_in_basis if in_basis else mapper.forward

    def loss(x: Tensor, y: Tensor) -> Tensor:
        with _autocast(precision, device):
            predicted = forward(x)
        return l1_loss(predicted.float(), y)  # mean over (rows, output width)

    # On a GPU forward and backward become CUDA graphs: small batches would wait for kernels to be launched.
    return torch.compile(loss, mode="reduce-overhead") if device.startswith("cuda") else loss


def _batches(
    x: Tensor, y: Tensor, size: int | None, shuffling: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch: every sample once, in a new order each epoch."""
    if size is None or size >= len(x):
        yield x, y  # one batch: its order does not matter
    else:
        order = torch.randperm(len(x), generator=shuffling).to(x.device)
        yield from zip(x[order].split(size), y[order].split(size), strict=True)


def _grown_from(test_loss: list[float]) -> int | None:
    """The epoch (from 1) from which losses stay above `DIVERGED` times their lowest; None: they do not."""
    within = np.flatnonzero(np.array(test_loss) <= DIVERGED * min(test_loss, default=0))
    first = int(within[-1]) + 2 if len(within) else 1
    return first if first <= len(test_loss) else None


def _keep_freed_memory() -> None:
    """Have glibc keep freed memory for this process.

    It would hand every gradient and activation back to the kernel, which clears each page anew at every step:
    a third of the time of a small batch at full width.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc alone has it
        mallopt(-4, 0)  # M_MMAP_MAX: nothing in maps of its own, which are returned when freed
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: free memory at the heap's end is never trimmed


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
                raise InputError(
                    f"{what}: none, the shape is {values.shape}. Change alignment.split or "
                    "alignment.held_out_classes."
                )
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
