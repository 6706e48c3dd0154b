"""What encoders declare to need: colours, up axis, unit ball, number of points, and the space of a CLIP."""

import logging

import numpy as np
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.encoders.points import inference
from pointspider.encoders.points.architectures.openshape_vitb32 import OpenShapeB32
from pointspider.encoders.points.architectures.openshape_vitl14 import Sizes
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.module import PointEncoderModule
from pointspider.encoders.points.registry import encoder_space, load_point_encoder, save_point_encoder


class Seen(PointEncoderModule):
    """Embeds a cloud as its numbers."""

    width, channels, points, unit_ball = 240, 6, 40, True

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def embed(self, points):
        return points.flatten(1)


def tiny_openshape(space: str | None = None) -> OpenShapeB32:
    torch.manual_seed(0)
    encoder = OpenShapeB32(Sizes(width=16, hidden=24, blocks=2), width=32).eval()
    encoder.space = space or encoder.space
    return encoder


def clouds(count: int = 40) -> np.ndarray:
    return (3 + 2 * np.random.default_rng(0).normal(size=(2, count, 3))).astype(np.float32)


def test_clouds_are_placed_and_coloured():
    seen = embed_clouds(Seen(), clouds()).reshape(2, 40, 6)
    np.testing.assert_allclose(seen[..., 3:], 0.4)
    np.testing.assert_allclose(seen[..., :3].mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(seen[..., :3], axis=2).max(axis=1), 1, rtol=1e-6)


def test_clouds_are_turned_if_z_is_up():
    encoder = Seen()
    upright = embed_clouds(encoder, clouds()).reshape(2, 40, 6)
    encoder.up = "z"
    turned = embed_clouds(encoder, clouds()).reshape(2, 40, 6)
    np.testing.assert_allclose(turned[..., 2], upright[..., 1], atol=1e-6)  # y becomes z
    np.testing.assert_allclose(turned[..., 1], -upright[..., 2], atol=1e-6)


def test_colours_of_the_cloud_are_used():
    coloured = np.concatenate([clouds(), np.full((2, 40, 3), 0.9, np.float32)], axis=2)
    np.testing.assert_allclose(embed_clouds(Seen(), coloured).reshape(2, 40, 6)[..., 3:], 0.9)


def test_fewer_points_than_wanted_are_reported_once(caplog):
    inference._warn_of_few_points.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            embed_clouds(Seen(), clouds(30))
    assert [record.message for record in caplog.records] == [
        "clouds have 30 points; the encoder was trained with 40"
    ]


def test_wrong_channels_are_refused():
    with pytest.raises(InputError, match="clouds have 4 channels; the encoder takes 6"):
        embed_clouds(Seen(), np.zeros((2, 40, 4), np.float32))


def test_duplicate_points_only_give_finite_embeddings():
    one_place = np.broadcast_to(np.float32([1, 2, 3]), (2, 70, 3))
    for encoder in (Seen(), tiny_openshape()):
        assert np.isfinite(embed_clouds(encoder, one_place.copy())).all()


def test_the_sizes_of_openshape_are_those_of_the_file(tmp_path):
    saved = tiny_openshape()
    torch.save({f"pc_encoder.{name}": value for name, value in saved.state_dict().items()}, tmp_path / "a.pt")
    loaded = load_point_encoder("openshape_vitb32", tmp_path / "a.pt", "cpu")
    assert loaded.width == 32
    np.testing.assert_array_equal(embed_clouds(loaded, clouds(70)), embed_clouds(saved, clouds(70)))


def test_a_file_may_name_the_space(tmp_path):
    path = tmp_path / "model.safetensors"
    save_point_encoder(path, "openshape_vitb32", tiny_openshape("tiny-clip"))
    assert load_point_encoder("openshape_vitb32", path, "cpu").space == "tiny-clip"
    assert encoder_space("openshape_vitb32", path) == "tiny-clip"
    published = "openai/clip-vit-base-patch32"
    assert encoder_space("openshape_vitb32", tmp_path / "missing.pt") == published
    save_point_encoder(path, "openshape_vitb32", tiny_openshape())
    assert encoder_space("openshape_vitb32", path) == OpenShapeB32.space == published
    assert encoder_space("dgcnn", path) is None
