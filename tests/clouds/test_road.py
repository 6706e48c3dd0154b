"""The road source: scans by a simulated lidar, against geometry."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pointspider.clouds.cloud import Mesh
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.clouds.sources.road import AZIMUTH, HEIGHT, NOISE, POINTS, RING, scan

CLASSES = ("barrier", "car", "cone", "pedestrian", "pole")


def source(objects=2, seed=1):
    return open_source(
        parse_settings({"source": "road", "evaluation_objects": objects, "encoder_objects": 1}), seed
    )


def test_classes_and_splits():
    road = source()
    assert road.classes == CLASSES
    assert road.objects()["test"]["car"] == ["0000", "0001"]
    assert road.objects()["train"]["car"] == ["0002"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_scan_is_on_the_side_of_the_mesh_that_faces_the_lidar(name):
    cloud = source().load(name, "0001")
    assert cloud.points.shape == (POINTS, 3)
    assert cloud.points.dtype == np.float32
    assert np.linalg.norm(cloud.points, axis=1).max() == pytest.approx(1, abs=1e-5)
    surface = cKDTree(cloud.mesh.sample(20_000, np.random.default_rng(0)))
    height = np.ptp(cloud.mesh.vertices[:, 1])  # at least 0.5 m
    assert np.quantile(surface.query(cloud.points)[0], 0.9) < 3 * NOISE * height / 0.5
    assert cloud.points[:, 2].mean() < cloud.mesh.vertices[:, 2].mean()  # the lidar is at -z
    again = source(objects=9).load(name, "0001")  # does not depend on the number of objects
    assert (again.points == cloud.points).all()
    assert (source(seed=2).load(name, "0001").points != cloud.points).any()


def test_a_wall_is_hit_by_every_ray_at_the_angles_of_the_rings():
    distance = 10.0
    corners = np.array([[-1, 0, 0], [1, 0, 0], [1, 2, 0], [-1, 2, 0]], dtype=float)
    wall = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    points = scan(wall, distance, np.random.default_rng(0))
    width = 2 * np.degrees(np.arctan(1 / distance)) / AZIMUTH
    height = (
        np.degrees(np.arctan(HEIGHT / distance)) + np.degrees(np.arctan((2 - HEIGHT) / distance))
    ) / RING
    assert len(points) == pytest.approx(width * height, rel=0.1)
    assert points[:, 2].std() == pytest.approx(NOISE, rel=0.15)
    offset = points - [0, HEIGHT, -distance]
    elevation = np.degrees(np.arctan2(offset[:, 1], np.hypot(offset[:, 0], offset[:, 2])))
    rings = np.unique(np.round(elevation, 4))
    np.testing.assert_allclose(np.diff(rings), RING, atol=1e-3)


def test_a_distant_object_has_fewer_points():
    mesh = source().load("car", "0000").mesh
    standing = Mesh(2 * mesh.vertices - [0, 2 * mesh.vertices[:, 1].min(), 0], mesh.faces)
    near, far = (len(scan(standing, distance, np.random.default_rng(0))) for distance in (10.0, 20.0))
    assert 3 < near / far < 5
