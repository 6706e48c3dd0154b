"""Training of point encoders: the benchmark's recipe, its reproducibility, and resuming."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.clouds.sources.modelnet40 import read_train_split
from pointspider.core.errors import InputError
from pointspider.encoders.points.architectures.pointnet import PointNet
from pointspider.encoders.points.inference import classify
from pointspider.encoders.points.registry import save_point_encoder
from pointspider.encoders.points.settings import PointSettings
from pointspider.encoders.points.training import (
    augment,
    batches,
    create_optimizer,
    create_schedule,
    loss_function,
    step_schedule,
    train_point_encoder,
)
from pointspider.training import loop


def replace(settings: PointSettings, **changes) -> PointSettings:
    return settings.model_copy(update=changes)


REAL = Path(__file__).parents[3] / "shared" / "real_data"
#: The benchmark's.
RECIPE = PointSettings(epochs=300, points=1024, batch_size=32, learning_rate=1e-3, schedule="plateau")


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` each of spheres, flat squares and rods, as clouds of 64 points."""
    rng = np.random.default_rng(seed)
    sphere = rng.normal(size=(count, 64, 3))
    sphere /= np.linalg.norm(sphere, axis=2, keepdims=True)
    square = rng.uniform(-1, 1, (count, 64, 3)) * [1, 0.02, 1]
    rod = rng.uniform(-1, 1, (count, 64, 3)) * [0.02, 1, 0.02]
    return np.concatenate([sphere, square, rod]).astype(np.float32), np.repeat(np.arange(3), count)


def test_loss_is_the_benchmarks():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 6)), np.array([0, 3, 5, 3])
    target = np.full((4, 6), 0.2 / 5)
    target[np.arange(4), labels] = 0.8
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(target * log_probability).sum(axis=1).mean()
    found = loss_function(torch.tensor(logits), torch.tensor(labels), RECIPE.label_smoothing)
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


@pytest.mark.parametrize(("name", "epochs"), [("pointnet", 6), ("pointnet_vanilla", 20)])
def test_training_learns_and_is_reproducible(tmp_path, name, epochs):
    points, labels = shapes(count=16, seed=0)
    settings = replace(RECIPE, epochs=epochs, points=32, batch_size=8)
    heard = []
    trained, history = train_point_encoder(
        name, points, labels, settings, seed=3, on_epoch=lambda epoch, metrics: heard.append((epoch, metrics))
    )
    assert heard == list(enumerate(history, start=1))
    assert history[-1]["loss"] < history[0]["loss"]
    unseen, expected = shapes(count=20, seed=1)
    assert (classify(trained, unseen) == expected).mean() >= 0.9
    short = replace(RECIPE, epochs=1, points=32, batch_size=8)
    for file, seed in [("one", 3), ("two", 3), ("other", 4)]:
        model, _ = train_point_encoder(name, points, labels, short, seed=seed)
        save_point_encoder(tmp_path / file, name, model)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()


def test_learning_rate_follows_its_schedule():
    points, labels = shapes(count=2, seed=0)
    cosine = replace(RECIPE, epochs=4, points=8, batch_size=6, schedule="cosine")
    _, history = train_point_encoder("pointnet", points, labels, cosine, seed=0)
    rates = [metrics["learning_rate"] for metrics in history]
    np.testing.assert_allclose(rates, 0.5e-3 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    # The first epoch is the best; the eleventh after it is one too many
    optimizer = torch.optim.Adam(PointNet(classes=2).parameters(), lr=RECIPE.learning_rate)
    schedule, rates = create_schedule(optimizer, RECIPE), []
    for _ in range(13):
        step_schedule(schedule, 1.0)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1e-3] * 11 + [0.5e-3] * 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schedule": "step", "decay_epochs": 2, "decay_factor": 0.5}, [4, 4, 2, 2, 1, 1]),
        ({"schedule": "cosine", "final_learning_rate": 2.0}, 3 + np.cos(np.pi * np.arange(6) / 6)),
        ({"schedule": "cosine", "warmup_epochs": 3}, [1, 2, 3, *2 + 2 * np.cos(np.pi * np.arange(3) / 3)]),
        (
            {"schedule": "step", "warmup_epochs": 1, "decay_epochs": 2, "decay_factor": 0.5},
            [2, 4, 4, 2, 2, 1],
        ),
    ],
)
def test_schedules_decay_to_the_given_rate(changes, expected):
    settings = PointSettings(**{**RECIPE.model_dump(), "epochs": 6, "learning_rate": 4, **changes})
    optimizer = create_optimizer(PointNet(classes=2), settings)
    schedule, rates = create_schedule(optimizer, settings), []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step_schedule(schedule, 1.0)
    np.testing.assert_allclose(rates, expected)


