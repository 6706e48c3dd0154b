"""Checkpoints with random weights in the exact formats of their publishers."""

import argparse
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pointspider.core.errors import InputError
from pointspider.encoders.points.architectures import dgcnn, pointbert, pointmlp, pointnet2_ssg, pointnext_s
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.registry import load_point_encoder


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> OrderedDict:
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def optimizer_of(model: torch.nn.Module) -> dict:
    return torch.optim.AdamW(model.parameters()).state_dict()


def pointnet2_of_yanx27(model: torch.nn.Module, path: Path) -> None:
    accuracies = {"instance_acc": np.float64(0.92), "class_acc": np.float64(0.88)}
    weights = {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer_of(model)}
    assert len(model.state_dict()) == 79
    torch.save({"epoch": 180, **accuracies, **weights}, path)


def dgcnn_of_antao97(model: torch.nn.Module, path: Path) -> None:
    """The legacy format, with bn1 to bn5 twice."""
    state = model.state_dict()
    twice = {
        f"bn{number}.{name.split('.')[2]}": tensor
        for number in range(1, 6)
        for name, tensor in state.items()
        if name.startswith(f"conv{number}.1.")
    }
    assert len(twice | state) == 70
    torch.save(prefixed("module.", twice | state), path, _use_new_zipfile_serialization=False)


def pointmlp_of_ma_xu(model: torch.nn.Module, path: Path) -> None:
    scores = {"acc": 94.0, "best_test_acc": 94.0, "best_train_acc": 99.9, "best_test_loss": 1.1}
    net = prefixed("module.", model.state_dict())
    assert len(net) == 174
    torch.save({"net": net, "epoch": 299, **scores, "optimizer": optimizer_of(model)}, path)


def pointnext_of_openpoints(model: torch.nn.Module, path: Path) -> None:
    scores = {"epoch": 600, "best_val": np.float64(93.9), "best_epoch": 580}
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer_of(model), "scheduler": {}, **scores}, path
    )


def pointbert_of_lulutang(model: torch.nn.Module, path: Path) -> None:
    base_model = prefixed("module.", model.state_dict())
    scores = {"epoch": 250, "metrics": {"acc": 92.6}, "best_metrics": {"acc": 92.7}}
    torch.save({"base_model": base_model, "optimizer": {}, **scores}, path)


def ulip2_of_salesforce(model: torch.nn.Module, path: Path) -> None:
    clip = {"logit_scale": torch.ones(()), "open_clip_model.visual.proj": torch.ones(2, 2)}
    state = prefixed("module.", model.state_dict() | clip)
    arguments = argparse.Namespace(model="ULIP_PointBERT_Colored", lr=1e-3, betas=[0.9, 0.98])
    scores = {"epoch": 200, "best_acc1": 0.5, "optimizer": {}, "scaler": {}}
    torch.save({"state_dict": state, "args": arguments, **scores}, path)


def openshape_of_the_hub(model: torch.nn.Module, path: Path) -> None:
    state = {
        name.replace("ppat.", "") if model.width == 512 else name: t for name, t in model.state_dict().items()
    }
    torch.save(prefixed("pc_encoder.", state), path)


PUBLISHERS = {
    "pointnet2_ssg": pointnet2_of_yanx27,
    "dgcnn": dgcnn_of_antao97,
    "pointmlp_elite": pointmlp_of_ma_xu,
    "pointnext_s": pointnext_of_openpoints,
    "pointbert": pointbert_of_lulutang,
    "ulip2_pointbert": ulip2_of_salesforce,
    "openshape_vitl14": openshape_of_the_hub,
    "openshape_vitb32": openshape_of_the_hub,
}


@pytest.mark.parametrize("name", PUBLISHERS)
def test_published_containers_load(tmp_path, random_encoder, random_clouds, name):
    model = random_encoder(name)
    PUBLISHERS[name](model, tmp_path / "model.pth")
    loaded = load_point_encoder(name, tmp_path / "model.pth", device="cpu")
    state = loaded.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    clouds = random_clouds(1, 512, model.channels).numpy()
    np.testing.assert_array_equal(embed_clouds(loaded, clouds), embed_clouds(model, clouds))


#: Architecture, table of names, and tensors of each file of torch-pointcloud (0.0.18).
MIRRORS = {
    "pointnet2_ssg": (pointnet2_ssg.MIRROR, 79),
    "dgcnn": (dgcnn.MIRROR, 51),
    "pointmlp_elite": (pointmlp.MIRROR, 174),
    "pointmlp": (pointmlp.MIRROR, 246),
    "pointnext_s_c64": (pointnext_s.MIRROR, 96),
    "pointbert": (pointbert.MIRROR, 164),
}


