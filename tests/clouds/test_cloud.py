"""Clouds: what is usable, and scaling."""

import numpy as np
import pytest

from pointspider.clouds.cloud import Cloud, Mesh, validate_points
from pointspider.core.errors import InputError


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 2)), r"shape \(N, 3\), not float64 \(4, 2\)"),
        (np.zeros(3), r"not float64 \(3,\)"),
        (np.zeros((4, 3), complex), "must be numbers"),
        (np.zeros((0, 3)), "has no points"),
        (np.full((4, 3), np.nan), "4 of 4 points have NaN or inf"),
        (np.full((4, 3), 2.5), "all of its 4 points coincide"),
    ],
)
def test_validate_points(points, message):
    with pytest.raises(InputError, match=f"cloud x: .*{message}"):
        validate_points(points, "cloud x")


def test_two_distinct_points_are_enough():
    validate_points(np.array([[0, 0, 0], [0, 0, 1]]), "cloud x")


@pytest.fixture
def triangle():
    points = np.array([[10, 0, 0], [14, 0, 0], [12, 3, 0]], np.float64)
    return Cloud(points, Mesh(points, np.array([[0, 1, 2]])), normals=np.eye(3), labels=np.arange(3))


def test_normalize_centres_on_the_mean_and_scales_the_mesh_too(triangle):
    cloud = triangle.normalize("triangle")
    assert cloud.points.dtype == np.float32
    np.testing.assert_allclose(
        cloud.points, np.array([[-2, -1, 0], [2, -1, 0], [0, 2, 0]]) / 5**0.5, rtol=1e-6
    )
    np.testing.assert_allclose(cloud.mesh.vertices, cloud.points, atol=1e-6)
    np.testing.assert_array_equal(cloud.labels, [0, 1, 2])
    assert len(cloud) == 3


@pytest.mark.parametrize("factor", [1e308, 1e-310, 1e-200])
def test_what_floating_point_cannot_scale_is_refused(triangle, factor):
    with pytest.raises(InputError, match="are too large, too small or too far"):
        Cloud(triangle.points / 14 * factor).normalize("triangle")


def test_integers_that_collapse_when_they_are_converted_are_refused():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]) + 2.0**62
    with pytest.raises(InputError, match="all of its 3 points coincide"):
        Cloud(points).normalize("far")


def test_a_mesh_is_sampled_uniformly_over_its_area(triangle):
    points = triangle.mesh.sample(500, np.random.default_rng(0))
    assert points.shape == (500, 3)
    np.testing.assert_allclose(points.mean(axis=0), [12, 1, 0], atol=0.1)
    flat = Mesh(triangle.points * [1, 0, 0], triangle.mesh.faces)
    with pytest.raises(InputError, match="its mesh has no area"):
        flat.sample(5, np.random.default_rng(0))
