"""The state of a training on disk, so that a training that was killed goes on as if it had not been."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from pointspider.core.errors import InputError
from pointspider.core.files import atomic, content_hash
from pointspider.mappers.network import Mapper


@dataclass
class Progress:
    """All that changes while a mapper is trained.

    Attributes:
        mapper: as it is now.
        best: as it was after the epoch with the lowest test loss.
        optimiser: Adam of the mapper's parameters.
        shuffling: draws the order of the samples.
        train_loss, test_loss: of every finite epoch so far.
    """

    mapper: Mapper
    best: Mapper
    optimiser: torch.optim.Adam
    shuffling: torch.Generator
    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)

    def save(self, path: Path, training: str) -> None:
        """Write everything as safetensors; `training` names the training, see `fingerprint`."""
        tensors = {
            **{f"mapper.{name}": value for name, value in self.mapper.state_dict().items()},
            **{f"best.{name}": value for name, value in self.best.state_dict().items()},
            **{
                f"optimiser.{number}.{name}": value
                for number, state in self.optimiser.state_dict()["state"].items()
                for name, value in state.items()
            },
            "shuffling": self.shuffling.get_state(),
            "train_loss": torch.tensor(self.train_loss, dtype=torch.float64),
            "test_loss": torch.tensor(self.test_loss, dtype=torch.float64),
        }
        with atomic(path) as temporary:
            save_file(
                {name: value.contiguous() for name, value in tensors.items()},
                temporary,
                {"training": training},
            )

    def restore(self, path: Path, training: str) -> None:
        """Go on from `path`, if it is there and is of the same training; otherwise change nothing.

        Raises:
            InputError: the file is broken, or its mapper has another width.
        """
        if not path.exists():
            return
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                if file.metadata()["training"] != training:
                    return
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.mapper.load_state_dict(_below("mapper", tensors))
            self.best.load_state_dict(_below("best", tensors))
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _below("optimiser", tensors).items():
                number, key = name.split(".")
                state.setdefault(int(number), {})[key] = value.clone()  # out of the file's memory
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
            self.shuffling.set_state(tensors["shuffling"])
            self.train_loss = tensors["train_loss"].tolist()
            self.test_loss = tensors["test_loss"].tolist()
        except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]  # PyTorch lists every tensor that does not fit
            raise InputError(
                f"{path}: not a whole checkpoint of this training ({reason}). Delete it and run again."
            ) from error


def fingerprint(settings: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """What a training is made of, as SHA-256: a checkpoint of any other training is not its own."""
    content = {**settings, **{name: content_hash(array) for name, array in arrays.items()}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
