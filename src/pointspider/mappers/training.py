"""Training of mappers: Adam on the mean L1 distance between predicted and true image embeddings.

The data stay on the device. With `batch_size` None each epoch is one step on the training split.

Two states are returned: *last*, after the last epoch, and *best*, after the epoch with the lowest test loss.
The test loss selects the best epoch, so the loss of *best* is optimistic: it does not estimate the loss on
other clouds. The report shows both.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import l1_loss

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.base import LABELS
from pointspider.mappers.network import HIDDEN, Architecture, Mapper, load_mapper
from pointspider.mappers.settings import MapperSettings
from pointspider.training.checkpoint import Checkpoint, fingerprint
from pointspider.training.device import PRECISIONS, pick_device, resolve_precision
from pointspider.training.loop import Metrics, OnEpoch, reproducible, run_epochs

#: A training has diverged if its test loss ends above this many times its lowest, even if it is finite.
DIVERGED = 10
#: Devices for which the training step is compiled; on a CPU that takes longer than it saves.
COMPILED = {"cuda"}


@dataclass(frozen=True)
class Initial:
    """A trained mapper that another training starts from.

    Attributes:
        name: of its file, for messages and for the record of the training.
        mapper: on the CPU.
    """

    name: str
    mapper: Mapper

    def check(self, wanted: Architecture) -> None:
        """Check that its weights fit the mapper to train.

        Raises:
            InputError: the architecture differs; names every difference.
        """
        differences = [
            f"its {name.replace('_', ' ')} is {found}, not {expected}"
            for (name, found), expected in zip(
                asdict(self.mapper.architecture).items(), asdict(wanted).values(), strict=True
            )
            if found != expected
        ]
        if differences:
            raise InputError(
                f"mapper.init: {self.name} does not fit the mapper to train: {', '.join(differences)}. "
                "Change the parameters of the mapper, embed with the encoders that it was trained with, or "
                "set mapper.init to null."
            )


def load_initial(path: str, norm: str) -> Initial | None:
    """Load the mapper from which one of `norm` starts.

    Args:
        path: file of a mapper. "{norm}" in it stands for none, layer or response.
        norm: of the mapper to train.

    Returns:
        None if the path does not contain "{norm}" and the file's mapper has another norm.

    Raises:
        InputError: the file is missing, damaged or not a mapper.
    """
    name = path.replace("{norm}", norm)
    mapper = load_mapper(name)
    return None if name == path and mapper.architecture.norm != norm else Initial(name, mapper)


@dataclass(frozen=True)
class TrainingResult:
    """A trained mapper.

    Attributes:
        norm, settings, seed: of the training.
        init: name of the mapper that the training started from; None: random weights.
        precision: fp32 or bf16.
        last: the mapper after the last epoch, on the CPU; may hold NaN if it diverged.
        best: the mapper after `best_epoch`, on the CPU; untrained if no epoch was finite.
        train_loss: of each epoch, the mean of the losses of its batches before their steps.
        test_loss: of each epoch, after it.
        diverged_at: the first epoch, counted from 1, whose losses are not finite (the losses end before it),
            or from which on the test loss stays above `DIVERGED` times its lowest; None: not diverged.
        seconds: wall time of the epochs, since the last resume.
    """

    norm: str
    settings: MapperSettings
    seed: int
    init: str | None
    precision: str
    last: Mapper
    best: Mapper
    train_loss: Float64[np.ndarray, " epochs"]
    test_loss: Float64[np.ndarray, " epochs"]
    diverged_at: int | None
    seconds: float

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, with the lowest test loss; None if no epoch was finite."""
        return int(self.test_loss.argmin()) + 1 if len(self.test_loss) else None

    def summary(self) -> dict[str, str | int | float | None]:
        """The facts of the training for JSON: no NaN, no wall time."""
        finished = self.diverged_at is None
        return {
            "norm": self.norm,
            "seed": self.seed,
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "base_width": self.last.architecture.base_width,
            "init": self.init,
            "precision": self.precision,
            "l1_train": float(self.train_loss[-1]) if finished else None,
            "l1_last": float(self.test_loss[-1]) if finished else None,
            "l1_best": float(self.test_loss.min()) if self.best_epoch else None,
            "best_epoch": self.best_epoch,
            "diverged_at": self.diverged_at,
        }


