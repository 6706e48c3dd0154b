"""Epochs with a progress bar, a history and checkpoints; and reproducible random numbers."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from tqdm import tqdm

from pointspider.core.seeding import generator
from pointspider.training.checkpoint import Checkpoint

#: Seconds between two checkpoints: the time that an interruption can cost. A mapper of the paper's width and
#: its optimiser take 1.4 GB.
CHECKPOINT_SECONDS = 60

Metrics = dict[str, float]
#: Called after every epoch with its number, counted from 1, and its metrics; after a resume first with those
#: of the epochs before it.
OnEpoch = Callable[[int, Metrics], None]


@runtime_checkable
class Stateful(Protocol):
    """Modules, optimisers and learning-rate schedules."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


def run_epochs(
    train_epoch: Callable[[list[Metrics]], Metrics | None],
    epochs: int,
    description: str,
    parts: Mapping[str, Stateful],
    batches: torch.Generator,
    checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch | None = None,
) -> list[Metrics]:
    """Train, resuming from the checkpoint if there is one of the same training.

    Args:
        train_epoch: trains one epoch, given the metrics of the epochs before it. None ends the training.
        epochs: in all.
        description: for the progress bar.
        parts: everything that changes while training, besides the random states.
        batches: the generator from which `train_epoch` draws.
        checkpoint: written every `CHECKPOINT_SECONDS` and after the last epoch.
        on_epoch: see `OnEpoch`.

    Returns:
        The metrics of every epoch.

    Raises:
        InputError: the checkpoint is damaged.
    """
    history: list[Metrics] = []
    if checkpoint and (state := checkpoint.load()) is not None:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        history = state["history"]
        batches.set_state(state["batches"])
        _set_random_state(state["random"])
    for epoch, metrics in enumerate(history, start=1):
        if on_epoch:
            on_epoch(epoch, metrics)

    def save() -> None:
        if checkpoint:
            states = {name: part.state_dict() for name, part in parts.items()}
            random = _random_state()
            checkpoint.save(
                {"parts": states, "history": history, "batches": batches.get_state(), "random": random}
            )

    saved = time.monotonic()
    progress = tqdm(range(len(history) + 1, epochs + 1), description, unit="epoch", disable=None)
    for epoch in progress:
        new_metrics = train_epoch(history)
        if new_metrics is None:
            break
        history.append(new_metrics)
        progress.set_postfix(new_metrics)
        if on_epoch:
            on_epoch(epoch, new_metrics)
        if time.monotonic() - saved >= CHECKPOINT_SECONDS:
            save()
            saved = time.monotonic()
    save()
    return history


@contextmanager
def reproducible(seed: int, name: str) -> Iterator[torch.Generator]:
    """Within the block, equal inputs give equal bits on one machine with one number of threads.

    PyTorch uses deterministic algorithms only, and its global random state, which initial weights and dropout
    draw from, is seeded. After the block both are as before.

    Args:
        seed, name: of the random stream, as in `pointspider.core.seeding.generator`.

    Yields:
        A generator for batches and augmentation.
    """
    stream = generator(seed, name)
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without it
    with torch.random.fork_rng():
        torch.manual_seed(int(stream.integers(2**63)))
        torch.use_deterministic_algorithms(True)
        # Only guards against reading memory before writing it, and slows down training by a tenth
        memory.fill_uninitialized_memory = False
        try:
            yield torch.Generator().manual_seed(int(stream.integers(2**63)))
        finally:
            torch.use_deterministic_algorithms(before[0])
            memory.fill_uninitialized_memory = before[1]


def _random_state() -> dict[str, Any]:
    """PyTorch's global random states."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    torch.cuda.set_rng_state_all(state["cuda"])
