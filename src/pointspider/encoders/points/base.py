"""Point encoders behind one interface: embed clouds, name their classes, and keep the encoders in files.

B is clouds in a batch, N points per cloud, M clouds.
"""

import codecs
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pointspider.core.errors import InputError
from pointspider.core.files import atomic
from pointspider.encoders.points.pointnet import PointNet
from pointspider.encoders.points.pointnet_vanilla import PointNetVanilla
from pointspider.training.device import pick_device

PointEncoder = PointNet | PointNetVanilla

#: `encoders.points.name`: the architectures. Each is a classifier with a global feature (B, 1024).
ARCHITECTURES: dict[str, type[PointEncoder]] = {"pointnet": PointNet, "pointnet_vanilla": PointNetVanilla}


def encode(model: PointEncoder, points: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Global features of clouds with any one number of points.

    Args:
        model: in eval mode, as `load_point_encoder` returns it.
        points: (M, N, 3) float32.
        batch_size: clouds that go through the model at once.

    Returns:
        (M, 1024) float32.
    """
    return _apply(model.global_feature, model, points, batch_size)


def classify(model: PointEncoder, points: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Class numbers of clouds, (M,) int64; arguments as for `encode`."""
    return _apply(lambda x: model(x)[0].argmax(dim=1), model, points, batch_size)


def class_logits(model: PointEncoder, features: np.ndarray) -> np.ndarray:
    """What the classifier makes of global features, (M, 1024) float32: logits (M, classes)."""
    return _apply(model.logits, model, features, batch_size=4096)


def _apply(function: Callable, model: PointEncoder, values: np.ndarray, batch_size: int) -> np.ndarray:
    device = next(model.parameters()).device
    with torch.inference_mode():
        results = [function(batch.to(device)) for batch in torch.tensor(values).split(batch_size)]
    return torch.cat(results).cpu().numpy()


# ------------------------------------------------------------------------------------------------ files


def save_point_encoder(path: str | Path, name: str, model: PointEncoder) -> None:
    """Write a model of the architecture `name` as safetensors; equal weights give equal bytes."""
    classes = getattr(model, model.LAST_LAYER).out_features
    # One entry: safetensors writes several in random order
    metadata = {"point_encoder": json.dumps({"name": name, "classes": classes})}
    with atomic(path) as temporary:
        save_file(model.state_dict(), temporary, metadata=metadata)


def load_point_encoder(name: str, path: str | Path, device: str = "auto") -> PointEncoder:
    """Load a point encoder with as many classes as the file has.

    Args:
        name: a key of `ARCHITECTURES`.
        path: what `save_point_encoder` wrote (.safetensors), or tensors that `torch.save` pickled: a
            dictionary of them, or one with `model_state` as ModelNet40-C's benchmark writes it, with the
            prefixes of its wrappers and NumPy scalars beside it.
        device: see `device.pick_device`.

    Returns:
        The model in eval mode.

    Raises:
        InputError: the file is missing, broken, or holds another model; its tensors' names then are told.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"encoders.points.checkpoint: there is no file {path}.")
    state = _read_own(path, name) if path.suffix == ".safetensors" else _read_pickled(path)
    architecture = ARCHITECTURES[name]
    bias = state.get(f"{architecture.LAST_LAYER}.bias")
    classes = 1 if bias is None else len(bias)
    model = architecture(classes)
    wanted = model.state_dict()
    wrong = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": [key for key in wanted if key in state and state[key].shape != wanted[key].shape],
    }
    if found := "; ".join(f"{what}: {', '.join(keys)}" for what, keys in wrong.items() if keys):
        raise InputError(f"{path}: is no {name} (encoders.points.name). Tensors {found}.")
    model.load_state_dict(state)
    return model.to(pick_device(device)).eval()


def _read_own(path: Path, name: str) -> dict[str, torch.Tensor]:
    """Tensors of a file that `save_point_encoder` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("point_encoder", "{}"))
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: is not a whole safetensors file ({error}).") from error
    if metadata.get("name") != name:
        raise InputError(f"{path}: its metadata tells of no {name}, but of {metadata.get('name')}.")
    return state


def _read_pickled(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file that `torch.save` wrote, without the wrappers' prefixes. No code in it can run.

    The benchmark's checkpoint has scores beside the tensors, as NumPy scalars; these are the only further
    types that are read.
    """
    scalar = np.float64(0).__reduce__()[0]
    allowed = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # its name in NumPy 1
        np.dtype,
        *(type(np.dtype(name)) for name in ("float32", "float64", "int64")),
        codecs.encode,
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: is no file of tensors that is safe to read ({error}).") from error
    state = content.get("model_state", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: is neither a dictionary of tensors nor one with 'model_state'.")
    return {key.removeprefix("module.").removeprefix("model."): tensor for key, tensor in state.items()}
