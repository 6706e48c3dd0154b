import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render.scene import place


def reference_placement(points):
    """PointVisualizaiton's steps, point by point."""
    low, high = points.min(axis=0), points.max(axis=0)
    standard = (points - (low + high) / 2) / max(high - low)
    bottom = min(standard[:, 1])
    centres, colours = [], []
    for x, y, z in standard:
        colour = [min(max(value + 0.5, 0.0004), 1) for value in (x, y, z)]
        length = sum(value**2 for value in colour) ** 0.5
        colours.append([value / length for value in colour])
        centres.append(np.roll([x, y - (bottom + 0.25), -z], 1))
    return np.array(centres), np.array(colours)


@pytest.fixture
def cloud():
    return np.random.default_rng(0).normal(size=(50, 3)) * [3, 1, 2] + 7


def test_placement_follows_the_reference(cloud):
    spheres = place(cloud)
    centres, colours = spheres.centres, spheres.colours
    expected_centres, expected_colours = reference_placement(cloud)
    assert centres.dtype == colours.dtype == np.float32
    np.testing.assert_allclose(centres, expected_centres, atol=1e-6)
    np.testing.assert_allclose(colours, expected_colours, atol=1e-6)


def test_placement_is_a_closed_form_for_two_points():
    spheres = place(np.array([[0, 0, 0], [4, 2, 1]]))  # integers, longest side 4
    np.testing.assert_allclose(spheres.centres, [[0.125, -0.5, -0.25], [-0.125, 0.5, 0.25]])
    low, high = np.array([0.0004, 0.25, 0.375]), np.array([1, 0.75, 0.625])
    np.testing.assert_allclose(
        spheres.colours, [low / np.linalg.norm(low), high / np.linalg.norm(high)], rtol=1e-6
    )


def test_placement_ignores_shift_and_scale(cloud):
    for moved in (cloud * 1e-30, cloud * 1e30, cloud - 3):
        np.testing.assert_allclose(place(moved).centres, place(cloud).centres, atol=1e-6)
        np.testing.assert_allclose(place(moved).colours, place(cloud).colours, atol=1e-6)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "no points"),
        (np.zeros((4, 2)), r"\(4, 2\)"),
        (np.zeros((1, 4, 3)), r"\(1, 4, 3\)"),
        (np.array([["a", "b", "c"]]), r"numbers"),
        (np.array([[0, 0, 0], [1, np.nan, 0]]), "1 of 2 points hold NaN or inf"),
        (np.array([[0, 0, 0], [np.inf, 1, 0]]), "1 of 2 points hold NaN or inf"),
        (np.ones((1, 3)), "has only one point"),
        (np.ones((9, 3)), "all 9 points are the same"),
    ],
)
def test_undrawable_clouds_are_refused(points, message):
    with pytest.raises(InputError, match=message):
        place(points)
