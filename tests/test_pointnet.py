"""PointNet: architecture, the benchmark's layout, training and files."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pointspider.encoders.pointnet import (
    SCHEDULES,
    PointNet,
    PointNetSettings,
    TNet,
    augment,
    classify,
    encode,
    load_point_encoder,
    loss_function,
    save_pointnet,
    train_pointnet,
)
from pointspider.errors import InputError

#: The benchmark's.
RECIPE = PointNetSettings(epochs=300, points=1024, batch_size=32, learning_rate=1e-3, schedule="plateau")


@pytest.fixture
def model() -> PointNet:
    """A random model in eval mode whose batch norms and T-Nets are not trivial."""
    torch.manual_seed(0)
    model = PointNet(classes=5)
    for name, tensor in model.state_dict().items():
        if "bn" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "var" in name else tensor.normal_()
        elif "stn.fc3" in name:
            tensor.normal_(std=0.05)
    return model.eval()


@pytest.fixture
def clouds() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40, 3)).astype(np.float32)


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` each of spheres, flat squares and rods, as clouds of 64 points."""
    rng = np.random.default_rng(seed)
    sphere = rng.normal(size=(count, 64, 3))
    sphere /= np.linalg.norm(sphere, axis=2, keepdims=True)
    square = rng.uniform(-1, 1, (count, 64, 3)) * [1, 0.02, 1]
    rod = rng.uniform(-1, 1, (count, 64, 3)) * [0.02, 1, 0.02]
    return np.concatenate([sphere, square, rod]).astype(np.float32), np.repeat(np.arange(3), count)


def reference_feature(state: dict[str, torch.Tensor], points: np.ndarray) -> np.ndarray:
    """The global feature of one cloud (N, 3), in NumPy and double precision."""
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}

    def layer(x, prefix, linear, norm, relu=True):
        weight = weights[f"{prefix}{linear}.weight"]
        x = x @ weight.reshape(weight.shape[:2]).T + weights[f"{prefix}{linear}.bias"]
        mean, variance = weights[f"{prefix}{norm}.running_mean"], weights[f"{prefix}{norm}.running_var"]
        x = (x - mean) / np.sqrt(variance + 1e-5) * weights[f"{prefix}{norm}.weight"]
        x = x + weights[f"{prefix}{norm}.bias"]
        return np.maximum(x, 0) if relu else x

    def matrix(x, prefix, width):
        for linear, norm in [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]:
            x = layer(x, prefix, linear, norm)
        x = x.max(axis=0)
        for linear, norm in [("fc1", "bn4"), ("fc2", "bn5")]:
            x = layer(x, prefix, linear, norm)
        x = weights[f"{prefix}fc3.weight"] @ x + weights[f"{prefix}fc3.bias"]
        return x.reshape(width, width) + np.eye(width)

    x = points.astype(np.float64)
    x = layer(x @ matrix(x, "feat.stn.", 3), "feat.", "conv1", "bn1")
    x = layer(x @ matrix(x, "feat.fstn.", 64), "feat.", "conv2", "bn2")
    return layer(x, "feat.", "conv3", "bn3", relu=False).max(axis=0)


def test_shapes(model, clouds):
    logits, transform = model(torch.tensor(clouds))
    assert logits.shape == (3, 5)
    assert transform.shape == (3, 64, 64)
    assert model.global_feature(torch.tensor(clouds)).shape == (3, 1024)
    np.testing.assert_array_equal(classify(model, clouds, batch_size=2), logits.argmax(dim=1).numpy())


def test_feature_is_the_maximum_over_points_without_relu(model, clouds):
    features = encode(model, clouds, batch_size=2)
    assert features.shape == (3, 1024)
    assert features.dtype == np.float32
    assert (features < 0).any()
    expected = np.stack([reference_feature(model.state_dict(), cloud) for cloud in clouds])
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)


def test_feature_ignores_order_and_repetition_of_points(model, clouds):
    features = encode(model, clouds)
    shuffled = clouds[:, np.random.default_rng(1).permutation(40)]
    np.testing.assert_allclose(encode(model, shuffled), features, rtol=1e-4, atol=1e-4)
    repeated = np.concatenate([clouds, clouds[:, :7]], axis=1)
    np.testing.assert_allclose(encode(model, repeated), features, rtol=1e-4, atol=1e-4)
    assert encode(model, clouds[:, :1]).shape == (3, 1024)


@pytest.mark.parametrize("width", [3, 64])
def test_untrained_t_net_is_the_identity(width):
    matrices = TNet(width).eval()(torch.randn(20, width), clouds=2)
    torch.testing.assert_close(matrices, torch.eye(width).expand(2, -1, -1))


def test_layout_is_the_released_checkpoints():
    shapes = {name: tuple(tensor.shape) for name, tensor in PointNet(40).state_dict().items()}
    norms = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}

    def linear(prefix, inputs, outputs, convolution=False):
        weight = (outputs, inputs, 1) if convolution else (outputs, inputs)
        return {f"{prefix}.weight": weight, f"{prefix}.bias": (outputs,)}

    def norm(prefix, width):
        return {f"{prefix}.{key}": () if key == "num_batches_tracked" else (width,) for key in norms}

    expected = {}
    for prefix, inputs in [("feat.", 3), ("feat.stn.", 3), ("feat.fstn.", 64)]:
        for number, (i, o) in enumerate([(inputs, 64), (64, 128), (128, 1024)], start=1):
            expected |= linear(f"{prefix}conv{number}", i, o, convolution=True)
            expected |= norm(f"{prefix}bn{number}", o)
    for prefix, outputs, first in [("", 40, 1), ("feat.stn.", 9, 4), ("feat.fstn.", 4096, 4)]:
        for number, (i, o) in enumerate([(1024, 512), (512, 256), (256, outputs)], start=1):
            expected |= linear(f"{prefix}fc{number}", i, o)
        expected |= norm(f"{prefix}bn{first}", 512) | norm(f"{prefix}bn{first + 1}", 256)
    assert len(expected) == 111
    assert shapes == expected


