"""Safe reading of checkpoints in foreign formats. No code in a file is executed."""

import argparse
import codecs
import json
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pointspider.core.errors import InputError
from pointspider.core.sizes import check_size
from pointspider.training.tensors import read_tensors, verify_tensors

#: Keys under which published checkpoints store their tensors, tried in this order.
CONTAINERS = ("model_state", "model_state_dict", "state_dict", "net", "model", "base_model", "module")
#: Prefixes that wrappers add to every name, outermost first.
PREFIXES = ("module.", "model.")
#: Tensors of each kind that a message names.
NAMED = 5


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read named tensors from safetensors or from a file of `torch.save`.

    A pickled file is a dictionary of tensors, or contains one under a key of `CONTAINERS`. `PREFIXES` are
    removed if all names share them. Besides tensors only NumPy scalars and `argparse.Namespace` may be in the
    file.

    Returns:
        {name: tensor} on the CPU, and the description in a file of `training.tensors.write_tensors`, else {}.

    Raises:
        InputError: the file is missing, damaged, contains other types, or no dictionary of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file. Correct encoders.points.checkpoint, or put the file there.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _without_prefixes(_find_tensors(path, _unpickle(path))), {}


def rename(tensors: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename tensors, and all tensors of a module, to the names in a table; other names stay as they are."""
    renamed = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        renamed[table.get(name) or (f"{table[module]}.{leaf}" if module in table else name)] = tensor
    return renamed


def absorb_bias(tensors: dict[str, Tensor], linear: str, norm: str) -> None:
    """Move the bias of a linear layer, if it has one, into the running mean of the normalisation after it."""
    bias = tensors.pop(f"{linear}.bias", None)
    if bias is not None and f"{norm}.running_mean" in tensors:
        tensors[f"{norm}.running_mean"] = tensors[f"{norm}.running_mean"] - bias


def reshape_like(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reshape the tensors whose shapes differ only in dimensions of size 1.

    The weight of a convolution of width 1 becomes that of a linear layer, or the other way round.
    """

    def sizes(tensor: Tensor) -> list[int]:
        return [size for size in tensor.shape if size != 1]

    return {
        name: tensor.reshape(expected[name].shape)
        if name in expected and sizes(tensor) == sizes(expected[name])
        else tensor
        for name, tensor in found.items()
    }


def describe_mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Name the tensors that are missing, unexpected or of another shape, five of each; "" if all match."""
    problems = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected
            if name in found and found[name].shape != expected[name].shape
        ],
    }
    return "; ".join(
        f"{problem}: {', '.join(names[:NAMED])}"
        + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
        for problem, names in problems.items()
        if names
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if verify_tensors(path):
        arrays, content = read_tensors(path)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, content
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, {}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: incomplete or not a safetensors file ({error}).") from error


def _unpickle(path: Path) -> object:
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # its name in NumPy 1
        np.dtype,
        *(type(np.dtype(name)) for name in ("float32", "float64", "int64")),
        codecs.encode,
        argparse.Namespace,
    ]
    try:
        _check_storages(path)
        with torch.serialization.safe_globals(allowed):
            content: object = torch.load(path, map_location="cpu", weights_only=True)
        return content
    # A damaged pickle can raise almost any error
    except Exception as error:
        # PyTorch's message advises to load with weights_only=False, which executes the code in the file
        unsafe = isinstance(error, pickle.UnpicklingError) and "Unsupported global" in str(error)
        problem = (
            "contains types other than tensors and numbers, so it is not safe to load"
            if unsafe
            else "damaged, or not a PyTorch checkpoint"
        )
        raise InputError(f"{path}: {problem}. Use a checkpoint that contains only tensors.") from error


def _check_storages(path: Path) -> None:
    """Compare the tensors that a file in the format before PyTorch 1.6 declares with the size of the file.

    PyTorch allocates them before it reads them. Nothing is unpickled here.
    """
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return
        file.seek(0)
        number: Any = 0
        for _ in ("magic number", "protocol", "system", "content"):
            for opcode, argument, _ in pickletools.genops(file):
                if "INT" in opcode.name or "LONG" in opcode.name:
                    number = argument
                elif opcode.name == "BINPERSID":  # of a storage, whose last number is that of its elements
                    check_size(number, path, expansion=1)


def _find_tensors(path: Path, content: object) -> dict[str, Tensor]:
    """The dictionary of tensors in the content of a checkpoint."""
    found = content
    while isinstance(found, Mapping):
        inner = next((found[key] for key in CONTAINERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{path}: contains no tensors under {_keys(content)}{_EXPECTED}")
    if not all(isinstance(name, str) for name in found):
        raise InputError(f"{path}: the keys are not names of tensors but {_keys(found)}{_EXPECTED}")
    if not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: not all values are tensors; the keys are {_keys(found)}{_EXPECTED}")
    return dict(found)


_EXPECTED = (
    f". Expected is a dictionary of named tensors, possibly under one of the keys {', '.join(CONTAINERS)}."
)


def _keys(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = json.dumps([str(key) for key in list(content)[:5]])
    return names.replace("]", ", …]") if len(content) > 5 else names


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
