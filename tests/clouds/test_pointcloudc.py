"""PointCloud-C's corruptions against their definitions, and the benchmark's metrics."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointspider.clouds.corruptions import pointcloudc
from pointspider.clouds.corruptions.metrics import DGCNN, DGCNN_CLEAN, corruption_errors
from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

NAMES = [name for name in CORRUPTIONS if name.startswith("pointcloud-c/")]


@pytest.fixture
def clouds() -> np.ndarray:
    """(200, 3, 256): points in the unit ball."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((200, 3, 256))
    return (
        directions * rng.uniform(size=(200, 1, 256)) / np.linalg.norm(directions, axis=1)[:, None]
    ).astype("f4")


@pytest.fixture
def streams() -> list[np.random.Generator]:
    return [generator(0, number) for number in range(200)]


def linear_maps(clouds, moved):
    maps = [np.linalg.lstsq(a.T, b.T, rcond=None)[0].T for a, b in zip(clouds, moved, strict=True)]
    np.testing.assert_allclose(np.stack(maps) @ clouds, moved, atol=1e-5)
    return np.stack(maps)


def test_there_are_seven_at_five_severities():
    assert [name.removeprefix("pointcloud-c/") for name in NAMES] == list(DGCNN)
    assert all(len(CORRUPTIONS[name].constants) == 5 for name in NAMES)


@pytest.mark.parametrize("factor", CORRUPTIONS["pointcloud-c/scale"].constants)
def test_scale(factor, clouds, streams):
    factors = np.diagonal(linear_maps(clouds, pointcloudc.scale(clouds, streams, factor)), axis1=1, axis2=2)
    assert factors.min() >= 1 / factor - 1e-5
    assert factors.max() <= factor + 1e-5
    np.testing.assert_allclose(factors.mean(), (factor + 1 / factor) / 2, rtol=0.05)


def test_jitter_is_not_clipped(clouds, streams):
    moves = pointcloudc.jitter(clouds, streams, 0.05) - clouds
    np.testing.assert_allclose(moves.std(), 0.05, rtol=0.01)
    assert np.abs(pointcloudc.jitter(np.ones_like(clouds), streams, 0.05)).max() > 1


def test_rotate_multiplies_rows_by_rz_ry_rx(clouds):
    rotated = pointcloudc.rotate(clouds, [generator(0, number) for number in range(200)], np.pi / 6)
    for number in range(5):
        x, y, z = generator(0, number).uniform(-np.pi / 6, np.pi / 6, 3)
        matrix = (
            Rotation.from_euler("z", z) * Rotation.from_euler("y", y) * Rotation.from_euler("x", x)
        ).as_matrix()
        np.testing.assert_allclose(rotated[number].T, clouds[number].T @ matrix, atol=1e-5)


def test_dropout_global(clouds, streams):
    left, origin = pointcloudc.dropout_global(clouds, streams, 0.375)
    assert left.shape == (200, 3, 160)
    np.testing.assert_array_equal(left[7], clouds[7][:, origin[7]])
    assert len(np.unique(origin[7])) == 160


def test_dropout_local_removes_neighbourhoods(clouds, streams):
    left, origin = pointcloudc.dropout_local(clouds, streams, 400)
    assert left.shape == (200, 3, 156)
    np.testing.assert_array_equal(left[7], clouds[7][:, origin[7]])
    rng, cloud = generator(0, 7), clouds[7].T
    sizes = rng.multinomial(100, np.full(n := rng.integers(1, 8), 1 / n))
    for size in sizes:
        distance = np.linalg.norm(cloud - cloud[rng.integers(len(cloud))], axis=1)
        cloud = np.delete(cloud, np.argsort(distance)[:size], axis=0)
    np.testing.assert_array_equal(left[7].T, cloud)


def test_add_global_fills_the_ball(clouds, streams):
    more, origin = pointcloudc.add_global(clouds, streams, 40)
    assert more.shape == (200, 3, 266)
    assert (origin[:, 256:] == -1).all()
    np.testing.assert_array_equal(more[:, :, :256], clouds)
    radius = np.linalg.norm(more[:, :, 256:], axis=1)
    assert radius.max() <= 1
    np.testing.assert_allclose((radius < 0.5).mean(), 0.125, atol=0.02)


def test_add_local_adds_clusters_inside_the_ball(clouds, streams):
    more, origin = pointcloudc.add_local(clouds, streams, 100)
    assert more.shape == (200, 3, 281)
    assert (origin[:, 256:] == -1).all()
    assert np.linalg.norm(more[:, :, 256:], axis=1).max() <= 1 + 1e-6
    nearest = np.linalg.norm(more[:, :, 256:, None] - clouds[:, :, None], axis=1).min(axis=2)
    assert np.median(nearest) < 0.2


def test_dgcnn_has_errors_of_one():
    accuracies = {name: [accuracy] * 5 for name, accuracy in DGCNN.items()}
    errors = corruption_errors(DGCNN_CLEAN, accuracies)
    assert errors.mean == pytest.approx(1)
    assert errors.mean_relative == pytest.approx(1)
    assert errors.accuracy == pytest.approx(0.7643, abs=1e-4)
    half = corruption_errors(1.0, {f"pointcloud-c/{name}": [(1 + a) / 2] for name, a in DGCNN.items()})
    assert half.mean == pytest.approx(0.5)


def test_bad_accuracies():
    with pytest.raises(InputError, match=r"accuracies of jitter, rotate.* are missing"):
        corruption_errors(0.9, {"scale": [0.9]})
    with pytest.raises(InputError, match="'noise' is not a corruption of PointCloud-C; it has scale, jitter"):
        corruption_errors(0.9, {"noise": [0.9]})
    with pytest.raises(InputError, match="accuracies of 'scale' must be from 0 to 1"):
        corruption_errors(0.9, {"scale": [90.6]})
