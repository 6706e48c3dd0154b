"""The mapper's architecture against formulas, and its checkpoints."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pointspider.core.errors import InputError
from pointspider.mappers.affine import Affine
from pointspider.mappers.base import LABELS
from pointspider.mappers.files import load_predictor
from pointspider.mappers.network import ChannelResponseNorm, Mapper, fold, load_mapper
from pointspider.training.tensors import read_tensors, write_tensors

NORMS = list(LABELS)


def make_mapper(norm: str, input_width: int = 6, output_width: int = 5, base_width: int | None = 4) -> Mapper:
    mapper = Mapper(input_width, output_width, norm, base_width)
    mapper.initialise(torch.Generator().manual_seed(0))
    return mapper


def linear_shapes(mapper: Mapper) -> list[tuple[int, int]]:
    return [
        (layer.in_features, layer.out_features) for layer in mapper.layers if isinstance(layer, nn.Linear)
    ]


def test_full_width_is_the_papers():
    with torch.device("meta"):
        mapper = Mapper(1024, 1024, "none")
    chain = [1024, 2048, 4096, 8192, 4096, 2048, 1024]
    assert linear_shapes(mapper) == list(itertools.pairwise(chain))
    assert sum(parameter.numel() for parameter in mapper.parameters()) == sum(
        (a + 1) * b for a, b in itertools.pairwise(chain)
    )


def test_base_width_sets_the_hidden_layers_alone():
    mapper = make_mapper("layer", 10, 7, base_width=3)
    assert linear_shapes(mapper) == [(10, 6), (6, 12), (12, 24), (24, 12), (12, 6), (6, 7)]
    assert mapper.architecture.base_width == 3
    assert make_mapper("layer", 10, 7, base_width=None).architecture.base_width == 10


@pytest.mark.parametrize(
    ("norm", "kind"), [("none", nn.Identity), ("layer", nn.LayerNorm), ("response", nn.LocalResponseNorm)]
)
def test_a_norm_follows_each_linear_layer_but_the_last(norm, kind):
    layers = list(make_mapper(norm).layers)
    assert len(layers) == 11
    assert all(isinstance(layer, nn.Linear) for layer in layers[0::2])
    assert all(isinstance(layer, kind) for layer in layers[1::2])


def test_base_is_affine_and_the_others_are_not():
    x, y = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 50
    zero = torch.zeros(1, 6, dtype=torch.float64)
    for norm in NORMS:
        f = make_mapper(norm).double()
        affine = torch.allclose(f(x + y) + f(zero), f(x) + f(y), rtol=1e-9, atol=1e-9)
        assert affine == (norm == "none"), norm


def test_layer_norm_mapper_equals_the_formula():
    mapper = make_mapper("layer").double()
    x = np.random.default_rng(0).normal(size=(4, 6))
    expected = x
    for number in range(6):
        linear = mapper.layers[2 * number]
        expected = expected @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        if number < 5:
            centred = expected - expected.mean(axis=1, keepdims=True)
            expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(mapper(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-10)


def test_response_norm_of_size_1_falls_beyond_141():
    x = torch.tensor([[-300.0, -1.0, 0.0, 0.5, 141.0, 142.0, 1e4]], dtype=torch.float64)
    norm = ChannelResponseNorm(1)
    torch.testing.assert_close(norm(x), x / (1 + 1e-4 * x**2) ** 0.75)
    peak = norm(torch.tensor([[100.0, 2**0.5 * 100, 200.0]]))[0]
    assert peak.argmax() == 1


def test_response_norm_of_size_1_equals_pytorchs_with_its_gradient():
    x = (
        torch.randn(6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 150
    ).requires_grad_()
    ours, theirs = ChannelResponseNorm(1)(x), nn.LocalResponseNorm(1)(x.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    upstream = torch.randn_like(ours)
    expected = torch.autograd.grad(theirs, x, upstream)[0]
    torch.testing.assert_close(torch.autograd.grad(ours, x, upstream)[0], expected, rtol=1e-9, atol=1e-12)


def test_response_norm_of_size_1_keeps_the_digits_of_half_precision():
    x = torch.tensor([[300.0, 1e20]], dtype=torch.bfloat16)
    y = ChannelResponseNorm(1)(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y[0, 0].item(), 300 / 10**0.75, rtol=1e-6, atol=0)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_forward_in_basis_equals_forward_with_its_gradients(norm):
    mapper = make_mapper(norm).double()
    random = torch.Generator().manual_seed(1)
    for parameter in mapper.parameters():  # LayerNorm's own begin as 1 and 0
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=random, dtype=torch.float64)
    x = torch.randn(50, 6, generator=random, dtype=torch.float64)
    outputs = mapper(x), mapper.forward_in_basis(x)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-10, atol=1e-12)
    expected, found = (torch.autograd.grad(y.abs().mean(), list(mapper.parameters())) for y in outputs)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_equal_samples_have_no_variance_to_lose_in_a_basis():
    """A Gram matrix can round a variance below zero."""
    mapper = make_mapper("layer")
    with torch.no_grad():
        mapper.layers[0].weight.fill_(1e-3)
        mapper.layers[0].bias.zero_()
    x = 1e3 * torch.ones(40, 6)
    torch.testing.assert_close(mapper.forward_in_basis(x), mapper(x), rtol=1e-2, atol=1e-2)


def test_a_basis_pays_for_batches_much_larger_than_the_input():
    with torch.device("meta"):
        base, layer, response = (Mapper(1024, 1024, norm) for norm in NORMS)
        narrow = Mapper(1024, 96, "layer", base_width=64)
    assert [base.basis_pays(rows) for rows in (256, 1000, 1100, 2048)] == [False, False, True, True]
    assert [layer.basis_pays(rows) for rows in (256, 1300, 1500, 2048)] == [False, False, True, True]
    assert not response.basis_pays(10**6)
    assert not narrow.basis_pays(10**6)


def test_folded_base_equals_the_network(tmp_path):
    mapper = make_mapper("none", 40, 30, base_width=50)
    x = np.random.default_rng(0).normal(size=(200, 40)).astype(np.float32)
    folded = fold(mapper)
    assert (folded.weight.shape, folded.weight.dtype) == ((40, 30), np.float32)
    np.testing.assert_allclose(folded.predict(x), mapper.predict(x), rtol=1e-4, atol=1e-6)
    exact = mapper.double()(torch.from_numpy(x).double()).detach().numpy()
    np.testing.assert_allclose(folded.predict(x), exact, rtol=1e-4, atol=2e-7)
    with pytest.raises(InputError, match=r"\(n, 40\), not \(2, 39\)"):
        folded.predict(x[:2, :39])


@pytest.mark.parametrize("norm", ["layer", "response"])
def test_only_base_folds(norm):
    with pytest.raises(ValueError, match=norm):
        fold(make_mapper(norm))


def test_a_saved_mapper_predicts_the_fastest_way(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    for norm in NORMS:
        mapper = make_mapper(norm)
        mapper.save(tmp_path / norm)
        predictor = load_predictor(tmp_path / norm)
        assert isinstance(predictor, Affine if norm == "none" else Mapper)
        np.testing.assert_allclose(predictor.predict(x), mapper.predict(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state, it: it.update(input_width=9),
            r": folded\.weight has the shape \(6, 5\) instead of \(9, 5\)",
        ),
        (lambda state, it: state.pop("folded.weight"), r"folded\.bias has the shape"),
        (lambda state, it: state["folded.bias"].fill(np.inf), "NaN or inf"),
    ],
)
def test_folded_mappers_that_do_not_fit_are_refused(change, message, tmp_path):
    rewrite(tmp_path / "a", make_mapper("none"), change)
    with pytest.raises(InputError, match=message):
        load_predictor(tmp_path / "a")


def test_response_norm_of_size_3_sums_over_neighbouring_channels():
    x = np.random.default_rng(0).normal(size=(5, 7)) * 100
    padded = np.pad(x**2, ((0, 0), (1, 1)))
    neighbours = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    expected = x / (1 + 1e-4 * neighbours) ** 0.75
    np.testing.assert_allclose(ChannelResponseNorm(3)(torch.from_numpy(x)).numpy(), expected, rtol=1e-12)


def test_initial_weights_fill_pytorchs_range_and_follow_the_generator():
    mapper = make_mapper("none", 100, 50, base_width=100)
    weight = mapper.layers[0].weight.detach()
    assert 0.099 < weight.max() <= 0.1
    assert -0.1 <= weight.min() < -0.099
    assert torch.equal(weight, make_mapper("layer", 100, 50, base_width=100).layers[0].weight)


def test_predict_maps_numpy_rows():
    mapper = make_mapper("layer")
    x = np.random.default_rng(0).normal(size=(3, 6))
    y = mapper.predict(x)
    assert (y.shape, y.dtype) == ((3, 5), np.float32)
    np.testing.assert_allclose(y[1:2], mapper.predict(x[1:2]), rtol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_a_saved_mapper_is_restored_exactly(norm, tmp_path):
    mapper = make_mapper(norm)
    mapper.save(tmp_path / "a.safetensors")
    loaded = load_mapper(tmp_path / "a.safetensors")
    assert loaded.architecture == mapper.architecture
    assert not loaded.training
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    assert (loaded.predict(x) == mapper.predict(x)).all()
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_unknown_norm_is_refused():
    with pytest.raises(InputError, match=r"mapper\.norm: 'batch'.*none, layer or response"):
        Mapper(4, 4, "batch")


def test_embeddings_of_another_width_are_refused_naming_both():
    with pytest.raises(InputError, match=r"\(n, 6\), not \(3, 7\)"):
        make_mapper("none").predict(np.zeros((3, 7), np.float32))


def rewrite(path, mapper: Mapper, change) -> None:
    """Save `mapper` after `change(state, architecture)`."""
    mapper.save(path)
    state, architecture = read_tensors(path)[0], vars(mapper.architecture).copy()
    change(state, architecture)
    write_tensors(path, state, {"kind": "network", "architecture": architecture})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state, it: it.update(input_width=9), r"layers\.0\.weight has the shape \(8, 6\).*\(8, 9\)"),
        (lambda state, it: it.update(base_width=5), r"shape \(8,\).*instead of \(10,\)"),
        (
            lambda state, it: state.pop("layers.10.bias"),
            r"layers\.10\.bias has the shape None instead of \(5,\)",
        ),
        (lambda state, it: it.update(norm="layer"), r"layers\.1\.bias has the shape None.*instead of \(8,\)"),
        (
            lambda state, it: state["layers.4.weight"].fill(np.nan),
            r"NaN or inf.*mapper\.learning_rate",
        ),
        (lambda state, it: it.update(norm="batch"), r"not a complete mapper.*'batch'"),
        (lambda state, it: it.update(depth=3), r"not a complete mapper.*depth"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(change, message, tmp_path):
    path = tmp_path / "seed_0.safetensors"
    rewrite(path, make_mapper("none"), change)
    with pytest.raises(InputError, match=message) as error:
        load_mapper(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_mapper_are_refused(tmp_path):
    path = tmp_path / "seed_0.safetensors"
    with pytest.raises(InputError, match="Run again"):
        load_mapper(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="run again"):
        load_mapper(path)
    save_file({"weight": torch.zeros(2)}, path)  # without an architecture
    with pytest.raises(InputError, match="run again"):
        load_mapper(path)
    make_mapper("none").save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="run again"):
        load_mapper(path)


def test_predict_in_parts_equals_predict_at_once(monkeypatch):
    mapper = make_mapper("response")
    x = np.random.default_rng(0).normal(size=(7, 6))
    at_once = mapper.predict(x)
    monkeypatch.setattr("pointspider.mappers.network.PREDICTED_AT_ONCE", 3)
    np.testing.assert_allclose(mapper.predict(x), at_once, rtol=1e-5)
