"""The point encoders' files: our own, the benchmark's and learning3d's, and what is refused."""

import re

import numpy as np
import pytest
import torch
from pointspider.encoders.points.base import ARCHITECTURES, encode, load_point_encoder, save_point_encoder
from pointspider.encoders.points.pointnet import PointNet
from safetensors.torch import save_file

from pointspider.core.errors import InputError


@pytest.fixture
def model() -> PointNet:
    torch.manual_seed(0)
    return PointNet(classes=5).eval()


@pytest.fixture
def clouds() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_saving_and_loading_keeps_every_weight(tmp_path, clouds, name):
    model = ARCHITECTURES[name](classes=5).eval()
    save_point_encoder(tmp_path / "model.safetensors", name, model)
    loaded = load_point_encoder(name, tmp_path / "model.safetensors", device="cpu")
    assert not loaded.training
    assert len(loaded.state_dict()[f"{loaded.LAST_LAYER}.bias"]) == 5
    np.testing.assert_array_equal(encode(loaded, clouds), encode(model, clouds))


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_benchmarks_checkpoint_loads_without_its_prefixes(tmp_path, model, clouds, prefix):
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    scores = {"acc": 0.9, "class_acc": np.float64(0.86), "loss": np.float32(1.5)}
    torch.save({"epoch": 1, "model_state": state, "test_perf": scores}, tmp_path / "best.pth")
    loaded = load_point_encoder("pointnet", tmp_path / "best.pth", device="cpu")
    np.testing.assert_array_equal(encode(loaded, clouds), encode(model, clouds))


def test_a_plain_dictionary_of_tensors_loads(tmp_path, clouds):
    model = ARCHITECTURES["pointnet_vanilla"](classes=40).eval()
    torch.save(model.state_dict(), tmp_path / "best.t7")
    loaded = load_point_encoder("pointnet_vanilla", tmp_path / "best.t7", device="cpu")
    np.testing.assert_array_equal(encode(loaded, clouds), encode(model, clouds))


def test_broken_and_foreign_files_are_refused(tmp_path, model):
    path = tmp_path / "pointnet.safetensors"
    with pytest.raises(InputError, match=re.escape(f"encoders.points.checkpoint: there is no file {path}")):
        load_point_encoder("pointnet", path)

    save_point_encoder(path, "pointnet", model)
    with pytest.raises(InputError, match="tells of no pointnet_vanilla, but of pointnet"):
        load_point_encoder("pointnet_vanilla", path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=re.escape(f"{path}: is not a whole safetensors file")):
        load_point_encoder("pointnet", path)

    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="tells of no pointnet, but of None"):
        load_point_encoder("pointnet", path)


def test_missing_and_unexpected_tensors_are_named(tmp_path, model):
    state = model.state_dict()
    state["feat.conv9.weight"] = state.pop("feat.conv2.weight")
    state["fc1.bias"] = torch.zeros(7)
    torch.save({"model_state": state}, tmp_path / "best.pth")
    with pytest.raises(InputError) as caught:
        load_point_encoder("pointnet", tmp_path / "best.pth")
    assert "is no pointnet (encoders.points.name)" in str(caught.value)
    assert "missing: feat.conv2.weight; " in str(caught.value)
    assert "unexpected: feat.conv9.weight; " in str(caught.value)
    assert "of another shape: fc1.bias." in str(caught.value)


@pytest.mark.parametrize(
    ("name", "other"), [("pointnet", "pointnet_vanilla"), ("pointnet_vanilla", "pointnet")]
)
def test_checkpoint_of_another_architecture_is_refused(tmp_path, name, other):
    torch.save(ARCHITECTURES[other](classes=40).state_dict(), tmp_path / "best.pth")
    with pytest.raises(InputError) as caught:
        load_point_encoder(name, tmp_path / "best.pth")
    for key in set(ARCHITECTURES[name](40).state_dict()) ^ set(ARCHITECTURES[other](40).state_dict()):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "neither a dictionary of tensors nor one with 'model_state'"),
        ([torch.zeros(2)], "neither a dictionary of tensors"),
        ({"model_state": 3}, "neither a dictionary of tensors"),
    ],
)
def test_a_checkpoint_without_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "best.pth")
    with pytest.raises(InputError, match=message):
        load_point_encoder("pointnet", tmp_path / "best.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 nor a zip"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "best.pth").write_bytes(content)
    with pytest.raises(InputError, match="is no file of tensors that is safe to read"):
        load_point_encoder("pointnet", tmp_path / "best.pth")


def test_a_truncated_checkpoint_is_refused(tmp_path, model):
    path = tmp_path / "best.pth"
    torch.save({"model_state": model.state_dict()}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="is no file of tensors that is safe to read"):
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
    with pytest.raises(InputError, match="safe to read"):
        load_point_encoder("pointnet", tmp_path / "best.pth")
    assert not (tmp_path / "executed").exists()
