"""The mapper: six linear layers that widen and narrow again, from point-cloud embedding to image embedding.

    BASE   norm "none"      Linear only: the whole mapper is one affine map
    LNORM  norm "layer"     LayerNorm after each of the first five Linear layers
    RNORM  norm "response"  LocalResponseNorm after each of the first five Linear layers

There is no activation function (paper, section IV; docs/paper.md tells how the norms' place was read).
"""

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pointspider.errors import InputError
from pointspider.storage import atomic

#: Widths of the five hidden layers in multiples of the base width: 1024 → 2048 → 4096 → 8192 → 4096 →
#: 2048 → 1024 (paper, section IV).
HIDDEN = (2, 4, 8, 4, 2)

#: Rows; bounds the memory of the hidden layers, 128 MiB for the widest at full width.
PREDICTED_AT_ONCE = 4096


@dataclass(frozen=True)
class Architecture:
    """What a mapper is before it has weights; stored beside them.

    Attributes:
        input_width: of the point-cloud embedding.
        output_width: of the image embedding.
        norm: none, layer or response, as `mapper.norm` of params.yaml.
        base_width: hidden layers are 2, 4, 8, 4 and 2 times this; None: the input's width (paper).
        response_size: neighbouring channels that LocalResponseNorm sums over; used by norm "response" alone.
    """

    input_width: int
    output_width: int
    norm: str
    base_width: int | None = None
    response_size: int = 1


class ChannelResponseNorm(nn.LocalResponseNorm):
    """LocalResponseNorm over the channels of (N, C), which PyTorch's own takes only as (N, C, 1).

    Its constants are PyTorch's: alpha 1e-4, beta 0.75, k 1. With size 1 it is x / (1 + 1e-4 x²)^0.75.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)  # (N, C) → (N, C, 1) → (N, C)


class Mapper(nn.Module):
    """Maps (N, input_width) to (N, output_width), float32.

    Attributes:
        architecture: its `Architecture`, with the base width as a number.
        layers: Linear, Norm, Linear, Norm, …, Linear.

    Raises:
        InputError: the norm has no such name.
    """

    def __init__(
        self,
        input_width: int,
        output_width: int,
        norm: str,
        base_width: int | None = None,
        response_size: int = 1,
    ):
        super().__init__()
        base_width = base_width or input_width
        self.architecture = Architecture(input_width, output_width, norm, base_width, response_size)
        widths = [input_width, *(base_width * multiple for multiple in HIDDEN)]
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), _norm(norm, width_out, response_size)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], output_width))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights from `generator`, from PyTorch's default distribution of Linear layers."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5  # weights and biases are U(-bound, bound)
                with torch.no_grad():
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # (N, input_width) → (N, output_width)

    @torch.inference_mode()
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Map point-cloud embeddings, (n, input_width), to image embeddings, (n, output_width) float32.

        Raises:
            InputError: the embeddings have another width.
        """
        width = self.architecture.input_width
        if embeddings.ndim != 2 or embeddings.shape[1] != width:
            raise InputError(
                f"the mapper takes point embeddings of shape (n, {width}), not {embeddings.shape}: "
                "use the point encoder that it was trained with."
            )
        rows = torch.as_tensor(embeddings, dtype=torch.float32)
        return torch.cat([self(part) for part in rows.split(PREDICTED_AT_ONCE)]).numpy()


def _norm(name: str, width: int, response_size: int) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "layer":
        return nn.LayerNorm(width)
    if name == "response":
        return ChannelResponseNorm(response_size)
    raise InputError(f"mapper.norm: '{name}' does not exist; choose none, layer or response.")


def save_mapper(path: str | Path, mapper: Mapper) -> None:
    """Write weights and architecture as safetensors. Equal weights give equal bytes."""
    # One metadata key, because safetensors does not fix the order of several.
    metadata = {"architecture": json.dumps(asdict(mapper.architecture))}
    state = {name: value.contiguous().cpu() for name, value in mapper.state_dict().items()}
    with atomic(path) as temporary:
        save_file(state, temporary, metadata)


def load_mapper(path: str | Path) -> Mapper:
    """Read a mapper that `save_mapper` wrote.

    Raises:
        InputError: the file is missing, broken or no mapper; its weights do not fit its architecture, or hold
            NaN or inf because the training diverged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            mapper = Mapper(**json.loads(file.metadata()["architecture"]))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a whole mapper ({error}). Delete it and train again.") from error
    wanted = {name: tuple(value.shape) for name, value in mapper.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise InputError(
                f"{path}: {name} has the shape {found.get(name)}, but {mapper.architecture} needs "
                f"{wanted.get(name)}. Delete it and train again."
            )
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise InputError(
            f"{path}: its weights hold NaN or inf, so its training diverged. Lower mapper.learning_rate."
        )
    mapper.load_state_dict(state)
    return mapper.eval()
