"""Registry of point encoders: one file per architecture in `pointspider.encoders.points.architectures`.

A file registers its class under the file's name:

    @register_point_encoder("pointnet")
    class PointNet(PointClassifier): ...

The names are known without importing PyTorch; a class is imported when it is first looked up.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pointspider.core.errors import InputError
from pointspider.core.registry import Registry
from pointspider.encoders.points import architectures

if TYPE_CHECKING:
    from pointspider.encoders.points.module import PointClassifier, PointEncoderModule

_Class = TypeVar("_Class", bound="type[PointEncoderModule]")


class _PointEncoders(Registry["type[PointEncoderModule]"]):
    """Imports a module only when its class is looked up. The modules have the names of their classes."""

    def __init__(self) -> None:
        super().__init__(architectures.__name__, "point encoder")
        self._modules = {module.name for module in pkgutil.iter_modules(architectures.__path__)}

    def __getitem__(self, name: str) -> type[PointEncoderModule]:
        if name in self._modules and name not in self._entries:
            importlib.import_module(f"{self.package}.{name}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._modules | self._entries.keys()))

    def __len__(self) -> int:
        return len(self._modules | self._entries.keys())


#: The classes by name. `list_point_encoders` gives the names.
POINT_ENCODERS = _PointEncoders()


def register_point_encoder(name: str) -> Callable[[_Class], _Class]:
    """Class decorator: register a point encoder as `name`, a value of `encoders.points.name`."""
    return POINT_ENCODERS.register(name)


def list_point_encoders() -> list[str]:
    """Names of the registered point encoders, sorted. Does not import PyTorch."""
    return list(POINT_ENCODERS)


def create_point_encoder(name: str, classes: int) -> PointClassifier:
    """Create a trainable point encoder with random weights from PyTorch's global random state.

    Args:
        name: one of `list_point_encoders`.
        classes: outputs of the classifier.

    Raises:
        InputError: the name is not registered, or the encoder has no classifier.
    """
    from pointspider.encoders.points.module import PointClassifier

    architecture = POINT_ENCODERS.find(name, "encoders.points.name")
    if not issubclass(architecture, PointClassifier):
        raise InputError(
            f"encoders.points.name: {name} has no classifier, so it cannot be trained. Give "
            "encoders.points.checkpoint, or choose another encoder."
        )
    return architecture(classes)


def save_point_encoder(path: str | Path, name: str, model: PointEncoderModule) -> None:
    """Write a point encoder as safetensors. Equal weights give equal bytes."""
    from pointspider.encoders.points.module import PointClassifier
    from pointspider.training.tensors import write_tensors

    classes = {"classes": model.classes} if isinstance(model, PointClassifier) else {}
    points = {"points": model.points} if model.points != type(model).points else {}
    space = {"space": model.space} if model.space != type(model).space else {}
    state = {key: tensor.cpu().numpy() for key, tensor in model.state_dict().items()}
    write_tensors(path, state, {"name": name, **classes, **points, **space})


def load_point_encoder(
    name: str, path: str | Path, device: str = "auto", classes: int | None = None
) -> PointEncoderModule:
    """Load a point encoder. The file determines the number of classes.

    Args:
        name: one of `list_point_encoders`.
        path: a file of `save_point_encoder`, or a published checkpoint (see
            `pointspider.encoders.checkpoints.read_checkpoint`).
        device: see `pointspider.training.device.pick_device`.
        classes: of the clouds that the encoder is to classify; None: it only embeds.

    Returns:
        The model in eval mode.

    Raises:
        InputError: the file is missing, damaged, or contains another model (the message lists the tensors
            that do not match), or a classifier of another number of classes.
    """
    from pointspider.encoders.checkpoints import describe_mismatch, read_checkpoint, reshape_like
    from pointspider.encoders.points.module import PointClassifier
    from pointspider.training.device import pick_device

    architecture = POINT_ENCODERS.find(name, "encoders.points.name")
    if classes is not None and not issubclass(architecture, PointClassifier):
        raise InputError(f"encoders.points.name: {name} has no classifier, so it cannot classify clouds.")
    tensors, description = read_checkpoint(path)
    saved = {"name": name} | description
    if saved["name"] != name:
        raise InputError(f"{path}: contains a {saved['name']}, not a {name} (encoders.points.name).")
    state = architecture.convert(tensors)
    model = architecture.create_for(state)
    state = reshape_like(model.state_dict(), state)
    if mismatch := describe_mismatch(model.state_dict(), state):
        raise InputError(f"{path}: not a checkpoint of {name} (encoders.points.name). Tensors {mismatch}.")
    if classes is not None and isinstance(model, PointClassifier) and model.classes != classes:
        raise InputError(f"{path}: a classifier of {model.classes} classes, but the clouds have {classes}.")
    model.load_state_dict(state)
    model.points, model.space = saved.get("points", model.points), saved.get("space", model.space)
    return model.to(pick_device(device)).eval()


def encoder_space(name: str, path: str | Path) -> str | None:
    """Return the CLIP in whose projected space an encoder embeds, or None. Does not import PyTorch.

    Args:
        name: one of `list_point_encoders`.
        path: its weights. A file of `save_point_encoder` may name another CLIP than the architecture; a file
            that does not exist yet cannot.
    """
    from pointspider.training.tensors import read_content

    if Path(path).suffix == ".safetensors" and Path(path).is_file():
        try:
            saved = read_content(path)
        except InputError:  # of another program; if it is damaged, the job that loads it reports it
            saved = {}
        if saved.get("space"):
            return str(saved["space"])
    module = Path(architectures.__path__[0]) / f"{name}.py"
    values = (
        node.value.value
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [ast.unparse(target) for target in node.targets] == ["space"]
    )
    space = next(values, None)
    return str(space) if space else None
