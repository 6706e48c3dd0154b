"""Safetensors files with a checksum of all their bytes: predictors, point encoders, states of trainings.

The only entry of the header's metadata has the name "pointspider sha256 <hex>", and JSON as its value. The
checksum is that of the file with zeros for <hex>. Other programs read the files as any safetensors file.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from jaxtyping import Shaped
from safetensors.numpy import save_file

from pointspider.core.errors import InputError
from pointspider.core.files import UNSEALED, atomic, check_seal, seal

_NAME = "pointspider sha256 "
#: Start of a file: the length of the header, then the header with the metadata first.
_START = re.compile(rb'.{8}\{"__metadata__":\{"pointspider sha256 ([0-9a-f]{64})":', re.DOTALL)
Arrays = dict[str, Shaped[np.ndarray, "..."]]


def write_tensors(
    path: str | Path, tensors: Mapping[str, Shaped[np.ndarray, "..."]], content: Mapping[str, Any]
) -> None:
    """Write arrays by name, and `content`, which JSON can hold. Equal values give equal bytes."""
    with atomic(path) as temporary:
        # One entry: safetensors writes several in random order
        metadata = {_NAME + UNSEALED: json.dumps(content)}
        save_file(
            {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, temporary, metadata
        )
        seal(temporary, 8 + len('{"__metadata__":{"') + len(_NAME))


def read_tensors(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Read the arrays and the content of a file of `write_tensors`.

    Raises:
        InputError: the file is missing, damaged or has no checksum.
    """
    if not verify_tensors(path):
        raise InputError(f"{path}: has no checksum of this program. Delete it and run again.")
    content = read_content(path)
    with safetensors.safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, content  # noqa: SIM118 (not a dict)


def read_content(path: str | Path) -> dict[str, Any]:
    """Read the content of a file of `write_tensors`, without its arrays. Does not compare the checksum.

    Raises:
        InputError: the file is missing, damaged or of another program.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            (content,) = (file.metadata() or {}).values()
            found: dict[str, Any] = {**json.loads(content)}
    except (OSError, safetensors.SafetensorError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is damaged or of another program ({error}). Delete it and run again."
        ) from error
    return found


def verify_tensors(path: str | Path) -> bool:
    """Compare a file with its checksum. Return False if it has none: another program wrote it.

    Raises:
        InputError: the file is missing or damaged.
    """
    return check_seal(path, _START)
