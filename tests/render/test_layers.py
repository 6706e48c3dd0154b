"""Cameras, backgrounds and floors other than the paper's, against Mitsuba's own path tracer."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from pointspider.render.layers import bare_floor, finish, smoothed
from pointspider.render.mask import Mask
from pointspider.render.reference import reference_scene
from pointspider.render.renderer import Renderer
from pointspider.render.scene import Camera, Spheres, Surface, place, to_srgb
from pointspider.render.settings import RenderSettings
from pointspider.study.speed import similarity

CAMERAS = [
    Camera(azimuth=200, elevation=60, distance=4),
    Camera(azimuth=-60, elevation=12, fov=40, distance=3),
    Camera(azimuth=10, elevation=35, orthographic=True),
    Camera(elevation=90),
]
CLIP = RenderSettings(48, "clip")
NOTHING = Spheres(*np.empty((2, 0, 3), np.float32))


def traced(spheres, camera, floor, side=192, factor=4):
    """Mitsuba's path-traced radiance and alpha, reduced by `factor`, (H, W, 4)."""
    import mitsuba as mi

    scene = reference_scene(spheres, camera, side, 32, floor)
    integrator = mi.load_dict({"type": "path", "hide_emitters": True})
    sensor = camera.sensor(side, 32, "independent", "box")
    sensor["film"]["pixel_format"] = "rgba"
    image = np.array(mi.render(scene, sensor=mi.load_dict(sensor), spp=32, integrator=integrator))
    return image.reshape(side // factor, factor, side // factor, factor, 4).mean(axis=(1, 3))


@pytest.mark.parametrize("camera", CAMERAS)
def test_alpha_and_colours_without_a_floor_are_the_path_tracers(variant, torus, camera):
    colours = np.random.default_rng(0).uniform(0.2, 0.9, (600, 3)).astype(np.float32)
    spheres = place(torus(600), colours, radius=0.04)
    settings = replace(CLIP, camera=camera, background=None, floor="off")
    picture = Renderer(settings).draw(spheres) / 255
    expected = traced(spheres, camera, floor=False)
    alpha = expected[..., 3]
    assert np.abs(picture[..., 3] - alpha).mean() < 0.01
    assert alpha.max() > 0.99
    edges = (alpha > 0.2) & (alpha < 0.8)
    inside = alpha > 0.99
    assert edges.sum() > 30
    assert inside.sum() > 100
    straight = to_srgb(expected[..., :3] / np.maximum(alpha, 1e-3)[..., None]) / 255
    assert np.abs(picture[..., :3] - straight)[inside].mean() < 0.035
    assert np.abs(picture[..., :3] - straight)[edges].mean() < 0.05  # no background shines through


@pytest.mark.parametrize("camera", CAMERAS[:3])
def test_shadows_are_the_path_tracers(variant, torus, camera):
    spheres = place(torus(600), np.float32([0.5, 0.5, 0.5]))
    expected, bare = traced(spheres, camera, True), traced(NOTHING, camera, True)
    discs = Mask(camera, 48).discs(spheres)
    # As bright as Mitsuba's, where the bare floor counts as white.
    lit = to_srgb(expected[..., 0] / np.clip(bare[..., 0] / 1.05, 1e-3, 1)) / 255
    settings = replace(CLIP, camera=camera, background=None, floor="shadow")
    picture = Renderer(settings).draw(spheres) / 255
    shown = ~discs & (bare[..., 0] > 0.2)
    assert (lit[shown] < 0.97).sum() > 20
    assert np.abs(1 - picture[..., 3] - lit)[shown].mean() < 0.02
    over_white = Renderer(replace(settings, background=(1.0, 1.0, 1.0))).draw(spheres) / 255
    alpha = picture[..., 3:]
    np.testing.assert_allclose(picture[..., :3] * alpha + 1 - alpha, over_white, atol=1.6 / 255)


@pytest.mark.parametrize("smooth", [True, False])
def test_a_surface_is_the_path_tracers(variant, smooth):
    """A finely triangulated ball beside Mitsuba's sphere."""
    camera, ball = CAMERAS[0], trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    colour = np.float32([0.6, 0.3, 0.2])
    sphere = Spheres(np.zeros((1, 3), np.float32), colour[None], 0.3)
    normals = np.float32(ball.vertex_normals) if smooth else None
    vertices = np.float32(ball.vertices)
    surface = Surface(vertices, ball.faces, np.tile(colour, (len(vertices), 1)), normals)
    settings = replace(CLIP, camera=camera, background=None, floor="off")
    picture, expected = Renderer(settings).draw(surface) / 255, traced(sphere, camera, False)
    alpha = expected[..., 3]
    assert np.abs(picture[..., 3] - alpha).mean() < 0.01
    straight = to_srgb(expected[..., :3] / np.maximum(alpha, 1e-3)[..., None]) / 255
    assert np.abs(picture[..., :3] - straight)[alpha > 0.99].mean() < 0.02
    lit = Renderer(replace(settings, floor="shadow")).draw(surface) / 255
    shadowed, bare = traced(sphere, camera, True), traced(NOTHING, camera, True)
    shadow = 1 - to_srgb(shadowed[..., 0] / np.clip(bare[..., 0] / 1.05, 1e-3, 1)) / 255
    shown = (alpha == 0) & (bare[..., 0] > 0.2)
    assert (shadow[shown] > 0.1).sum() > 20
    assert np.abs(lit[..., 3] - shadow)[shown].mean() < 0.02


def test_over_white_layers_are_the_papers_look(variant, torus):
    for settings, least in ((replace(CLIP, resolution=96), 40), (RenderSettings(96, "reference"), 34)):
        expected = Renderer(settings).draw(place(torus()))
        for layers in (replace(settings, layers=True), replace(settings, floor="shadow")):
            psnr, error = similarity(Renderer(layers).draw(place(torus())), expected)
            assert psnr > least
            assert error < 1.2


def test_scalar_variants_cover_cells_as_llvm_does(variant, torus):
    from pointspider.render.path_tracer import covered

    camera, spheres = CAMERAS[1], place(torus(300), radius=0.04)
    alpha = traced(spheres, camera, floor=False)[..., 3]
    assert np.abs(covered(spheres, camera, 48) - alpha).mean() < 0.01


@pytest.mark.parametrize("camera", [*CAMERAS, Camera(azimuth=120, elevation=5)])
def test_the_bare_floor_is_mitsubas(variant, camera):
    window = (slice(0, 48), slice(0, 48))
    expected = np.minimum(traced(NOTHING, camera, True)[..., 0] / 1.05, 1)
    ours = bare_floor(camera, 48, window)
    rows = slice(30, 44)  # near the cloud
    assert (expected - ours)[rows].min() > -0.06  # noise; where the coat mirrors the light it is brighter
    assert np.median(np.abs(expected - ours)[rows]) < 0.02


@pytest.mark.parametrize("floor", ["on", "shadow", "off"])
@pytest.mark.parametrize("background", [None, (1.0, 1.0, 1.0), (0.2, 0.4, 0.6)])
def test_backgrounds_show_where_nothing_is(variant, torus, floor, background):
    settings = replace(CLIP, background=background, floor=floor)
    picture = Renderer(settings).draw(place(torus()))
    corner = [255, 255, 255] if floor == "on" else [round(255 * part) for part in background or (0, 0, 0)]
    assert picture.shape == (48, 48, 4 if background is None else 3)
    assert picture[0, 0].tolist() == corner + ([255 if floor == "on" else 0] if background is None else [])


def test_a_camera_that_sees_nothing_draws_the_background(variant):
    far = place(np.array([[0, 0, 0], [1, 1, 1.0]]))
    settings = replace(CLIP, camera=Camera(fov=0.5), floor="shadow", background=(1.0, 0.0, 0.0))
    assert (Renderer(settings).draw(far) == [255, 0, 0]).all()


def test_straight_alpha_is_exact_where_one_colour_is_cut():
    layers = np.zeros((8, 8, 4), np.float32)
    layers[:, :3] = [0.5, 0.25, 0, 1]
    picture = finish(layers, 4, None)
    assert picture[0, :, 3].tolist()[0] == 255
    partial = (picture[..., 3] > 40) & (picture[..., 3] < 215)
    assert partial.any()
    np.testing.assert_allclose(picture[partial][:, :3], [[128, 64, 0]] * partial.sum(), atol=2)


def test_smoothing_averages_over_a_square_of_the_cells_that_are_smoothed():
    values = np.random.default_rng(0).random((9, 14, 3), np.float32)
    where = np.ones((9, 14), bool)
    where[:, 9:] = False
    result = smoothed(values, where, 2)
    np.testing.assert_array_equal(result[~where], values[~where])
    np.testing.assert_allclose(result[4, 4], values[2:7, 2:7].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(result[8, 8], values[6:, 6:9].mean(axis=(0, 1)), rtol=1e-5)
