"""The recipes' vocabulary against closed forms."""

import numpy as np
import pytest
from shapely import Polygon

from pointspider.clouds.sources.procedural import shapes


def bounds(parts: shapes.Parts) -> np.ndarray:
    vertices = np.concatenate([part.vertices for part in shapes.flatten(parts)])
    return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


def area(parts: shapes.Parts) -> float:
    return sum(part.area for part in shapes.flatten(parts))


def test_standing_parts_stand_on_their_place():
    at = (1.0, 2.0, 3.0)
    for part, size in [
        (shapes.box((0.2, 0.4, 0.6), at), (0.2, 0.4, 0.6)),
        (shapes.cylinder(0.5, 0.4, at), (1, 0.4, 1)),
        (shapes.pyramid((0.4, 0.6), (0.1, 0.1), 0.3, at), (0.4, 0.3, 0.6)),
        (shapes.hollow((0.4, 0.5, 0.6), 0.05, "top", at), (0.4, 0.5, 0.6)),
    ]:
        low = np.subtract(at, (size[0] / 2, 0, size[2] / 2))
        np.testing.assert_allclose(bounds(part), [low, low + size], atol=1e-9)


def test_areas_match_closed_forms():
    slant = np.hypot(0.3, 0.8)
    frustum = np.pi * (0.5 + 0.2) * slant + np.pi * (0.5**2 + 0.2**2)
    assert shapes.box((1, 2, 3)).area == pytest.approx(22)
    assert shapes.frustum(0.5, 0.2, 0.8).area == pytest.approx(frustum, rel=0.02)
    # Pappus: an open profile sweeps its length times the way of its centroid.
    assert shapes.lathe([(0.5, 0), (0.2, 0.8)]).area == pytest.approx(2 * np.pi * 0.35 * slant, rel=0.02)
    assert shapes.ball(1.0).area == pytest.approx(4 * np.pi, rel=0.05)
    assert shapes.rod((0, 0, 0), (1, 2, 2), 0.1).area == pytest.approx(2 * np.pi * 0.1 * (3 + 0.1), rel=0.02)


def test_prism_with_a_hole_lies_in_its_plane():
    outline, hole = shapes.rectangle(2, 1), shapes.rectangle(1, 0.5)
    faces = 2 * (2 - 0.5) + 0.1 * (6 + 3)
    for normal, size in [("x", (0.1, 1, 2)), ("y", (2, 0.1, 1)), ("z", (2, 1, 0.1))]:
        part = shapes.prism(outline, 0.1, normal, (5, 6, 7), hole)
        assert part.area == pytest.approx(faces)
        half = np.divide(size, 2)
        np.testing.assert_allclose(bounds(part), np.add((5, 6, 7), [-half, half]), atol=1e-9)


def test_rod_runs_from_point_to_point():
    start, end = np.array([0.1, -0.2, 0.3]), np.array([-1.0, 0.5, 2.0])
    vertices = shapes.rod(start, end, 0.2, 0.1).vertices
    along = (end - start) / np.linalg.norm(end - start)
    height = (vertices - start) @ along
    radius = np.linalg.norm(vertices - start - np.outer(height, along), axis=1)
    ring = radius > 0.01  # the caps' centres lie on the axis
    assert height.min() == pytest.approx(0)
    assert height.max() == pytest.approx(np.linalg.norm(end - start))
    np.testing.assert_allclose(radius[ring], np.where(height[ring] < 1, 0.2, 0.1), atol=1e-9)


def test_smooth_lathe_passes_through_its_profile_without_overshooting():
    part = shapes.lathe([(0.1, 0), (0.4, 0.5), (0.2, 1.0)], smooth=True)
    radius = np.hypot(part.vertices[:, 0], part.vertices[:, 2])
    assert radius.max() <= 0.4 + 1e-9
    assert radius[part.vertices[:, 1] == 0] == pytest.approx(0.1)
    assert radius[np.isclose(part.vertices[:, 1], 1)] == pytest.approx(0.2)


def test_ribbon_covers_its_length_times_its_width():
    path = np.stack([np.zeros(5), np.linspace(0, 2, 5), np.zeros(5)], axis=1)
    part = shapes.ribbon(path, np.full(5, 0.3), (1, 0, 0))
    assert part.area == pytest.approx(2 * 0.3)


def test_hollow_leaves_the_named_sides_out():
    size = (1.0, 1.0, 1.0)
    assert len(shapes.hollow(size, 0.1, "front")) == 5
    assert len(shapes.hollow(size, 0.1, "front back")) == 4
    middle = [part for part in shapes.hollow(size, 0.1, "front") if part.bounds[1, 2] < 0]
    assert middle == []


def test_outlines_and_places():
    assert Polygon(shapes.rectangle(2, 3)).area == pytest.approx(6)
    assert Polygon(shapes.ellipse(2, 3)).area == pytest.approx(np.pi * 1.5, rel=0.02)
    np.testing.assert_allclose(shapes.spread(2, 1.0), [-0.25, 0.25])
    np.testing.assert_allclose(shapes.around(4, 2.0, 1.0)[1], (0, 1, 2), atol=1e-12)
    assert sorted(shapes.corners(2, 4, 1))[0] == (-1, 1, -2)


def test_placing():
    part = shapes.box((1, 1, 1))
    np.testing.assert_allclose(bounds(shapes.moved(part, (1, 2, 3)))[0], (0.5, 2, 2.5))
    np.testing.assert_allclose(bounds(shapes.stretched(part, (2, 3, 4)))[1], (1, 3, 2))
    hinged = shapes.turned(part, "x", 90, about=(0, 1, 0))  # y to z around the top edge
    np.testing.assert_allclose(bounds(hinged), [(-0.5, 0.5, -1), (0.5, 1.5, 0)], atol=1e-9)
    pair = shapes.both_sides([shapes.moved(part, (2, 0, 0)), []])
    assert len(pair) == 2
    np.testing.assert_allclose(bounds(pair)[:, 0], (-2.5, 2.5))
    assert area(pair) == pytest.approx(12)


def test_draws_stay_in_their_ranges():
    rng = np.random.default_rng(0)
    values = np.array([shapes.draw(rng, (0, 1), (5, 6)) for _ in range(100)])
    assert np.all((values >= (0, 5)) & (values <= (1, 6)))
    assert 10 < sum(shapes.happens(rng, 0.3) for _ in range(100)) < 50
