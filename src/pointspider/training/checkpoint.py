"""The state of a training in a file, from which an interrupted training resumes bit-identically."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from pointspider.core.errors import InputError
from pointspider.core.files import atomic, content_hash

State = Any  #: Dictionaries and lists, nested, of tensors and of values that JSON can hold.


def fingerprint(
    settings: Mapping[str, object], arrays: Mapping[str, np.ndarray], device: torch.device
) -> str:
    """Digest of everything that determines the bytes of a trained model.

    Args:
        settings: of the training; values that JSON can hold.
        arrays: the training data.
        device: where the model is trained. With it count the number of threads and PyTorch's version.
    """
    content = {
        "settings": settings,
        "arrays": {name: content_hash(array) for name, array in arrays.items()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file of one training.

    Attributes:
        path: the file, in safetensors format. The caller deletes it when the result is saved.
        identity: `fingerprint` of the training.
    """

    path: Path
    identity: str

    def save(self, state: State) -> None:
        """Write the state atomically, with a checksum."""
        tensors: dict[str, Tensor] = {}
        structure = json.dumps(_flatten(state, "state", tensors))
        metadata = {"identity": self.identity, "state": structure, "sha256": _checksum(tensors, structure)}
        with atomic(self.path) as temporary:
            # One entry: safetensors writes several in random order
            save_file(tensors, temporary, {"checkpoint": json.dumps(metadata)})

    def load(self) -> State | None:
        """Read the state; None if there is no file or it belongs to another training.

        Raises:
            InputError: the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                metadata = json.loads(file.metadata()["checkpoint"])
                if metadata["identity"] != self.identity:
                    logging.getLogger(__name__).warning(
                        "%s: belongs to another training (other data, settings, device, number of threads or "
                        "PyTorch version); starting from the first epoch",
                        self.path,
                    )
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            if _checksum(tensors, metadata["state"]) != metadata["sha256"]:
                raise ValueError("checksum does not match")
            return _restore(json.loads(metadata["state"]), tensors)
        except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
            raise InputError(
                f"{self.path}: damaged checkpoint ({error}). Delete it and run again."
            ) from error


def _flatten(state: State, name: str, tensors: dict[str, Tensor]) -> object:
    """Return `state` for JSON, with its tensors moved to `tensors`."""
    if isinstance(state, Tensor):
        tensors[name] = state.detach().cpu().contiguous().clone()  # safetensors refuses shared memory
        return {"tensor": name}
    if isinstance(state, Mapping):  # as pairs: JSON turns integer keys into strings
        return {"items": [[key, _flatten(value, f"{name}.{key}", tensors)] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {"list": [_flatten(value, f"{name}.{number}", tensors) for number, value in enumerate(state)]}
    return {"value": state}


def _restore(node: Any, tensors: Mapping[str, Tensor]) -> State:
    """Inverse of `_flatten`; tuples become lists."""
    if "tensor" in node:
        return tensors[node["tensor"]].clone()  # not a view of the file
    if "items" in node:
        return {key: _restore(value, tensors) for key, value in node["items"]}
    if "list" in node:
        return [_restore(value, tensors) for value in node["list"]]
    return node["value"]


def _checksum(tensors: Mapping[str, Tensor], structure: str) -> str:
    digest = hashlib.sha256(structure.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
