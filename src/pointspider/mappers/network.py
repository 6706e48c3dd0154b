"""The mapper: six linear layers that widen and narrow again, from point-cloud embedding to image embedding.

    BASE   norm "none"      Linear only: the mapper is one affine map
    LNORM  norm "layer"     LayerNorm after each of the first five Linear layers
    RNORM  norm "response"  LocalResponseNorm after each of the first five Linear layers

There is no activation function (paper, section IV; docs/paper.md explains the place of the norms). Hence two
shortcuts, both exact up to rounding: a trained BASE is folded into one matrix (`fold`), and for large
batches BASE and LNORM process a basis of their inputs (`Mapper.forward_in_basis`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from pointspider.core.errors import InputError
from pointspider.mappers.affine import Affine
from pointspider.mappers.base import check_embeddings
from pointspider.mappers.tensors import check_tensors, read_predictor
from pointspider.training.tensors import Arrays, write_tensors

#: Widths of the five hidden layers in multiples of the base width: 1024 → 2048 → 4096 → 8192 → 4096 →
#: 2048 → 1024 (paper, section IV).
HIDDEN = (2, 4, 8, 4, 2)

#: Rows per step of `predict`; the widest hidden layer of the paper then takes 128 MiB.
PREDICTED_AT_ONCE = 4096


@dataclass(frozen=True)
class Architecture:
    """Layers of a mapper; stored with its weights.

    Attributes:
        input_width: of the point-cloud embedding.
        output_width: of the image embedding.
        norm: none, layer or response, as `mapper.norm` of params.yaml.
        base_width: hidden layers are 2, 4, 8, 4 and 2 times this; None: the input's width (paper).
        response_size: neighbouring channels that LocalResponseNorm sums over; only for norm "response".
        hidden: widths of the hidden layers in multiples of the base width; (): a single linear layer.
    """

    input_width: int
    output_width: int
    norm: str
    base_width: int | None = None
    response_size: int = 1
    hidden: tuple[int, ...] = HIDDEN


class ChannelResponseNorm(nn.LocalResponseNorm):
    """LocalResponseNorm over the channels of (N, C); PyTorch's takes only (N, C, 1).

    The constants are PyTorch's: alpha 1e-4, beta 0.75, k 1.
    """

    def forward(self, x: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
        if self.size == 1:
            # In bfloat16 the square would overflow or lose digits; float64 stays float64
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            normalised: Tensor = _ResponseOfOne.apply(wide)
            return normalised
        return super().forward(x.unsqueeze(2)).squeeze(2)  # (N, C) → (N, C, 1) → (N, C)


class _ResponseOfOne(torch.autograd.Function):
    """LocalResponseNorm of size 1: x / s^0.75 with s = 1 + 1e-4 x²; its derivative: (1 - 0.5e-4 x²) / s^1.75.

    PyTorch's uses a padded average pool and a power, and stores their intermediate results.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        root = (x * x).mul_(1e-4).add_(1).rsqrt_()  # s^-1/2
        # Not in place: PyTorch 2.11's torch.compile loses the gradient of a result that was computed in place
        return root.sqrt().mul_(root) * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        square = (x * x).mul_(1e-4)
        root = (square + 1).rsqrt_()
        slope = root.sqrt().mul_(root).mul_(root).mul_(root)  # s^-7/4
        derivative: Tensor = slope.mul_(square.mul_(-0.5).add_(1)).mul_(gradient)
        return derivative


class _Gram(torch.autograd.Function):
    """basis @ basisᵀ, (K, width) → (K, K), with one product in the backward pass; autograd computes two."""

    @staticmethod
    def forward(ctx: Any, basis: Tensor) -> Tensor:
        ctx.save_for_backward(basis)
        return basis @ basis.T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (basis,) = ctx.saved_tensors
        product: Tensor = (gradient + gradient.T) @ basis
        return product