def mirrored(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict as torch-pointcloud names, shapes and orders it."""
    theirs = {ours: name for name, ours in MIRRORS[name][0].items()}
    result = {}
    for ours, tensor in state.items():
        module, _, leaf = ours.rpartition(".")
        renamed = theirs.get(ours) or f"{theirs[module]}.{leaf}"
        if leaf == "weight" and tensor.ndim > 2:
            tensor = tensor.flatten(1)
        if ours in ("sa2.mlp_convs.0.weight", "sa3.mlp_convs.0.weight"):  # features before positions
            tensor = tensor.roll(-3, dims=1)
        if name == "dgcnn" and renamed.startswith("encoder") and tensor.ndim == 2:  # point before difference
            tensor = torch.cat(tensor.chunk(2, dim=1)[::-1], dim=1)
        if "affine" in ours:
            tensor = tensor.flatten()
        result[renamed] = tensor.clone().contiguous()
        without_bias = name in ("dgcnn", "pointnext_s_c64") and "lins" in renamed
        if without_bias and leaf == "weight" and f"{module}.bias" not in state:
            result[renamed.removesuffix("weight") + "bias"] = torch.zeros(len(tensor))
    return result


@pytest.mark.parametrize("name", MIRRORS)
def test_mirrors_load_through_the_table_of_names(tmp_path, random_encoder, name):
    model = random_encoder(name)
    tensors = mirrored(name, model.state_dict())
    assert len(tensors) == MIRRORS[name][1]
    save_file(tensors, tmp_path / "model.safetensors")
    state = load_point_encoder(name, tmp_path / "model.safetensors", device="cpu").state_dict()
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(state[key], tensor, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("pointnet2_ssg", "encoder.sa_blocks.1.convs.0.local_nn.lins.0.weight", (128, 131)),
        ("pointnet2_ssg", "aggr.norms.2.module.running_var", (1024,)),
        ("dgcnn", "encoder.blocks.3.conv.nn.lins.0.weight", (256, 256)),
        ("dgcnn", "head.lins.0.bias", (512,)),
        ("pointmlp_elite", "encoder.blocks.2.conv.local_nn.2.lin1.weight", (64, 256)),
        ("pointmlp_elite", "encoder.blocks.0.conv.alpha", (32,)),
        ("pointmlp", "encoder.blocks.3.pos_mlp.1.norm2.module.weight", (1024,)),
        ("pointnext_s_c64", "encoder.blocks.3.downsample.skip_convs.0.lins.0.weight", (1024, 512)),
        ("pointnext_s_c64", "global_sa.lins.0.weight", (1024, 1027)),
        ("pointbert", "encoder.encoder.global_mlp.lins.1.weight", (256, 512)),
        ("pointbert", "encoder.blocks.11.mlp.lins.0.weight", (1536, 384)),
    ],
)
def test_tensors_of_the_mirrors(random_encoder, name, key, shape):
    """Names and shapes as torch-pointcloud 0.0.18 has them."""
    assert mirrored(name, random_encoder(name).state_dict())[key].shape == shape


def test_a_bias_of_the_mirror_moves_into_the_normalisation(tmp_path, random_encoder, random_clouds):
    model = random_encoder("dgcnn")
    tensors = mirrored("dgcnn", model.state_dict())
    bias = torch.randn(64)
    tensors["encoder.blocks.0.conv.nn.lins.0.bias"] = bias
    tensors["encoder.blocks.0.conv.nn.norms.0.module.running_mean"] += bias
    save_file(tensors, tmp_path / "model.safetensors")
    loaded = load_point_encoder("dgcnn", tmp_path / "model.safetensors", device="cpu")
    clouds = random_clouds(2, 64).numpy()
    np.testing.assert_allclose(
        embed_clouds(loaded, clouds), embed_clouds(model, clouds), rtol=1e-4, atol=1e-5
    )


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path, random_encoder):
    path = tmp_path / "model.pth"
    pointnet2_of_yanx27(random_encoder("pointnet2_ssg"), path)
    with pytest.raises(InputError, match=r"not a checkpoint of dgcnn .* missing: conv1.0.weight"):
        load_point_encoder("dgcnn", path)
    with pytest.raises(InputError, match="not a checkpoint of openshape_vitl14"):
        load_point_encoder("openshape_vitl14", path)
    pointmlp_of_ma_xu(random_encoder("pointmlp_elite"), path)
    with pytest.raises(
        InputError, match=r"not a checkpoint of pointmlp .* of another shape: embedding.net.0"
    ):
        load_point_encoder("pointmlp", path)


def test_a_checkpoint_of_another_number_of_classes_is_refused(tmp_path, random_encoder):
    pointnet2_of_yanx27(random_encoder("pointnet2_ssg"), tmp_path / "model.pth")
    assert load_point_encoder("pointnet2_ssg", tmp_path / "model.pth", "cpu", classes=5).classes == 5
    with pytest.raises(InputError, match="a classifier of 5 classes, but the clouds have 40"):
        load_point_encoder("pointnet2_ssg", tmp_path / "model.pth", "cpu", classes=40)
    with pytest.raises(InputError, match="openshape_vitb32 has no classifier"):
        load_point_encoder("openshape_vitb32", tmp_path / "model.pth", "cpu", classes=40)


def test_a_forbidden_type_in_a_published_container_is_refused(tmp_path, random_encoder):
    """Only NumPy scalars and argparse.Namespace are allowed besides tensors."""
    state = random_encoder("pointnet2_ssg").state_dict()
    torch.save({"model_state_dict": state, "args": Path("/tmp")}, tmp_path / "model.pth")
    with pytest.raises(InputError, match="types other than tensors and numbers"):
        load_point_encoder("pointnet2_ssg", tmp_path / "model.pth")
