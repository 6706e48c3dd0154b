import numpy as np
import pytest

import pointspider
from pointspider.core.errors import InputError
from pointspider.render.renderer import Renderer
from pointspider.render.scene import Camera, auto_radius
from pointspider.render.settings import RenderSettings


@pytest.fixture
def draw(variant):
    """`pointspider.draw` at a small size."""
    return lambda points, colors=None, **options: pointspider.draw(
        points, colors, **{"resolution": 32, "quality": "clip", **options}
    )


def test_the_default_is_the_papers_look(draw, torus):
    picture = draw(torus(1024), seed=7)
    expected = Renderer(RenderSettings(32, seed=7)).render(torus(1024)[None])[0]
    np.testing.assert_array_equal(picture[..., :3], expected)
    assert (picture[..., 3] == 255).all()


def test_colours_are_srgb(draw, torus):
    red = draw(torus(1024), "red")
    np.testing.assert_array_equal(draw(torus(1024), np.array([255, 0, 0], np.uint8)), red)
    np.testing.assert_array_equal(draw(torus(1024), np.tile([1.0, 0, 0], (1024, 1))), red)
    shown = red[..., 1] < 200
    assert shown.mean() > 0.05
    assert (red[shown][:, 0].astype(int) - red[shown][:, 1]).mean() > 60


def test_a_flat_patch_comes_out_as_asked(draw):
    """Facing the light, far from other points' shadows."""
    x, z = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60))
    patch = np.stack([x.ravel(), np.zeros(3600), z.ravel()], axis=1)
    asked = np.array([0.8, 0.4, 0.2])
    picture = draw(patch, asked, camera=Camera(elevation=90, distance=3), radius=0.02)
    np.testing.assert_allclose(picture[12:20, 12:20, :3].mean(axis=(0, 1)) / 255, asked, atol=0.1)


def test_labels_and_scalars_colour(draw, torus):
    labels = (torus(1024)[:, 0] > 0).astype(int)
    picture = draw(torus(1024), labels=labels)
    np.testing.assert_array_equal(draw(torus(1024), scalars=labels, colormap="gray").shape, picture.shape)
    assert (draw(torus(1024), labels=labels * 5) != picture).any()
    for options in ({"labels": labels[:5]}, {"scalars": labels[:5]}):
        with pytest.raises(InputError, match=r"\(5,\) values for 1024 points"):
            draw(torus(1024), **options)
    with pytest.raises(InputError, match="one of colors, labels and scalars"):
        draw(torus(1024), "red", labels=labels)


def test_up_turns_the_cloud_and_mirrors_nothing(draw, torus):
    y_up = torus(1024)
    expected = draw(y_up, "grey", up="y")
    z_up = y_up[:, [2, 0, 1]]  # a rotation that takes y to z
    np.testing.assert_array_equal(draw(z_up, "grey", up="z"), expected)
    upside_down = z_up * [1, -1, -1]
    turned = draw(upside_down, "grey", up="-z")
    np.testing.assert_array_equal(turned, expected)
    mirrored = draw(y_up * [1, 1, -1], "grey")
    np.testing.assert_array_equal(mirrored, expected)


def test_the_radius_follows_the_number_of_points():
    assert auto_radius(1024) == 0.025
    assert auto_radius(4096) == 0.0125
    assert auto_radius(1) == 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution: is 0"),
        ({"radius": 0.0}, "radius: is 0"),
        ({"up": "w"}, "up: is 'w', must be one of x, y, z"),
        ({"floor": "lava"}, "floor: is 'lava'"),
        ({"background": "nocolour"}, "'nocolour' is not a colour"),
        ({"camera": Camera(elevation=-10)}, "the floor hides the cloud from below"),
        ({"camera": Camera(distance=0.3)}, "the camera is inside the cloud"),
        ({"variant": "cuda_ad_rgb"}, "this process renders with llvm_ad_rgb"),
    ],
)
def test_bad_options_are_refused(draw, torus, options, message):
    with pytest.raises(InputError, match=message):
        draw(torus(), **options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"azimut": 3}, r"unknown keys \['azimut'\]; the keys are azimuth"),
        ([1], "not an object"),
        ({"fov": 180}, "fov is 180"),
        ({"elevation": "high"}, "elevation is 'high', must be a number"),
        ({"distance": 0}, "distance is 0"),
        ({"orthographic": 1}, "orthographic is 1, must be true or false"),
    ],
)
def test_bad_cameras_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Camera.from_dict(values)
    assert Camera.from_dict(Camera(fov=30).to_dict()) == Camera(fov=30)