class _Linear(nn.Linear):
    """A linear layer of zeros: drawing PyTorch's initial weights takes 0.4 s at the paper's width."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class Mapper(nn.Module):
    """The network. A `pointspider.mappers.base.Predictor`.

    The weights of the Linear layers are 0 until `initialise` or `load_state_dict`.

    Attributes:
        architecture: its layers, with the base width as a number.
        layers: Linear, Norm, Linear, Norm, …, Linear.

    Raises:
        InputError: the norm does not exist.
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
            layers += [_Linear(width_in, width_out), _norm(norm, width_out, response_size)]
        self.layers = nn.Sequential(*layers, _Linear(widths[-1], output_width))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights of the Linear layers from PyTorch's default distribution."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5  # weights and biases are U(-bound, bound)
                with torch.no_grad():
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.uniform_(-bound, bound, generator=generator)

    @property
    def input_width(self) -> int:
        """Width of point-cloud embeddings."""
        return self.architecture.input_width

    @property
    def output_width(self) -> int:
        """Width of image embeddings."""
        return self.architecture.output_width

    def forward(self, x: Float[Tensor, "N inputs"]) -> Float[Tensor, "N outputs"]:
        mapped: Tensor = self.layers(x)
        return mapped

    def forward_in_basis(self, x: Float[Tensor, "N inputs"]) -> Float[Tensor, "N outputs"]:
        """`forward` of norm "none" and "layer", for batches with many more rows than the input is wide.

        Linear layers and LayerNorm's centring are the same linear map for all samples; LayerNorm's division
        is one number per sample. So every layer's output is `coordinates` @ `basis`, where `basis` has
        K = input_width + 1 rows or a few more, and the layers process K rows instead of N. The variance of a
        sample follows from the Gram matrix of `basis`. Result and gradients differ only by rounding. Norm
        "layer" needs float32 or wider.
        """
        first, *rest = self.layers
        assert isinstance(first, nn.Linear)
        one = x.new_ones(len(x), 1)
        coordinates = torch.cat([x, one], dim=1)  # (N, K)
        basis = torch.cat([first.weight.T, first.bias[None]])  # (K, width); the last coordinate is 1
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
            return False  # not linear in the samples
        k = architecture.input_width + 1
        weights = sum(layer.weight.numel() for layer in self.layers if isinstance(layer, nn.Linear))
        in_basis = k * weights + rows * k * architecture.output_width
        if architecture.norm == "layer":
            hidden = sum(architecture.hidden) * (architecture.base_width or architecture.input_width)
            in_basis += k**2 * hidden + rows * k**2 * len(architecture.hidden)  # Gram matrices, variances
        return in_basis < rows * weights

    @torch.inference_mode()
    def predict(
        self, embeddings: Float[np.ndarray, "*clouds inputs"]
    ) -> Float32[np.ndarray, "clouds outputs"]:
        """Map point-cloud embeddings to image embeddings.

        Raises:
            InputError: the embeddings have another width.
        """
        rows = torch.from_numpy(check_embeddings(embeddings, self.input_width))
        mapped: np.ndarray = torch.cat([self(part) for part in torch.split(rows, PREDICTED_AT_ONCE)]).numpy()
        return mapped

    def save(self, path: str | Path) -> None:
        """Write weights and architecture as safetensors, BASE also folded. Equal weights give equal bytes."""
        state = {name: value.cpu().numpy() for name, value in self.state_dict().items()}
        if self.architecture.norm == "none":
            folded = fold(self)
            state |= {"folded.weight": folded.weight, "folded.bias": folded.bias}
        write_tensors(path, state, {"kind": "network", "architecture": asdict(self.architecture)})


@torch.inference_mode()
def fold(mapper: Mapper) -> Affine:
    """Multiply the layers of a BASE mapper out, in float64.

    Raises:
        ValueError: the mapper has a norm, so it is not affine.
    """
    if mapper.architecture.norm != "none":
        raise ValueError(f"a mapper with norm '{mapper.architecture.norm}' is not an affine map")
    matrix = torch.eye(mapper.input_width, dtype=torch.float64)
    bias = torch.zeros(mapper.input_width, dtype=torch.float64)
    for linear in mapper.layers[0::2]:
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.double().T.cpu()
        matrix, bias = matrix @ weight, bias @ weight + linear.bias.double().cpu()
    return Affine(matrix.float().numpy(), bias.float().numpy())


def _norm(name: str, width: int, response_size: int) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "layer":
        return nn.LayerNorm(width)
    if name == "response":
        return ChannelResponseNorm(response_size)
    raise InputError(f"mapper.norm: '{name}' does not exist; choose none, layer or response.")


def architecture_of(path: str | Path, content: Mapping[str, Any]) -> Architecture:
    """Return the architecture of the network that `read_predictor` read.

    Raises:
        InputError: it is not one.
    """
    try:
        values = content["architecture"]
        _norm(values["norm"], 1, 1)  # raises if the name does not exist
        return Architecture(**{**values, "hidden": tuple(values["hidden"])})
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a complete mapper ({error}). Delete it and run again.") from error


def mapper_of(path: str | Path, tensors: Arrays, content: Mapping[str, Any]) -> Mapper:
    """Return the network that `read_predictor` read, on the CPU, in eval mode.

    Raises:
        InputError: the tensors do not fit the architecture, or hold NaN or inf because the training diverged.
    """
    mapper = Mapper(**asdict(architecture_of(path, content)))
    state = {name: value for name, value in tensors.items() if name.startswith("layers.")}
    check_tensors(path, {name: tuple(value.shape) for name, value in mapper.state_dict().items()}, state)
    mapper.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return mapper.eval()


def load_mapper(path: str | Path) -> Mapper:
    """Load a network on the CPU, in eval mode.

    Raises:
        InputError: the file is missing, damaged or not a network; its weights do not fit its architecture, or
            hold NaN or inf because the training diverged.
    """
    return mapper_of(path, *read_predictor(path))