def test_loss_is_the_benchmarks():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 6)), np.array([0, 3, 5, 3])
    transform = rng.normal(size=(4, 64, 64)) / 8
    target = np.full((4, 6), 0.2 / 5)
    target[np.arange(4), labels] = 0.8
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    distances = [np.sqrt(((matrix @ matrix.T - np.eye(64)) ** 2).sum()) for matrix in transform]
    expected = -(target * log_probability).sum(axis=1).mean() + 0.001 * np.mean(distances)
    found = loss_function(torch.tensor(logits), torch.tensor(labels), torch.tensor(transform))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_augmentation_scales_and_shifts_each_axis():
    points = torch.rand(200, 10, 3)
    augmented = augment(points, torch.Generator().manual_seed(0))
    slope = (augmented[:, 1] - augmented[:, 0]) / (points[:, 1] - points[:, 0])  # (200, 3)
    shift = augmented[:, 0] - slope * points[:, 0]
    assert 2 / 3 - 1e-2 < slope.min() < 0.7
    assert 1.45 < slope.max() < 3 / 2 + 1e-2
    assert shift.abs().max() < 0.21
    assert slope.std(dim=1).min() > 0


def test_training_learns_and_is_reproducible(tmp_path):
    points, labels = shapes(count=16, seed=0)
    settings = replace(RECIPE, epochs=6, points=32, batch_size=8)
    told = []
    trained, history = train_pointnet(
        points, labels, settings, seed=3, on_epoch=lambda epoch, metrics: told.append((epoch, metrics))
    )
    assert told == list(enumerate(history))
    assert history[-1]["loss"] < history[0]["loss"]
    unseen, expected = shapes(count=20, seed=1)
    assert (classify(trained, unseen) == expected).mean() >= 0.9
    short = replace(RECIPE, epochs=1, points=32, batch_size=8)
    for name, seed in [("one", 3), ("two", 3), ("other", 4)]:
        save_pointnet(tmp_path / name, train_pointnet(points, labels, short, seed=seed)[0])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()


def test_learning_rate_follows_its_schedule():
    points, labels = shapes(count=2, seed=0)
    cosine = replace(RECIPE, epochs=4, points=8, batch_size=6, schedule="cosine")
    rates = [metrics["learning_rate"] for metrics in train_pointnet(points, labels, cosine, seed=0)[1]]
    np.testing.assert_allclose(rates, 0.5e-3 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    # The first epoch is the best; the eleventh after it is one too many
    model = PointNet(classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = SCHEDULES["plateau"](optimizer, 300)
    rates = []
    for _ in range(13):
        step(1.0)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1e-3] * 11 + [0.5e-3] * 2


def test_training_leaves_the_global_random_state_alone():
    points, labels = shapes(count=2, seed=0)
    before = torch.random.get_rng_state()
    train_pointnet(points, labels, replace(RECIPE, epochs=1, points=8, batch_size=2), seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_saving_and_loading_keeps_every_weight(tmp_path, model, clouds):
    save_pointnet(tmp_path / "pointnet.safetensors", model)
    loaded = load_point_encoder(tmp_path / "pointnet.safetensors", device="cpu")
    assert not loaded.training
    assert loaded.fc3.out_features == 5
    np.testing.assert_array_equal(encode(loaded, clouds), encode(model, clouds))


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_released_checkpoint_loads_without_its_prefixes(tmp_path, model, clouds, prefix):
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    scores = {"acc": 0.9, "class_acc": np.float64(0.86)}
    torch.save({"epoch": 1, "model_state": state, "test_perf": scores}, tmp_path / "best.pth")
    loaded = load_point_encoder(tmp_path / "best.pth", device="cpu")
    np.testing.assert_array_equal(encode(loaded, clouds), encode(model, clouds))


def test_broken_and_foreign_files_are_refused(tmp_path, model):
    path = tmp_path / "pointnet.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        load_point_encoder(path)

    save_pointnet(path, model)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=re.escape(f"{path}: is not a whole safetensors file")):
        load_point_encoder(path)

    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="another model's file"):
        load_point_encoder(path)

    state = model.state_dict()
    state["feat.conv9.weight"] = state.pop("feat.conv2.weight")
    state["fc3.bias"] = torch.zeros(7)
    save_file(state, path, metadata={"pointnet": '{"classes": 5}'})
    with pytest.raises(InputError) as caught:
        load_point_encoder(path)
    assert "missing: feat.conv2.weight; " in str(caught.value)
    assert "unexpected: feat.conv9.weight; " in str(caught.value)
    assert "of another shape: fc3.bias" in str(caught.value)


def test_released_checkpoint_that_is_none_is_refused(tmp_path):
    path = tmp_path / "best.pth"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match="model_state"):
        load_point_encoder(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is not ModelNet40-C's PointNet checkpoint"):
        load_point_encoder(path)


class Harmful:
    def __reduce__(self):
        return (print, ("code ran",))


def test_code_in_a_checkpoint_does_not_run(tmp_path, capsys):
    torch.save({"model_state": Harmful()}, tmp_path / "best.pth")
    with pytest.raises(InputError):
        load_point_encoder(tmp_path / "best.pth")
    assert "code ran" not in capsys.readouterr().out
