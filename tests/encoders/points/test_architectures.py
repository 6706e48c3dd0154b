"""The architectures: published parameter counts, invariances, and plain definitions of their layers."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pointspider.core.errors import InputError
from pointspider.encoders.base import Classifier, PointEncoder
from pointspider.encoders.points import architectures
from pointspider.encoders.points.architectures.point_transformer import encoder_level
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.module import PointClassifier
from pointspider.encoders.points.registry import (
    POINT_ENCODERS,
    create_point_encoder,
    load_point_encoder,
    save_point_encoder,
)
from pointspider.encoders.points.sampling import (
    ball_query,
    farthest_point_sampling,
    gather_points,
    nearest_neighbours,
)
from pointspider.encoders.points.settings import PointSettings
from pointspider.encoders.points.training import train_point_encoder

#: Parameters at 40 classes, width, fewest points. Sources: the repositories named in the modules.
PUBLISHED = {
    "pointnet": (3_471_473, 1024, 1),
    "pointnet_vanilla": (819_624, 1024, 1),
    "pointnet2_ssg": (1_475_688, 1024, 8),
    "dgcnn": (1_809_576, 2048, 20),
    "pointmlp": (13_238_504, 1024, 16),
    "pointmlp_elite": (716_232, 256, 16),
    "pointnext_s": (1_373_512, 512, 16),
    "pointnext_s_c64": (4_523_112, 1024, 16),
    "pointbert": (22_065_960, 768, 64),
    "openshape_vitl14": (25_691_712, 768, 64),
    "openshape_vitb32": (25_297_728, 512, 64),
    "ulip2_pointbert": (32_499_072 + 768 * 1280, 1280, 512),  # published without the projection
}
SMALL = ["pointnet2_ssg", "dgcnn", "pointmlp_elite", "pointnext_s", "point_transformer"]
ALL = [*PUBLISHED, "point_transformer"]
#: The largest takes seconds.
MOST = [pytest.param(name, marks=[pytest.mark.slow] if name == "ulip2_pointbert" else []) for name in ALL]
TRAINABLE = [name for name in ALL if issubclass(POINT_ENCODERS[name], PointClassifier)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(random_encoder, name):
    model = random_encoder(name, *([40] if issubclass(POINT_ENCODERS[name], PointClassifier) else []))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert (parameters, model.width, model.minimum_points) == PUBLISHED[name]


def test_published_parameters_of_point_transformers_encoder():
    levels = [encoder_level(level, features=6) for level in range(5)]
    assert sum(parameter.numel() for level in levels for parameter in level.parameters()) == 4_903_210
    names = {f"enc{number}.{name}" for number, level in enumerate(levels, 1) for name in level.state_dict()}
    assert {"enc1.0.linear.weight", "enc1.1.transformer2.linear_q.weight", "enc5.2.bn3.bias"} <= names


def test_every_architecture_is_tested():
    files = Path(architectures.__path__[0]).glob("[!_]*.py")
    assert sorted(ALL) == sorted(path.stem for path in files)


@pytest.mark.parametrize("name", ALL)
def test_shapes_and_protocols(random_encoder, random_clouds, name):
    model = random_encoder(name)
    assert isinstance(model, PointEncoder)
    fewest = random_clouds(2, model.minimum_points, model.channels)
    with torch.inference_mode():
        features = model.embed(fewest)
        assert features.shape == (2, model.width)
        assert features.isfinite().all()
        if isinstance(model, PointClassifier):
            assert isinstance(model, Classifier)
            assert model(fewest)[0].shape == (2, 5)


@pytest.mark.parametrize("name", ALL)
def test_too_few_points_and_wrong_channels_are_refused(random_encoder, random_clouds, name):
    model = random_encoder(name)
    few = random_clouds(2, model.minimum_points - 1, model.channels).numpy()
    with pytest.raises(InputError, match=f"{model.minimum_points - 1} points; the encoder needs at least"):
        embed_clouds(model, few)
    wrong = random_clouds(2, 600, 4).numpy()
    with pytest.raises(InputError, match=f"4 channels; the encoder takes {model.channels}"):
        embed_clouds(model, wrong)


@pytest.mark.parametrize("name", MOST)
def test_clouds_do_not_influence_each_other(random_encoder, random_clouds, name):
    model = random_encoder(name)
    clouds = random_clouds(3, max(300, model.minimum_points), model.channels).numpy()
    together = embed_clouds(model, clouds)
    alone = np.concatenate([embed_clouds(model, cloud[None]) for cloud in clouds])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MOST)
def test_order_of_points_does_not_matter(random_encoder, random_clouds, name):
    """Farthest-point sampling starts at the point farthest from the mean, so it ignores the order.

    A ball query takes the first points of a ball that has more than are taken. Here no ball has more.
    """
    model = random_encoder(name)
    count = max(256, model.minimum_points)
    clouds = random_clouds(2, count, model.channels)
    if name in ("pointnet2_ssg", "pointnext_s", "pointnext_s_c64"):
        clouds = 2 * clouds
        assert (torch.cdist(clouds, clouds) < 0.50625).sum(dim=2).max() <= 32
    shuffled = clouds[:, torch.randperm(count, generator=torch.Generator().manual_seed(1))]
    features = embed_clouds(model, clouds.numpy())
    np.testing.assert_allclose(embed_clouds(model, shuffled.numpy()), features, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["pointnet2_ssg", "pointnext_s"])
def test_order_of_points_matters_little_where_balls_are_full(random_encoder, random_clouds, name):
    model = random_encoder(name)
    clouds = random_clouds(2, 1024) / 2
    features = embed_clouds(model, clouds.numpy())
    shuffled = embed_clouds(model, clouds[:, torch.randperm(1024)].numpy())
    difference = np.linalg.norm(shuffled - features, axis=1) / np.linalg.norm(features, axis=1)
    assert 0 < difference.max() < 0.2


@pytest.mark.parametrize("name", MOST)
def test_duplicate_points_give_finite_features(random_encoder, name):
    model = random_encoder(name)
    count = max(300, model.minimum_points)
    one_point = np.full((2, count, model.channels), 0.25, dtype=np.float32)
    features = embed_clouds(model, one_point)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[0], features[1])


@pytest.mark.parametrize("name", TRAINABLE)
def test_gradient_reaches_every_weight(random_encoder, random_clouds, name):
    model = random_encoder(name).train()
    clouds = random_clouds(4, 256).requires_grad_()
    logits, _ = model(clouds)
    F.cross_entropy(logits, torch.arange(4)).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    assert clouds.grad.abs().sum(dim=(1, 2)).min() > 0


def test_as_many_points_as_in_training_are_drawn(tmp_path, random_clouds, caplog):
    """Only if the embedding depends on the density of points."""
    clouds = random_clouds(4, 64).numpy()
    settings = PointSettings(epochs=1, points=32, batch_size=2, learning_rate=0.001, schedule="cosine")
    for name, points in [("pointnext_s", 32), ("pointnet", None)]:
        model, _ = train_point_encoder(name, clouds, np.arange(4) % 2, settings, 0, device="cpu")
        save_point_encoder(tmp_path / f"{name}.safetensors", name, model)
        loaded = load_point_encoder(name, tmp_path / f"{name}.safetensors", device="cpu")
        assert (model.points, loaded.points) == (points, points)
        with torch.inference_mode():
            of_all = loaded.embed(torch.tensor(clouds)).numpy()
        assert np.array_equal(embed_clouds(loaded, clouds), of_all) == (name == "pointnet")
    assert not caplog.messages
    few = load_point_encoder("pointnext_s", tmp_path / "pointnext_s.safetensors", device="cpu")
    assert embed_clouds(few, clouds[:, :20]).shape == (4, 512)
    assert caplog.messages == ["clouds have 20 points; the encoder was trained with 32"]


@pytest.mark.parametrize("name", ["openshape_vitl14", "openshape_vitb32", "ulip2_pointbert"])
def test_an_encoder_without_a_classifier_is_not_trained(name):
    with pytest.raises(InputError, match=f"{name} has no classifier, so it cannot be trained"):
        create_point_encoder(name, 40)


class Plain:
    """The layers as the papers define them: neighbours are gathered first, then concatenated."""

    def __init__(self, model: torch.nn.Module):
        self.training = model.training
        self.state = model.state_dict()

    def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self.state[f"{name}.weight"].flatten(1), self.state.get(f"{name}.bias"))

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, variance, gain, bias = (self.state[f"{name}.{key}"] for key in keys)
        if self.training:
            variance, mean = torch.var_mean(x.flatten(0, -2), dim=0, correction=0)
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    def layer(self, x: torch.Tensor, linear: str, norm: str) -> torch.Tensor:
        return self.norm(self.linear(x, linear), norm)

    def pointnet2_ssg(self, points: torch.Tensor) -> torch.Tensor:
        x, count = None, points.shape[1]
        levels = [("sa1", count // 2, 0.2, 32), ("sa2", count // 8, 0.4, 64)]
        for name, samples, radius, neighbours in levels:
            chosen = (
                farthest_point_sampling(points, samples) if x is None else torch.arange(samples).expand(2, -1)
            )
            centres = gather_points(points, chosen)
            index = ball_query(points, centres, radius, neighbours)
            grouped = gather_points(points, index) - centres[:, :, None]
            if x is not None:
                grouped = torch.cat([grouped, gather_points(x, index)], dim=3)
            for number in range(3):
                grouped = self.layer(grouped, f"{name}.mlp_convs.{number}", f"{name}.mlp_bns.{number}").relu()
            points, x = centres, grouped.amax(dim=2)
        x = torch.cat([points, x], dim=2)
        for number in range(3):
            x = self.layer(x, f"sa3.mlp_convs.{number}", f"sa3.mlp_bns.{number}").relu()
        return x.amax(dim=1)

    def dgcnn(self, points: torch.Tensor) -> torch.Tensor:
        x, layers = points, []
        for number in range(1, 5):
            near = gather_points(x, nearest_neighbours(x, x, 20))
            own = x[:, :, None].expand_as(near)
            edges = torch.cat([near - own, own], dim=3)
            x = F.leaky_relu(self.layer(edges, f"conv{number}.0", f"conv{number}.1"), 0.2).amax(dim=2)
            layers.append(x)
        x = F.leaky_relu(self.layer(torch.cat(layers, dim=2), "conv5.0", "conv5.1"), 0.2)
        return torch.cat([x.amax(dim=1), x.mean(dim=1)], dim=1)

    def pointmlp_elite(self, points: torch.Tensor) -> torch.Tensor:
        def block(x: torch.Tensor, name: str) -> torch.Tensor:
            y = self.layer(x, f"{name}.net1.0", f"{name}.net1.1").relu()
            return (x + self.layer(y, f"{name}.net2.0", f"{name}.net2.1")).relu()

        x = self.layer(points, "embedding.net.0", "embedding.net.1").relu()
        for stage, blocks in enumerate([1, 1, 2, 1]):
            count = points.shape[1] // 2
            chosen = (
                farthest_point_sampling(points, count) if stage == 0 else torch.arange(count).expand(2, -1)
            )
            centres, anchors = gather_points(points, chosen), gather_points(x, chosen)[:, :, None]
            residual = gather_points(x, nearest_neighbours(points, centres, 24)) - anchors
            residual = torch.stack([cloud / (cloud.std() + 1e-5) for cloud in residual])
            grouper = f"local_grouper_list.{stage}"
            residual = residual * self.state[f"{grouper}.affine_alpha"] + self.state[f"{grouper}.affine_beta"]
            x = torch.cat([residual, anchors.expand_as(residual)], dim=3)
            pre = f"pre_blocks_list.{stage}"
            x = self.layer(x, f"{pre}.transfer.net.0", f"{pre}.transfer.net.1").relu()
            for number in range(blocks):
                x = block(x, f"{pre}.operation.{number}")
            x = x.amax(dim=2)
            for number in range(blocks):
                x = block(x, f"pos_blocks_list.{stage}.operation.{number}")
            points = centres
        return x.amax(dim=1)

    def pointnext_s(self, points: torch.Tensor) -> torch.Tensor:
        x = self.linear(points, "encoder.encoder.0.0.convs.0.0")
        for stage, radius in enumerate([0.15, 0.225, 0.3375, 0.50625], start=1):
            name, count = f"encoder.encoder.{stage}.0", points.shape[1] // 2
            chosen = (
                farthest_point_sampling(points, count) if stage == 1 else torch.arange(count).expand(2, -1)
            )
            centres = gather_points(points, chosen)
            index = ball_query(points, centres, radius, 32)
            y = (gather_points(points, index) - centres[:, :, None]) / radius
            y = torch.cat([y, gather_points(x, index)], dim=3)
            y = self.layer(y, f"{name}.convs.0.0", f"{name}.convs.0.1").relu()
            y = self.layer(y, f"{name}.convs.1.0", f"{name}.convs.1.1").amax(dim=2)
            x = (y + self.linear(gather_points(x, chosen), f"{name}.skipconv.0")).relu()
            points = centres
        x = torch.cat([points, x], dim=2)
        for number in range(2):
            name = f"encoder.encoder.5.0.convs.{number}"
            x = self.layer(x, f"{name}.0", f"{name}.1").relu()
        return x.amax(dim=1)

    def point_transformer(self, points: torch.Tensor) -> torch.Tensor:
        x = self.layer(points, "enc1.0.linear", "enc1.0.bn").relu()
        for level, (blocks, neighbours) in enumerate(
            zip([1, 2, 3, 5, 2], [8, 16, 16, 16, 16], strict=True), start=1
        ):
            if level > 1:
                count = points.shape[1] // 4
                chosen = (
                    farthest_point_sampling(points, count)
                    if level == 2
                    else torch.arange(count).expand(2, -1)
                )
                centres = gather_points(points, chosen)
                index = nearest_neighbours(points, centres, neighbours)
                y = torch.cat(
                    [gather_points(points, index) - centres[:, :, None], gather_points(x, index)], 3
                )
                x = self.layer(y, f"enc{level}.0.linear", f"enc{level}.0.bn").relu().amax(dim=2)
                points = centres
            index = nearest_neighbours(points, points, neighbours)
            for number in range(1, blocks + 1):
                x = self.attention_block(points, x, index, f"enc{level}.{number}")
        return x.mean(dim=1)

    def attention_block(
        self, points: torch.Tensor, x: torch.Tensor, index: torch.Tensor, name: str
    ) -> torch.Tensor:
        attention = f"{name}.transformer2"
        y = self.layer(x, f"{name}.linear1", f"{name}.bn1").relu()
        relative = gather_points(points, index) - points[:, :, None]
        p = self.layer(relative, f"{attention}.linear_p.0", f"{attention}.linear_p.1").relu()
        p = self.linear(p, f"{attention}.linear_p.3")
        query, key, value = (self.linear(y, f"{attention}.linear_{kind}") for kind in "qkv")
        w = gather_points(key, index) - query[:, :, None] + p
        w = self.norm(w, f"{attention}.linear_w.0").relu()
        w = self.layer(w, f"{attention}.linear_w.2", f"{attention}.linear_w.3").relu()
        w = self.linear(w, f"{attention}.linear_w.5").softmax(dim=2)
        y = ((gather_points(value, index) + p) * w.repeat(1, 1, 1, 8)).sum(dim=2)
        y = self.norm(y, f"{name}.bn2").relu()
        return (x + self.layer(y, f"{name}.linear3", f"{name}.bn3")).relu()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_embedding_is_the_plain_definition(random_encoder, random_clouds, name, training):
    model = random_encoder(name).double().train(training)
    clouds = random_clouds(2, 512).double()
    expected = getattr(Plain(model), name)(clouds)
    with torch.no_grad():
        torch.testing.assert_close(model.embed(clouds), expected)
