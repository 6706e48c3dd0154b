"""The state of a training in a file, from which an interrupted training resumes bit-identically."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pointspider.core.files import content_hash
from pointspider.training.tensors import read_tensors, write_tensors

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
        structure = _flatten(state, "state", tensors)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        write_tensors(self.path, arrays, {"identity": self.identity, "state": structure})

    def load(self) -> State | None:
        """Read the state; None if there is no file or it belongs to another training.

        Raises:
            InputError: the file is damaged.
        """
        if not self.path.exists():
            return None
        arrays, content = read_tensors(self.path)
        if content["identity"] != self.identity:
            logging.getLogger(__name__).warning(
                "%s: belongs to another training (other data, settings, device, number of threads or PyTorch "
                "version); starting from the first epoch",
                self.path,
            )
            return None
        return _restore(content["state"], arrays)


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


def _restore(node: Any, arrays: Mapping[str, np.ndarray]) -> State:
    """Inverse of `_flatten`; tuples become lists."""
    if "tensor" in node:
        return torch.from_numpy(arrays[node["tensor"]])
    if "items" in node:
        return {key: _restore(value, arrays) for key, value in node["items"]}
    if "list" in node:
        return [_restore(value, arrays) for value in node["list"]]
    return node["value"]
