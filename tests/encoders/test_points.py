"""The point encoders' files: our own, the benchmark's and learning3d's, and what is refused."""

import argparse
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pointspider.core.errors import InputError
from pointspider.encoders.base import Classifier, PointEncoder
from pointspider.encoders.checkpoints import CONTAINERS
from pointspider.encoders.points.architectures.pointnet import PointNet
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import (
    POINT_ENCODERS,
    list_point_encoders,
    load_point_encoder,
    register_point_encoder,
    save_point_encoder,
)
from pointspider.encoders.points.settings import PointSettings
from pointspider.encoders.points.training import train_point_encoder


@pytest.fixture
def model() -> PointNet:
    torch.manual_seed(0)
    return PointNet(classes=5).eval()


@pytest.fixture
def clouds() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ["pointnet", "pointnet_vanilla"])
def test_saving_and_loading_keeps_every_weight(tmp_path, clouds, name):
    model = POINT_ENCODERS[name](classes=5).eval()
    save_point_encoder(tmp_path / "model.safetensors", name, model)
    loaded = load_point_encoder(name, tmp_path / "model.safetensors", device="cpu")
    assert not loaded.training
    assert len(loaded.state_dict()[f"{loaded.LAST_LAYER}.bias"]) == 5
    np.testing.assert_array_equal(embed_clouds(loaded, clouds), embed_clouds(model, clouds))


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_benchmarks_checkpoint_loads_without_its_prefixes(tmp_path, model, clouds, prefix):
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    scores = {"acc": 0.9, "class_acc": np.float64(0.86), "loss": np.float32(1.5)}
    torch.save({"epoch": 1, "model_state": state, "test_perf": scores}, tmp_path / "best.pth")
    loaded = load_point_encoder("pointnet", tmp_path / "best.pth", device="cpu")
    np.testing.assert_array_equal(embed_clouds(loaded, clouds), embed_clouds(model, clouds))


def test_a_plain_dictionary_of_tensors_loads(tmp_path, clouds):
    model = POINT_ENCODERS["pointnet_vanilla"](classes=40).eval()
    torch.save(model.state_dict(), tmp_path / "best.t7")
    loaded = load_point_encoder("pointnet_vanilla", tmp_path / "best.t7", device="cpu")
    np.testing.assert_array_equal(embed_clouds(loaded, clouds), embed_clouds(model, clouds))


def test_broken_and_foreign_files_are_refused(tmp_path, model):
    path = tmp_path / "pointnet.safetensors"
    with pytest.raises(InputError, match=re.escape(f"{path}: no such file")):
        load_point_encoder("pointnet", path)

    save_point_encoder(path, "pointnet", model)
    with pytest.raises(InputError, match="contains a pointnet, not a pointnet_vanilla"):
        load_point_encoder("pointnet_vanilla", path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=re.escape(f"{path}: is damaged")):
        load_point_encoder("pointnet", path)

    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"not a checkpoint of pointnet .* unexpected: weight"):
        load_point_encoder("pointnet", path)


def test_missing_and_unexpected_tensors_are_named(tmp_path, model):
    state = model.state_dict()
    state["feat.conv9.weight"] = state.pop("feat.conv2.weight")
    state["fc1.bias"] = torch.zeros(7)
    torch.save({"model_state": state}, tmp_path / "best.pth")
    with pytest.raises(InputError) as caught:
        load_point_encoder("pointnet", tmp_path / "best.pth")
    assert "not a checkpoint of pointnet (encoders.points.name)" in str(caught.value)
    assert "missing: feat.conv2.weight; " in str(caught.value)
    assert "unexpected: feat.conv9.weight; " in str(caught.value)
    assert "of another shape: fc1.bias (7,) instead of (512,)." in str(caught.value)


@pytest.mark.parametrize(
    ("name", "other"), [("pointnet", "pointnet_vanilla"), ("pointnet_vanilla", "pointnet")]
)
def test_checkpoint_of_another_architecture_is_refused(tmp_path, name, other):
    torch.save(POINT_ENCODERS[other](classes=40).state_dict(), tmp_path / "best.pth")
    with pytest.raises(InputError) as caught:
        load_point_encoder(name, tmp_path / "best.pth")
    mine, theirs = (list(POINT_ENCODERS[each](40).state_dict()) for each in (name, other))
    for problem, keys in (
        ("missing", [key for key in mine if key not in theirs]),
        ("unexpected", [key for key in theirs if key not in mine]),
    ):
        assert f"{problem}: {', '.join(keys[:5])} and {len(keys) - 5} more" in str(caught.value)