@pytest.mark.parametrize(
    ("changes", "kind", "options"),
    [
        ({}, torch.optim.Adam, {"lr": 1e-3, "weight_decay": 0}),
        ({"optimizer": "adamw", "weight_decay": 0.05}, torch.optim.AdamW, {"weight_decay": 0.05}),
        (
            {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.8, "weight_decay": 2e-4},
            torch.optim.SGD,
            {"lr": 0.1, "momentum": 0.8, "weight_decay": 2e-4},
        ),
    ],
)
def test_the_optimizer_has_the_given_settings(changes, kind, options):
    optimizer = create_optimizer(PointNet(classes=2), replace(RECIPE, **changes))
    assert type(optimizer) is kind
    assert options.items() <= optimizer.param_groups[0].items()


def test_training_follows_the_recipe():
    """One step of SGD with a clipped gradient moves the weights by the learning rate times the clip."""
    points, labels = shapes(count=2, seed=0)
    recipe = {"epochs": 1, "points": 8, "batch_size": 6, "optimizer": "sgd", "gradient_clip": 0.5}

    def weights(learning_rate: float, **changes: float) -> torch.Tensor:
        settings = replace(RECIPE, **recipe, learning_rate=learning_rate, **changes)
        model, _ = train_point_encoder("pointnet", points, labels, settings, seed=0)
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    start, trained = weights(1e-9), weights(0.1)
    assert torch.linalg.norm(trained - start).item() == pytest.approx(0.05, rel=1e-3)
    decayed = weights(0.1, weight_decay=0.1)
    torch.testing.assert_close(decayed, trained - 0.1 * 0.1 * start, rtol=0, atol=1e-6)
    assert not torch.equal(weights(0.1, label_smoothing=0.0), trained)


def test_the_default_recipe_is_the_benchmarks():
    """Adam without decay or clipping, as in a loop without the settings."""
    points, labels = shapes(count=2, seed=0)
    settings = replace(RECIPE, epochs=2, points=8, batch_size=3, schedule="cosine")
    model, _ = train_point_encoder("pointnet", points, labels, settings, seed=0, device="cpu")
    with loop.reproducible(0, "pointnet") as generator:
        expected = PointNet(classes=3)
        adam = torch.optim.Adam(expected.parameters(), lr=1e-3, fused=True)
        for rate in (1e-3, 5e-4):
            adam.param_groups[0]["lr"] = rate
            for x, y in batches(torch.tensor(points), torch.tensor(labels), settings, generator):
                logits, penalty = expected(x)
                adam.zero_grad()
                (loss_function(logits, y, 0.2) + penalty).backward()
                adam.step()
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_epochs": 1}, "the schedule plateau has none"),
        ({"warmup_epochs": 300, "schedule": "cosine"}, "is 300 of 300 epochs"),
        ({"optimizer": "lion"}, "'adam', 'adamw' or 'sgd'"),
        ({"momentum": 1.0}, "less than 1"),
        ({"gradient_clip": 0.0}, "greater than 0"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PointSettings(**{**RECIPE.model_dump(), **changes})


def test_training_leaves_the_global_random_state_alone():
    points, labels = shapes(count=2, seed=0)
    before = torch.random.get_rng_state()
    settings = replace(RECIPE, epochs=1, points=8, batch_size=2)
    train_point_encoder("pointnet", points, labels, settings, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


# -------------------------------------------------------------------------------------------------- resume


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(
    "recipe",
    [
        {"schedule": "plateau"},
        {"schedule": "cosine"},
        {"schedule": "cosine", "warmup_epochs": 2, "optimizer": "sgd"},
    ],
)
def test_an_interrupted_training_resumes_bit_identically(tmp_path, recipe, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    points, labels = shapes(count=4, seed=0)
    settings = replace(RECIPE, epochs=5, points=16, batch_size=4, **recipe)
    arguments = ("pointnet", points, labels, settings, 3)
    reference, history = train_point_encoder(*arguments, device="cpu")

    def interrupt(epoch: int, metrics: dict) -> None:
        if epoch == 3:
            raise Interrupted

    path = tmp_path / "points.safetensors"
    with pytest.raises(Interrupted):
        train_point_encoder(*arguments, path, "cpu", interrupt)
    torch.rand(3)  # the global random state does not matter
    resumed, all_history = train_point_encoder(*arguments, path, "cpu")
    assert all_history == history
    for name, tensor in reference.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_a_checkpoint_of_another_training_is_not_resumed(tmp_path, monkeypatch):
    points, labels = shapes(count=2, seed=0)
    settings = replace(RECIPE, epochs=1, points=8, batch_size=6)
    path = tmp_path / "points.safetensors"
    steps, step = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (steps.append(1), step(self)))

    def train(points: np.ndarray, settings: PointSettings, seed: int, name: str = "pointnet") -> int:
        steps.clear()
        train_point_encoder(name, points, labels, settings, seed, path, "cpu")
        return len(steps)

    assert train(points, settings, seed=0) == 1
    assert train(points, settings, seed=0) == 0
    assert train(points, settings, seed=1) == 1
    assert train(points * 2, settings, seed=1) == 1
    assert train(points * 2, replace(settings, epochs=2), seed=1) == 2
    assert train(points * 2, replace(settings, epochs=2), seed=1, name="pointnet_vanilla") == 2
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    assert train(points * 2, replace(settings, epochs=2), seed=1, name="pointnet_vanilla") == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": 65}, r"encoders\.points\.points: 65, but the training clouds have 64 points"),
        ({"clouds": 1}, "needs at least 2 clouds, not 1"),
    ],
)
def test_clouds_that_do_not_fit_the_settings_are_refused(change, message):
    points, labels = shapes(count=2, seed=0)
    settings = replace(RECIPE, points=change.get("points", 8))
    count = change.get("clouds", 6)
    with pytest.raises(InputError, match=message):
        train_point_encoder("pointnet", points[:count], labels[:count], settings, 0)


