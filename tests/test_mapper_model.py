"""The mapper's architecture against formulas, and its checkpoints."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pointspider.errors import InputError
from pointspider.mapper import LABELS
from pointspider.mapper.model import ChannelResponseNorm, Mapper, load_mapper, save_mapper

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


def test_response_norm_of_size_1_equals_the_formula_and_falls_beyond_141():
    x = torch.tensor([[-300.0, -1.0, 0.0, 0.5, 141.0, 142.0, 1e4]], dtype=torch.float64)
    norm = ChannelResponseNorm(1)
    torch.testing.assert_close(norm(x), x / (1 + 1e-4 * x**2) ** 0.75)
    peak = norm(torch.tensor([[100.0, 2**0.5 * 100, 200.0]]))[0]
    assert peak.argmax() == 1


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
def test_a_saved_mapper_comes_back_identical(norm, tmp_path):
    mapper = make_mapper(norm)
    save_mapper(tmp_path / "a.safetensors", mapper)
    loaded = load_mapper(tmp_path / "a.safetensors")
    assert loaded.architecture == mapper.architecture
    assert not loaded.training
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    assert (loaded.predict(x) == mapper.predict(x)).all()
    save_mapper(tmp_path / "b.safetensors", loaded)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_unknown_norm_is_refused():
    with pytest.raises(InputError, match=r"mapper\.norm: 'batch'.*none, layer or response"):
        Mapper(4, 4, "batch")


@pytest.mark.parametrize("shape", [(3, 7), (6,)])
def test_embeddings_of_another_width_are_refused_naming_both(shape):
    with pytest.raises(InputError, match=rf"\(n, 6\), not \({shape[0]},"):
        make_mapper("none").predict(np.zeros(shape, np.float32))


def rewrite(path, mapper: Mapper, change) -> None:
    """Save `mapper` after `change(state, architecture)`."""
    save_mapper(path, mapper)
    state, architecture = load_file(path), vars(mapper.architecture).copy()
    change(state, architecture)
    save_file(state, path, {"architecture": json.dumps(architecture)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state, it: it.update(input_width=9), r"layers\.0\.weight has the shape \(8, 6\).*\(8, 9\)"),
        (lambda state, it: it.update(base_width=5), r"shape \(8,\).*needs \(10,\)"),
        (lambda state, it: state.pop("layers.10.bias"), r"layers\.10\.bias has the shape None.*needs \(5,\)"),
        (lambda state, it: it.update(norm="layer"), r"layers\.1\.bias has the shape None.*needs \(8,\)"),
        (
            lambda state, it: state["layers.4.weight"].fill_(float("nan")),
            r"NaN or inf.*mapper\.learning_rate",
        ),
        (lambda state, it: it.update(norm="batch"), r"not a whole mapper.*'batch'"),
        (lambda state, it: it.update(depth=3), r"not a whole mapper.*depth"),
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
    with pytest.raises(InputError, match="train again"):
        load_mapper(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="train again"):
        load_mapper(path)
    save_file({"weight": torch.zeros(2)}, path)  # without an architecture
    with pytest.raises(InputError, match="train again"):
        load_mapper(path)
    save_mapper(path, make_mapper("none"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="train again"):
        load_mapper(path)


def test_predict_in_parts_equals_predict_at_once(monkeypatch):
    mapper = make_mapper("response")
    x = np.random.default_rng(0).normal(size=(7, 6))
    whole = mapper.predict(x)
    monkeypatch.setattr("pointspider.mapper.model.PREDICTED_AT_ONCE", 3)
    np.testing.assert_allclose(mapper.predict(x), whole, rtol=1e-5)