def train_mapper(
    x_train: Float[np.ndarray, "..."],
    y_train: Float[np.ndarray, "..."],
    x_test: Float[np.ndarray, "..."],
    y_test: Float[np.ndarray, "..."],
    norm: str,
    settings: MapperSettings,
    seed: int,
    hidden: Sequence[int] = HIDDEN,
    on_epoch: OnEpoch | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    init: Initial | None = None,
) -> TrainingResult:
    """Train one mapper.

    Args:
        x_train, x_test: point-cloud embeddings, (clouds, input width).
        y_train, y_test: image embeddings of the same clouds, (clouds, output width).
        norm: none, layer or response. With the same seed, the three have the same initial Linear weights and
            batches.
        settings: see `MapperSettings`.
        seed: of the initial weights and the batches.
        hidden: see `pointspider.mappers.network.Architecture`.
        on_epoch: see `pointspider.training.loop.OnEpoch`; the metrics are train_l1 and test_l1.
        device: see `pointspider.training.device.pick_device`.
        checkpoint: file to resume from, see `pointspider.training.checkpoint`.
        init: the mapper to start from, for fine-tuning. The state of Adam is new. None: random weights.

    Raises:
        InputError: the embeddings do not fit each other, are empty, or hold NaN or inf; the checkpoint is
            damaged; `init` has another architecture.
    """
    _check(x_train, y_train, x_test, y_test)
    target = pick_device(device)
    precision = resolve_precision(settings.precision, target)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    made_of = {"norm": norm, "seed": seed, "hidden": list(hidden), **settings.model_dump()}
    weights = {} if init is None else {name: w.numpy() for name, w in init.mapper.state_dict().items()}
    identity = fingerprint({**made_of, "precision": precision}, {**arrays, **weights}, target)
    x, y, x_held_out, y_held_out = (
        torch.as_tensor(values, dtype=torch.float32, device=target) for values in arrays.values()
    )
    mapper = Mapper(x.shape[1], y.shape[1], norm, settings.base_width, settings.response_size, hidden)
    if init is None:
        mapper.initialise(_torch_generator(seed, "weights"))
    else:
        init.check(mapper.architecture)
        mapper.load_state_dict(init.mapper.state_dict())
    mapper.to(target)
    best = copy.deepcopy(mapper)
    optimizer = torch.optim.Adam(mapper.parameters(), lr=settings.learning_rate, fused=True)
    shuffling = _torch_generator(seed, "batches")
    batch_loss = _loss(mapper, PRECISIONS[precision], target, rows=min(settings.batch_size or len(x), len(x)))
    diverged_at = None

    def train_epoch(history: list[Metrics]) -> Metrics | None:
        nonlocal diverged_at
        total = torch.zeros((), device=target)
        for inputs, outputs in _batches(x, y, settings.batch_size, shuffling):
            loss = batch_loss(inputs, outputs)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach() * len(inputs)
        with torch.inference_mode(), _autocast(PRECISIONS[precision], target):
            predicted = mapper(x_held_out)
        metrics = {
            "train_l1": total.item() / len(x),
            "test_l1": l1_loss(predicted.float(), y_held_out).item(),
        }
        if not all(map(math.isfinite, metrics.values())):
            diverged_at = len(history) + 1
            return None
        if metrics["test_l1"] < min((epoch["test_l1"] for epoch in history), default=math.inf):
            best.load_state_dict(mapper.state_dict())
        return metrics

    start = time.perf_counter()
    with reproducible(seed, "mapper"):
        history = run_epochs(
            train_epoch,
            settings.epochs,
            f"train {LABELS[norm]}, seed {seed}",
            {"mapper": mapper, "best": best, "optimizer": optimizer},
            shuffling,
            Checkpoint(checkpoint, identity) if checkpoint else None,
            on_epoch,
        )
    test_loss = np.array([epoch["test_l1"] for epoch in history], dtype=np.float64)
    return TrainingResult(
        norm=norm,
        settings=settings,
        seed=seed,
        init=init.name if init else None,
        precision=precision,
        last=mapper.cpu().eval(),
        best=best.cpu().eval(),
        train_loss=np.array([epoch["train_l1"] for epoch in history], dtype=np.float64),
        test_loss=test_loss,
        diverged_at=diverged_at or _grown_from(test_loss),
        seconds=time.perf_counter() - start,
    )


def _autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def _loss(
    mapper: Mapper, dtype: torch.dtype, device: torch.device, rows: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean L1 as a function of a batch of about `rows` rows, in its fastest form."""
    # LayerNorm's Gram matrices of the basis need the digits of float32
    exact = dtype == torch.float32 or mapper.architecture.norm == "none"
    in_basis = exact and mapper.basis_pays(rows)
    forward = mapper.forward_in_basis if in_basis else mapper.forward

    def loss(x: Tensor, y: Tensor) -> Tensor:
        with _autocast(dtype, device):
            predicted = forward(x)
        return l1_loss(predicted.float(), y)  # mean over rows and output width

    # On a GPU forward and backward become CUDA graphs: small batches would wait for kernel launches
    return torch.compile(loss, mode="reduce-overhead") if device.type in COMPILED else loss


def _batches(
    x: Tensor, y: Tensor, size: int | None, shuffling: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of one epoch: every sample once, in a new order each epoch."""
    if size is None or size >= len(x):
        yield x, y  # one batch: its order does not matter
    else:
        order = torch.randperm(len(x), generator=shuffling).to(x.device)
        yield from zip(torch.split(x[order], size), torch.split(y[order], size), strict=True)


def _grown_from(test_loss: Float64[np.ndarray, " epochs"]) -> int | None:
    """The epoch (from 1) from which on losses stay above `DIVERGED` times their lowest; None: they do not."""
    if not len(test_loss):
        return None
    within = np.flatnonzero(test_loss <= DIVERGED * test_loss.min())
    first = int(within[-1]) + 2 if len(within) else 1
    return first if first <= len(test_loss) else None


def _torch_generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator(seed, "mapper", name).integers(2**63)))


def _check(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> None:
    """Refuse embeddings on which no mapper can be trained."""
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
                row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                raise InputError(f"{what}: NaN or inf in row {row}. Embed this cloud again.")
        if len(x) != len(y):
            raise InputError(
                f"{len(x)} point embeddings but {len(y)} image embeddings in the {split} split; "
                "each cloud needs one of both."
            )
    for kind, train, test in (("point", x_train, x_test), ("image", y_train, y_test)):
        if train.shape[1] != test.shape[1]:
            raise InputError(
                f"{kind} embeddings are {train.shape[1]} wide in the train split but {test.shape[1]} in the "
                "test split; embed both with the same encoder."
            )
