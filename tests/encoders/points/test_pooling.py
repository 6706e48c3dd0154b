"""The maximum of normalised outputs and its gradient, against automatic differentiation."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pointspider.encoders.points.layers import PointwiseLinear, max_over_network
from pointspider.encoders.points.pooling import largest, largest_in_chunks, normalized_maximum


def layers(dtype: torch.dtype = torch.float64, bias: bool = True) -> tuple[PointwiseLinear, nn.BatchNorm1d]:
    """Random layers from 6 to 40 channels, half of them with a negative gain."""
    torch.manual_seed(0)
    linear, norm = PointwiseLinear(6, 40, bias), nn.BatchNorm1d(40)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 1.5)
    assert 10 < (norm.weight < 0).sum() < 30
    return linear.to(dtype), norm.to(dtype)


def clouds(count: int = 4, points: int = 30, dtype: torch.dtype = torch.float64) -> Tensor:
    """Points far from the origin, the channels on different scales."""
    x = torch.randn(count, points, 6, generator=torch.Generator().manual_seed(1))
    return (x * torch.tensor([1, 2, 0.1, 1, 3, 1]) + 2).relu().to(dtype).requires_grad_()


def plain(x: Tensor, linear: nn.Module, norm: nn.Module) -> Tensor:
    """The same by PyTorch's layers."""
    return norm(linear(x).flatten(0, 1)).unflatten(0, x.shape[:2]).max(dim=1)[0]


def results(function, x, linear, norm) -> dict[str, Tensor]:
    """The output, every gradient and every buffer."""
    linear, norm = copy.deepcopy(linear), copy.deepcopy(norm)
    parameters = {f"linear.{name}": p for name, p in linear.named_parameters()}
    parameters |= {f"norm.{name}": p for name, p in norm.named_parameters()}
    output = function(x, linear, norm)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(output, [x, *parameters.values()], weights.to(output.dtype))
    return {
        "output": output,
        **dict(zip(["x", *parameters], gradients, strict=True)),
        **dict(norm.named_buffers()),
    }


def by_network(x: Tensor, linear: nn.Module, norm: nn.Module) -> Tensor:
    return max_over_network(x, [(linear, norm)])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4, 30), (1, 7), (5, 300)])  # 300 points: more than a chunk
def test_equals_automatic_differentiation(shape, bias):
    x = clouds(*shape)
    found, expected = (results(function, x, *layers(bias=bias)) for function in (by_network, plain))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("points", [1, 30, 300])
def test_largest_of_a_gpu_are_those_of_a_cpu(points):
    rows, weight = clouds(5, points).detach().flatten(0, 1), torch.rand(40, 6, dtype=torch.float64)
    (values, index), (expected, numbers) = (
        function(rows, weight, 5) for function in (largest_in_chunks, largest)
    )
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)
    assert index.equal(numbers)


def test_one_of_equal_points_gets_the_gradient():
    x = clouds().detach()
    x[:, 20:] = x[:, :10]
    x.requires_grad_()
    found, expected = (results(function, x, *layers()) for function in (by_network, plain))
    for result in (found, expected):  # which of them is PyTorch's choice
        gradient = result.pop("x")
        result["pairs"] = gradient[:, 20:] + gradient[:, :10]
        result["others"] = gradient[:, 10:20]
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9)


def test_follows_two_batches_in_training_and_eval_mode():
    linear, norm = layers()
    other_linear, other_norm = copy.deepcopy(linear), copy.deepcopy(norm)
    for shape in [(4, 30), (3, 20)]:
        normalized_maximum(clouds(*shape), linear.weight[:, :, 0], linear.bias, norm)
        plain(clouds(*shape), other_linear, other_norm)
    assert norm.num_batches_tracked == 2
    for module in (norm, other_norm):
        module.eval()
    torch.testing.assert_close(
        by_network(clouds(), linear, norm), plain(clouds(), other_linear, other_norm), rtol=1e-9, atol=1e-9
    )


def test_single_precision_and_bfloat16():
    exact = results(by_network, clouds(), *layers())
    x = clouds(dtype=torch.float32)
    single = results(by_network, x, *layers(torch.float32))
    for name, value in exact.items():
        torch.testing.assert_close(single[name].to(value.dtype), value, rtol=1e-3, atol=1e-4)
    linear, norm = layers(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):  # the layers before multiply in bfloat16, this one does not
        output = normalized_maximum(x.bfloat16(), linear.weight[:, :, 0], linear.bias, norm)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, exact["output"].float(), rtol=0.02, atol=0.05)
