"""The point encoders' architectures, against NumPy and the layouts of their published checkpoints."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.encoders.points.architectures.pointnet import PointNet, TNet, distance_from_orthogonality
from pointspider.encoders.points.architectures.pointnet_vanilla import PointNetVanilla
from pointspider.encoders.points.inference import class_logits, classify, embed_clouds
from pointspider.encoders.points.registry import POINT_ENCODERS, load_point_encoder

REAL = Path(__file__).parents[3] / "shared" / "real_data"


def random_model(name: str) -> torch.nn.Module:
    """A random model in eval mode whose batch norms and T-Nets are not trivial."""
    torch.manual_seed(0)
    model = POINT_ENCODERS[name](classes=5)
    for key, tensor in model.state_dict().items():
        if "bn" in key and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "var" in key else tensor.normal_()
        elif "stn.fc3" in key:
            tensor.normal_(std=0.05)
    return model.eval()


@pytest.fixture
def clouds() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40, 3)).astype(np.float32)


class Reference:
    """The models in NumPy and double precision, for one cloud (N, 3)."""

    def __init__(self, model: torch.nn.Module):
        self.weights = {key: value.numpy().astype(np.float64) for key, value in model.state_dict().items()}

    def layer(self, x: np.ndarray, linear: str, norm: str, relu: bool = True) -> np.ndarray:
        weight = self.weights[f"{linear}.weight"]
        x = x @ weight.reshape(weight.shape[:2]).T + self.weights[f"{linear}.bias"]
        mean, variance, gain, bias = (
            self.weights[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / np.sqrt(variance + 1e-5) * gain + bias
        return np.maximum(x, 0) if relu else x

    def matrix(self, x: np.ndarray, net: str, width: int) -> np.ndarray:
        for number in (1, 2, 3):
            x = self.layer(x, f"{net}.conv{number}", f"{net}.bn{number}")
        x = x.max(axis=0)
        for number in (1, 2):
            x = self.layer(x, f"{net}.fc{number}", f"{net}.bn{number + 3}")
        x = self.weights[f"{net}.fc3.weight"] @ x + self.weights[f"{net}.fc3.bias"]
        return x.reshape(width, width) + np.eye(width)

    def pointnet(self, x: np.ndarray) -> np.ndarray:
        x = self.layer(x @ self.matrix(x, "feat.stn", 3), "feat.conv1", "feat.bn1")
        x = self.layer(x @ self.matrix(x, "feat.fstn", 64), "feat.conv2", "feat.bn2")
        return self.layer(x, "feat.conv3", "feat.bn3", relu=False).max(axis=0)

    def pointnet_vanilla(self, x: np.ndarray) -> np.ndarray:
        for number in range(1, 6):
            x = self.layer(x, f"feature_model.conv{number}", f"feature_model.bn{number}")
        return x.max(axis=0)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_shapes(name, clouds):
    model = random_model(name)
    logits, penalty = model(torch.tensor(clouds))
    assert logits.shape == (3, 5)
    assert penalty.shape == ()
    assert (penalty > 0) == (name == "pointnet")
    assert model.embed(torch.tensor(clouds)).shape == (3, 1024)
    np.testing.assert_array_equal(classify(model, clouds, batch_size=2), logits.argmax(dim=1).numpy())
    from_features = class_logits(model, embed_clouds(model, clouds))
    np.testing.assert_allclose(from_features, logits.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_feature_is_the_maximum_over_points(name, clouds):
    model = random_model(name)
    features = embed_clouds(model, clouds, batch_size=2)
    assert features.shape == (3, 1024)
    assert features.dtype == np.float32
    assert (features < 0).any() == (name == "pointnet")  # the vanilla one has a ReLU before the maximum
    reference = getattr(Reference(model), name)
    expected = np.stack([reference(cloud.astype(np.float64)) for cloud in clouds])
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_feature_ignores_order_and_repetition_of_points(name, clouds):
    model = random_model(name)
    features = embed_clouds(model, clouds)
    shuffled = clouds[:, np.random.default_rng(1).permutation(40)]
    np.testing.assert_allclose(embed_clouds(model, shuffled), features, rtol=1e-4, atol=1e-4)
    repeated = np.concatenate([clouds, clouds[:, :7]], axis=1)
    np.testing.assert_allclose(embed_clouds(model, repeated), features, rtol=1e-4, atol=1e-4)
    assert embed_clouds(model, clouds[:, :1]).shape == (3, 1024)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_chunks_of_clouds_give_the_embeddings_of_all_at_once(clouds, name, monkeypatch):
    model = random_model(name)
    expected = embed_clouds(model, clouds)
    monkeypatch.setattr("pointspider.encoders.points.layers.CACHED_POINTS", 2 * clouds.shape[1])
    np.testing.assert_allclose(embed_clouds(model, clouds), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_products_in_bfloat16_change_little(clouds, name):
    model = random_model(name)
    expected, rounded = (embed_clouds(model, clouds, precision=each) for each in ("fp32", "bf16"))
    assert rounded.dtype == np.float32
    assert 0 < np.linalg.norm(rounded - expected) < 0.02 * np.linalg.norm(expected)
    with pytest.raises(InputError, match="precision: 'fp8' does not exist"):
        embed_clouds(model, clouds, precision="fp8")


@pytest.mark.parametrize("width", [3, 64])
def test_untrained_t_net_is_the_identity(width):
    matrices = TNet(width).eval()(torch.randn(2, 10, width))
    torch.testing.assert_close(matrices, torch.eye(width).expand(2, -1, -1))


def test_distance_from_orthogonality():
    matrices = np.random.default_rng(0).normal(size=(4, 64, 64)) / 8
    expected = np.mean([np.sqrt(((matrix @ matrix.T - np.eye(64)) ** 2).sum()) for matrix in matrices])
    assert distance_from_orthogonality(torch.tensor(matrices)).item() == pytest.approx(expected)
    rotations = torch.linalg.qr(torch.randn(2, 64, 64, dtype=torch.float64)).Q
    assert distance_from_orthogonality(rotations).item() < 1e-10


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def linear(name: str, inputs: int, outputs: int, convolution: bool = False) -> dict[str, tuple]:
    weight = (outputs, inputs, 1) if convolution else (outputs, inputs)
    return {f"{name}.weight": weight, f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> dict[str, tuple]:
    return {f"{name}.{key}": () if key == "num_batches_tracked" else (width,) for key in NORM}


def layout(model: torch.nn.Module) -> dict[str, tuple]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def test_layout_is_the_benchmarks_checkpoints():
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
    assert layout(PointNet(40)) == expected


def test_layout_is_learning3ds_checkpoints():
    expected = {}
    widths = [3, 64, 64, 64, 128, 1024]
    for number, (i, o) in enumerate(pairwise(widths), start=1):
        expected |= linear(f"feature_model.conv{number}", i, o, convolution=True)
        expected |= norm(f"feature_model.bn{number}", o)
    for number, (i, o) in enumerate([(1024, 512), (512, 256), (256, 40)], start=1):
        expected |= linear(f"linear{number}", i, o)
    expected |= norm("bn1", 512) | norm("bn2", 256)
    assert layout(PointNetVanilla(40)) == expected


@pytest.mark.skipif(not REAL.is_dir(), reason="needs a real checkpoint and real clouds")
def test_a_real_checkpoint_names_real_clouds():
    """78 % of the test split; here of every tenth cloud of it."""
    model = load_point_encoder("pointnet_vanilla", REAL / "pointnet_learning3d.t7", device="cpu")
    clouds = np.load(REAL / "modelnet40_c/data_original.npy", mmap_mode="r")[::10]
    labels = np.load(REAL / "modelnet40_c/label.npy").ravel()[::10]
    accuracy = (classify(model, np.array(clouds)) == labels).mean()
    assert 0.74 < accuracy < 0.83
