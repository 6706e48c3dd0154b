"""Corrupting one cloud: names, frames, origins and compositions; a toy corruption through the registry."""

import numpy as np
import pytest
import trimesh

import pointspider
from pointspider.clouds.cloud import Mesh
from pointspider.clouds.corruptions import views
from pointspider.clouds.corruptions.engine import corrupt, corrupt_clouds, full_names
from pointspider.clouds.corruptions.registry import CORRUPTIONS, Corruption
from pointspider.clouds.names import CorruptionLevel
from pointspider.core.errors import InputError


@pytest.fixture
def points() -> np.ndarray:
    """(512, 3) float32 on an ellipsoid, neither centred nor of unit size."""
    points = np.random.default_rng(0).standard_normal((512, 3))
    points *= [30, 20, 10] / np.linalg.norm(points, axis=1, keepdims=True)
    return (points + np.array([100, 0, -50])).astype(np.float32)


@pytest.fixture
def mirror():
    """A corruption that is registered while the test runs."""

    def apply(clouds, streams, axis):
        """Mirror an axis."""
        mirrored = clouds.copy()
        mirrored[:, axis] *= -1
        return mirrored

    CORRUPTIONS.add("toy/mirror", Corruption("toy", "nowhere", (0, 1, 2), apply))
    yield
    CORRUPTIONS.remove("toy/mirror")


def test_a_corruption_is_one_function(mirror, points):
    moved, origin = pointspider.corrupt(points, "mirror", severity=2, frame="keep")
    expected = points.copy()
    expected[:, 1] = 2 * points[:, 1].mean() - points[:, 1]
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    np.testing.assert_array_equal(origin, np.arange(512))
    assert CORRUPTIONS["toy/mirror"].description == "Mirror an axis."
    with pytest.raises(InputError, match="4 is not a severity of 'toy/mirror'; choose from 1 to 3"):
        corrupt(points, "mirror", 4)


def test_one_cloud_equals_the_batch(points):
    clean = points - points.mean(axis=0)
    clean /= np.linalg.norm(clean, axis=1).max()
    batch = corrupt_clouds(CorruptionLevel("uniform", 3), [clean], [None], ["a"], seed=1, points=512)
    np.testing.assert_allclose(corrupt(points, "uniform", 3, 1, key="a")[0], batch[0], atol=1e-5)


@pytest.mark.parametrize("name", [name for name, each in CORRUPTIONS.items() if not each.needs_mesh])
def test_origins_name_the_points(name, points):
    moved, origin = corrupt(points, name, 5, frame="keep")
    assert moved.dtype == points.dtype
    assert len(moved) == len(origin)
    kept = origin >= 0
    assert kept.any() == (name != "nothing")
    distance = np.linalg.norm(moved[kept] - points[origin[kept]], axis=1)
    limits = {"rotation": 25, "shear": 30, "scale": 30, "rotate": 40, "lidar": 5}
    limit = limits.get(name.split("/")[-1], 15)
    assert np.median(distance) < limit
    if name.split("/")[-1] in (
        "cutout",
        "density",
        "density_inc",
        "dropout_global",
        "dropout_local",
        "add_local",
    ):
        np.testing.assert_allclose(moved[kept], points[origin[kept]], atol=1e-3)


def test_compositions_follow_origins_and_have_draws_of_their_own(points):
    moved, origin = corrupt(points, "dropout_global+add_global+dropout_global", 1, frame="keep")
    assert len(moved) == 291  # 512 - 128 + 3 - 96: the counts for 1024 points are scaled
    kept = origin >= 0
    np.testing.assert_allclose(moved[kept], points[origin[kept]], atol=1e-3)
    assert len(np.unique(origin[kept])) == kept.sum()
    once = corrupt(points, "uniform", 5, frame="keep")[0] - points
    twice = corrupt(points, "uniform+uniform", 5, frame="keep")[0] - points
    np.testing.assert_allclose(twice.std() / once.std(), 2**0.5, rtol=0.1)


def test_resampling_to_a_number_of_points(points):
    for count in (100, 2000):
        moved, origin = corrupt(points, "cutout", 3, count=count, frame="keep")
        assert len(moved) == count
        np.testing.assert_allclose(moved, points[origin], atol=1e-3)


def test_a_mesh_is_seen_in_the_frame_of_the_points():
    box = trimesh.creation.box((1, 1, 1)).apply_translation((5, 5, 5))
    mesh = Mesh(np.asarray(box.vertices), np.asarray(box.faces))
    points = np.asarray(box.sample(512, seed=0), np.float32)
    moved, origin = corrupt(points, "lidar", 1, mesh=mesh)
    assert moved.shape == (384, 3)
    assert (origin == -1).all()
    with pytest.raises(InputError, match="occlusion needs a mesh; points/occlusion is an approximation"):
        corrupt(points, "occlusion", 1)
    with pytest.raises(InputError, match="occlusion needs a mesh and must come first"):
        corrupt(points, "uniform+occlusion", 1, mesh=mesh)


def test_names():
    assert full_names("jitter+scale") == ["pointcloud-c/jitter", "scale"]
    with pytest.raises(InputError, match="'jiter' is not a corruption"):
        full_names("uniform+jiter")


def test_hidden_points_of_a_sphere_are_found():
    points = np.random.default_rng(0).standard_normal((1024, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    position = np.array([0.0, 3.0, 0.0])
    seen = np.zeros(1024, bool)
    seen[views.visible(points.astype(np.float32), position)] = True
    truth = points[:, 1] > 1 / 3
    assert seen[truth].all()
    assert seen.sum() < 1.12 * truth.sum()
    with pytest.raises(InputError, match="too few or too flat"):
        views.visible(points[:2].astype(np.float32), position)
