"""The mapper: six linear layers that widen and narrow again, from point-cloud embedding to image embedding.

    BASE   norm "none"      Linear only: the whole mapper is one affine map
    LNORM  norm "layer"     LayerNorm after each of the first five Linear layers
    RNORM  norm "response"  LocalResponseNorm after each of the first five Linear layers

There is no activation function (paper, section IV; docs/paper.md tells how the norms' place was read). Hence
two shortcuts, both exact but for rounding: a trained BASE is folded into one matrix (`fold`), and on large
batches BASE and LNORM take a basis of their inputs through the layers (`Mapper.forward_in_basis`).
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from pointspider.core.errors import InputError
from pointspider.core.files import atomic
from pointspider.mappers.base import point_embeddings

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
        hidden: widths of the hidden layers in multiples of the base width; (): one linear layer, a baseline.
    """

    input_width: int
    output_width: int
    norm: str
    base_width: int | None = None
    response_size: int = 1
    hidden: tuple[int, ...] = HIDDEN


class ChannelResponseNorm(nn.LocalResponseNorm):
    """LocalResponseNorm over the channels of (N, C), which PyTorch's own takes only as (N, C, 1).

    Its constants are PyTorch's: alpha 1e-4, beta 0.75, k 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.size == 1:
            # Its square would overflow or lose digits in bfloat16; float64 stays float64.
            return _ResponseOfOne.apply(x.to(torch.promote_types(x.dtype, torch.float32)))
        return super().forward(x.unsqueeze(2)).squeeze(2)  # (N, C) → (N, C, 1) → (N, C)


class _ResponseOfOne(torch.autograd.Function):
    """LocalResponseNorm of size 1: x / s^0.75 with s = 1 + 1e-4 x²; its derivative: (1 - 0.5e-4 x²) / s^1.75.

    PyTorch's own goes through a padded average pool, a power and their stored intermediates.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        root = (x * x).mul_(1e-4).add_(1).rsqrt_()  # s^-1/2
        return root.sqrt().mul_(root).mul_(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        square = (x * x).mul_(1e-4)
        root = (square + 1).rsqrt_()
        slope = root.sqrt().mul_(root).mul_(root).mul_(root)  # s^-7/4
        return slope.mul_(square.mul_(-0.5).add_(1)).mul_(gradient)


class _Gram(torch.autograd.Function):
    """basis @ basisᵀ, (K, width) → (K, K), whose backward pass is one product; autograd's own makes two."""

    @staticmethod
    def forward(ctx: FunctionCtx, basis: Tensor) -> Tensor:
        ctx.save_for_backward(basis)
        return basis @ basis.T

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        (basis,) = ctx.saved_tensors
        return (gradient + gradient.T) @ basis


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
        hidden: Sequence[int] = HIDDEN,
    ):
        super().__init__()
        base_width, hidden = base_width or input_width, tuple(hidden)
        self.architecture = Architecture(input_width, output_width, norm, base_width, response_size, hidden)
        widths = [input_width, *(base_width * multiple for multiple in hidden)]
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

    def forward_in_basis(self, x: Tensor) -> Tensor:
        """`forward` of norm "none" and "layer" for batches with many more rows than the input is wide.

        Linear layers and LayerNorm's centring map all samples alike; LayerNorm's division is one number per
        sample. So every layer's output is `coordinates` @ `basis`, with K = input_width + 1 or a few more:
        the K basis rows go through the layers instead of the N samples. A sample's variance comes from the
        basis' Gram matrix. Same result and gradients but for rounding; float32 or wider only.
        """
        first, *rest = self.layers
        one = x.new_ones(len(x), 1)
        coordinates = torch.cat([x, one], dim=1)  # (N, K)
        basis = torch.cat([first.weight.T, first.bias[None]])  # (K, width); the last coordinate is always 1
        for layer in rest:
            if isinstance(layer, nn.Linear):
                basis = basis @ layer.weight.T
                basis[-1] += layer.bias
            elif isinstance(layer, nn.LayerNorm):
                basis = basis - basis.mean(dim=1, keepdim=True)
                gram = _Gram.apply(basis) / basis.shape[1]  # (K, K)
                variance = (coordinates @ gram * coordinates).sum(dim=1, keepdim=True)  # (N, 1)
                scale = torch.rsqrt(variance.clamp_min(0) + layer.eps)  # rounding may fall below 0
                coordinates = torch.cat([coordinates * scale, one], dim=1)  # (N, K + 1)
                basis = torch.cat([basis * layer.weight, layer.bias[None]])  # (K + 1, width)
        return coordinates @ basis  # (N, output_width)

    def basis_pays(self, rows: int) -> bool:
        """Whether, for a batch of `rows`, `forward_in_basis` needs fewer multiplications than `forward`."""
        architecture = self.architecture
        if architecture.norm == "response":
            return False  # it bends every sample in its own way
        k = architecture.input_width + 1
        weights = sum(layer.weight.numel() for layer in self.layers if isinstance(layer, nn.Linear))
        in_basis = k * weights + rows * k * architecture.output_width
        if architecture.norm == "layer":
            hidden = sum(architecture.hidden) * architecture.base_width
            in_basis += k**2 * hidden + rows * k**2 * len(architecture.hidden)  # Gram matrices, variances
        return in_basis < rows * weights

    @torch.inference_mode()
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Map point-cloud embeddings, (n, input_width), to image embeddings, (n, output_width) float32.

        Raises:
            InputError: the embeddings have another width.
        """
        rows = torch.from_numpy(point_embeddings(embeddings, self.architecture.input_width))
        return torch.cat([self(part) for part in rows.split(PREDICTED_AT_ONCE)]).numpy()


@dataclass(frozen=True)
class AffineMapper:
    """A BASE mapper after training: x @ matrix + bias.

    Attributes:
        matrix: (input_width, output_width) float32.
        bias: (output_width,) float32.
    """

    matrix: Tensor
    bias: Tensor

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """As `Mapper.predict`."""
        rows = torch.from_numpy(point_embeddings(embeddings, len(self.matrix)))
        return torch.addmm(self.bias, rows, self.matrix).numpy()


@torch.inference_mode()
def fold(mapper: Mapper) -> AffineMapper:
    """The one matrix that a BASE mapper is, multiplied out in float64.

    Raises:
        ValueError: the mapper has a norm, so it is no matrix.
    """
    if mapper.architecture.norm != "none":
        raise ValueError(f"a mapper with norm '{mapper.architecture.norm}' is no affine map")
    matrix = torch.eye(mapper.architecture.input_width, dtype=torch.float64)
    bias = torch.zeros(mapper.architecture.input_width, dtype=torch.float64)
    for linear in mapper.layers[0::2]:
        weight = linear.weight.double().T
        matrix, bias = matrix @ weight, bias @ weight + linear.bias.double()
    return AffineMapper(matrix.float(), bias.float())


def _norm(name: str, width: int, response_size: int) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "layer":
        return nn.LayerNorm(width)
    if name == "response":
        return ChannelResponseNorm(response_size)
    raise InputError(f"mapper.norm: '{name}' does not exist; choose none, layer or response.")


def save_mapper(path: str | Path, mapper: Mapper) -> None:
    """Write weights and architecture as safetensors, BASE also folded. Equal weights give equal bytes."""
    # One metadata key, because safetensors does not fix the order of several.
    metadata = {"architecture": json.dumps(asdict(mapper.architecture))}
    state = {name: value.contiguous().cpu() for name, value in mapper.state_dict().items()}
    if mapper.architecture.norm == "none":
        state |= {f"folded.{name}": value for name, value in vars(fold(mapper)).items()}
    with atomic(path) as temporary:
        save_file(state, temporary, metadata)


def load_predictor(path: str | Path) -> Mapper | AffineMapper:
    """Read what maps clouds fastest: a BASE mapper folded, the others as they are; both have `predict`.

    Raises:
        InputError: as `load_mapper`.
    """
    architecture, state = _read(path, prefix="folded.")
    if architecture.norm != "none":
        return load_mapper(path)
    shape = (architecture.input_width, architecture.output_width)
    _check_state(path, architecture, {"folded.matrix": shape, "folded.bias": shape[1:]}, state)
    return AffineMapper(state["folded.matrix"], state["folded.bias"])


def load_mapper(path: str | Path) -> Mapper:
    """Read the network that `save_mapper` wrote.

    Raises:
        InputError: the file is missing, broken or no mapper; its weights do not fit its architecture, or hold
            NaN or inf because the training diverged.
    """
    architecture, state = _read(path, prefix="layers.")
    mapper = Mapper(**asdict(architecture))
    _check_state(
        path, architecture, {name: tuple(value.shape) for name, value in mapper.state_dict().items()}, state
    )
    mapper.load_state_dict(state)
    return mapper.eval()


def _read(path: str | Path, prefix: str) -> tuple[Architecture, dict[str, Tensor]]:
    """The architecture of a saved mapper, and those of its tensors whose names begin with `prefix`."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            architecture = Architecture(**json.loads(file.metadata()["architecture"]))
            _norm(architecture.norm, 1, architecture.response_size)  # refuses a name that does not exist
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return architecture, {name: file.get_tensor(name) for name in names}
    except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a whole mapper ({error}). Delete it and train again.") from error


def _check_state(
    path: str | Path, architecture: Architecture, wanted: dict[str, tuple], state: dict[str, Tensor]
) -> None:
    """Refuse tensors that are not `wanted`, by name and shape, or that a diverged training left."""
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise InputError(
                f"{path}: {name} has the shape {found.get(name)}, but {architecture} needs "
                f"{wanted.get(name)}. Delete it and train again."
            )
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise InputError(
            f"{path}: its weights hold NaN or inf, so its training diverged. Lower mapper.learning_rate."
        )
