import numpy as np
import pytest

from pointspider.render.mask import Mask
from pointspider.render.scene import Camera, Spheres

CAMERAS = [
    Camera(),
    Camera(azimuth=200, elevation=10, distance=3, fov=70),
    Camera(elevation=90, fov=40),
    Camera(azimuth=-30, elevation=60, orthographic=True),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_spheres_are_found_where_mitsubas_camera_sees_them(variant, camera):
    import mitsuba as mi

    sensor = mi.load_dict(camera.sensor(64, 1, "independent", "box"))
    mask = Mask(camera, 64)
    for column, row in ((3, 60), (32, 32), (50, 10)):
        position = mi.Point2f((column + 0.5) / 64, (row + 0.5) / 64)
        ray, _ = sensor.sample_ray(0, 0, position, mi.Point2f(0.5))
        centre = (np.array(ray.o) + 3 * np.array(ray.d)).reshape(1, 3).astype(np.float32)
        rows, columns = np.nonzero(mask.discs(Spheres(centre, np.ones((1, 3), np.float32), 0.01)))
        np.testing.assert_allclose([rows.mean(), columns.mean()], [row, column], atol=0.51)


@pytest.mark.parametrize("camera", CAMERAS)
def test_no_sphere_is_seen_outside_the_discs(variant, torus, camera):
    import mitsuba as mi

    from pointspider.render.reference import reference_scene
    from pointspider.render.scene import place

    spheres = place(torus(200), radius=0.05)
    scene = reference_scene(spheres, camera, 96, 1, floor=False)
    row, column = np.indices((96, 96)).reshape(2, -1)
    ray, _ = scene.sensors()[0].sample_ray(
        0, 0, mi.Point2f((column + 0.5) / 96, (row + 0.5) / 96), mi.Point2f(0.5)
    )
    depth = np.array(scene.ray_intersect(ray).t).reshape(96, 96)
    seen = depth < 12  # the light is further away
    discs = Mask(camera, 96).discs(spheres)
    assert seen.mean() > 0.02
    assert not (seen & ~discs).any()


@pytest.mark.parametrize("camera", CAMERAS)
def test_numpys_rays_are_mitsubas(variant, camera):
    import mitsuba as mi

    sensor = mi.load_dict(camera.sensor(8, 1, "independent", "box"))
    row, column = np.indices((8, 8)).reshape(2, -1)
    ray, _ = sensor.sample_ray(0, 0, mi.Point2f((column + 0.5) / 8, (row + 0.5) / 8), mi.Point2f(0.5))
    origins, directions = camera.rays(8)
    directions = (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).reshape(-1, 3)
    np.testing.assert_allclose(np.broadcast_to(np.array(ray.d).T, (64, 3)), directions, atol=1e-5)
    origins = np.broadcast_to(origins, (8, 8, 3)).reshape(-1, 3)
    np.testing.assert_allclose(np.cross(np.array(ray.o).T - origins, directions), 0, atol=1e-4)
    places, _, depth = camera.project(np.array(ray.o).T + 2 * np.array(ray.d).T)
    np.testing.assert_allclose(places, (np.stack([column, row], axis=1) + 0.5) / 8, atol=1e-4)
    assert (depth > 0).all()