@pytest.mark.parametrize("key", CONTAINERS)
def test_published_containers_load(tmp_path, model, clouds, key):
    arguments = argparse.Namespace(lr=0.1, name="ulip")
    torch.save({"epoch": 3, key: model.state_dict(), "args": arguments}, tmp_path / "best.pth")
    loaded = load_point_encoder("pointnet", tmp_path / "best.pth", device="cpu")
    np.testing.assert_array_equal(embed_clouds(loaded, clouds), embed_clouds(model, clouds))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, r'no tensors under \["state_dict"\]. Expected is a dictionary of named tensors'),
        ([torch.zeros(2)], "no tensors under a list"),
        ({"model_state": 3}, "not all values are tensors"),
        ({0: torch.zeros(2), 1: torch.zeros(2)}, r'keys are not names of tensors but \["0", "1"\]'),
    ],
)
def test_a_checkpoint_without_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "best.pth")
    with pytest.raises(InputError, match=message):
        load_point_encoder("pointnet", tmp_path / "best.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 nor a zip", b'{"a": 1}\n' * 9])
def test_files_that_are_not_checkpoints_are_refused(tmp_path, content):
    (tmp_path / "best.pth").write_bytes(content)
    with pytest.raises(InputError, match="damaged, or not a PyTorch checkpoint") as caught:
        load_point_encoder("pointnet", tmp_path / "best.pth")
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_refused(tmp_path, model):
    path = tmp_path / "best.pth"
    torch.save({"model_state": model.state_dict()}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="damaged, or not a PyTorch checkpoint"):
        load_point_encoder("pointnet", path)


class Harmful:
    """Unpickled, it would call a global that no checkpoint needs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_forbidden_global_is_refused_and_nothing_executed(tmp_path, model, zipped):
    state = {**model.state_dict(), "fc3.bias": Harmful(tmp_path / "executed")}
    torch.save({"model_state": state}, tmp_path / "best.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="so it is not safe to load") as caught:
        load_point_encoder("pointnet", tmp_path / "best.pth")
    assert not (tmp_path / "executed").exists()
    assert "weights_only" not in str(caught.value)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"encoders.points.name: 'pointnett'.* did you mean 'pointnet'"):
        load_point_encoder("pointnett", tmp_path)


def test_names_are_listed_without_pytorch():
    code = "import sys; from pointspider.encoders.points.registry import list_point_encoders as names"
    code += "; print(*names(), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == "False"
    assert {"pointnet", "pointnet_vanilla"} <= set(result.stdout.split())


def test_a_new_encoder_needs_only_its_class(tmp_path, clouds):
    """Train, save, load and embed with an encoder that is known through the registry alone."""

    @register_point_encoder("toy")
    class Toy(PointClassifier):
        LAST_LAYER = "last"
        width = 6

        def __init__(self, classes: int) -> None:
            super().__init__(classes)
            self.last = torch.nn.Linear(self.width, classes)

        def embed(self, points: torch.Tensor) -> torch.Tensor:
            return torch.cat([points.amin(dim=1), points.amax(dim=1)], dim=1)

        def logits(self, features: torch.Tensor) -> torch.Tensor:
            return self.last(features)

    try:
        assert "toy" in list_point_encoders()
        settings = PointSettings(epochs=2, points=8, batch_size=2, learning_rate=0.01, schedule="cosine")
        model, _ = train_point_encoder("toy", clouds, np.arange(3) % 2, settings, 0, device="cpu")
        save_point_encoder(tmp_path / "toy.safetensors", "toy", model)
        loaded = load_point_encoder("toy", tmp_path / "toy.safetensors", device="cpu")
        assert isinstance(loaded, PointEncoder)
        assert isinstance(loaded, Classifier)
        assert loaded.classes == 2
        expected = np.hstack([clouds.min(axis=1), clouds.max(axis=1)])
        np.testing.assert_array_equal(embed_clouds(loaded, clouds), expected)
        with pytest.raises(InputError, match="clouds have 4 channels; the encoder takes 3"):
            embed_clouds(loaded, np.zeros((2, 9, 4), np.float32))
    finally:
        POINT_ENCODERS.remove("toy")