def test_fewer_points_than_an_encoder_needs_are_refused():
    points, labels = shapes(count=2, seed=0)
    settings = replace(RECIPE, points=19, schedule="cosine")
    with pytest.raises(InputError, match=r"encoders\.points\.points: 19, but dgcnn needs at least 20"):
        train_point_encoder("dgcnn", points, labels, settings, 0)


def test_a_batch_of_one_cloud_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        PointSettings(**{**RECIPE.model_dump(), "batch_size": 1})


# ---------------------------------------------------------------------------------- ModelNet40's train split


def write_train_file(path: Path, labels: list[int], points: int = 20, seed: int = 0) -> np.ndarray:
    clouds = np.random.default_rng(seed).normal(size=(len(labels), points, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = clouds, np.array(labels, np.uint8)[:, None]
    return clouds


def test_the_train_split_is_read_in_order(tmp_path):
    chair, cone = (MODELNET40_CLASSES.index(name) for name in ("chair", "cone"))
    first = write_train_file(tmp_path / "ply_data_train0.h5", [chair, 0, cone])
    second = write_train_file(tmp_path / "ply_data_train1.h5", [cone], seed=1)
    write_train_file(tmp_path / "ply_data_test0.h5", [chair])
    clouds, labels = read_train_split(tmp_path, ["chair", "cone"], points=16)
    np.testing.assert_array_equal(clouds, np.concatenate([first[[0, 2]], second])[:, :16])
    np.testing.assert_array_equal(labels, [0, 1, 1])


def test_an_unusable_train_split_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no ply_data_train<k>\.h5"):
        read_train_split(tmp_path, ["chair"], points=16)
    path = tmp_path / "ply_data_train0.h5"
    write_train_file(path, [0, 1])
    with pytest.raises(InputError, match="2 labels and clouds"):
        read_train_split(tmp_path, ["chair"], points=21)
    with h5py.File(path, "a") as file:
        del file["label"]
        file["label"] = np.zeros((3, 1), np.uint8)
    with pytest.raises(InputError, match="3 labels and clouds"):
        read_train_split(tmp_path, ["chair"], points=20)
    for label in (-1, 40):
        with h5py.File(path, "a") as file:
            del file["label"]
            file["label"] = np.array([0, label])
        with pytest.raises(InputError, match="labels from 0 to 39"):
            read_train_split(tmp_path, ["chair"], points=20)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"ply_data_train0\.h5: cannot be read"):
        read_train_split(tmp_path, ["chair"], points=20)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs real clouds")
def test_real_clouds_are_learned():
    """Four classes of ModelNet40 in a few epochs of the recipe with few points."""
    classes = ["airplane", "car", "chair", "lamp"]
    points, labels = read_train_split(REAL / "modelnet40_train", classes, points=1024)
    assert points.shape == (120, 1024, 3)
    settings = PointSettings(epochs=6, points=64, batch_size=16, learning_rate=1e-3, schedule="cosine")
    model, history = train_point_encoder("pointnet", points, labels, settings, seed=0)
    assert history[-1]["accuracy"] > 0.85 > history[0]["accuracy"]
    truth = np.load(REAL / "modelnet40_c/label.npy").ravel()
    rows = np.flatnonzero(np.isin(truth, [MODELNET40_CLASSES.index(name) for name in classes]))[::6]
    clouds = np.load(REAL / "modelnet40_c/data_original.npy", mmap_mode="r")[rows]
    expected = [classes.index(MODELNET40_CLASSES[label]) for label in truth[rows]]
    assert (classify(model, np.array(clouds)) == expected).mean() > 0.8
