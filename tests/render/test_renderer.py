import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.render.mask import Mask
from pointspider.render.reference import render_reference
from pointspider.render.renderer import Renderer
from pointspider.render.scene import Camera, place, to_srgb
from pointspider.render.settings import RenderSettings
from pointspider.study.speed import psnr_to_converged, similarity

SETTINGS = RenderSettings(resolution=32, seed=7)


@pytest.fixture(scope="module")
def renderer(variant):
    return Renderer(SETTINGS)


def test_pictures_are_uint8_on_a_white_ground(renderer, torus):
    images = renderer.render(np.stack([torus(), torus(seed=1)]))
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        assert (border == 255).all()
    assert 0.05 < (images.min(axis=-1) < 250).mean() < 0.5
    assert (images[0] != images[1]).any()


def test_an_update_in_place_equals_a_fresh_scene(renderer, torus):
    renderer.render(torus(seed=3)[None])
    renderer.render(torus(count=20, seed=4)[None])
    renderer.render(torus(seed=5)[None])
    np.testing.assert_array_equal(renderer.render(torus()[None]), Renderer(SETTINGS).render(torus()[None]))


def test_batches_and_repetition_change_nothing(renderer, torus):
    clouds = np.stack([torus(), torus(seed=1)])
    np.testing.assert_array_equal(
        renderer.render(clouds), np.concatenate([renderer.render(clouds[:1]), renderer.render(clouds[1:])])
    )


def test_threads_change_nothing(renderer, torus):
    import drjit as dr

    expected = renderer.render(torus()[None])
    dr.set_thread_count(3)
    image = renderer.render(torus()[None])
    dr.set_thread_count(1)
    np.testing.assert_array_equal(image, expected)


def test_the_seed_changes_the_noise_only(renderer, torus):
    other = Renderer(RenderSettings(32, seed=8)).render(torus()[None])
    image = renderer.render(torus()[None])
    assert (image != other).any()
    assert similarity(image, other)[0] > 38


@pytest.mark.parametrize("count", [2, 649, 2048, 100_000])
def test_any_number_of_points(renderer, count, torus):
    image = renderer.render(torus(count)[None])[0]
    assert image.shape == (32, 32, 3)
    assert image.min() < 255


def test_numbers_of_any_kind_and_scale(renderer):
    cloud = np.random.default_rng(0).integers(-50, 50, size=(300, 3))
    expected = renderer.render(cloud[None].astype(np.float32))
    np.testing.assert_array_equal(renderer.render(cloud[None]), expected)
    np.testing.assert_array_equal(renderer.render(cloud[None] * 1024.0), expected)


def reference_pictures(cloud, resolution, samples_per_pixel):
    """Two of independent noise, (2, H, W, 3)."""
    return np.stack([render_reference(cloud, resolution, samples_per_pixel, seed) for seed in (1, 2)])


@pytest.mark.parametrize(
    ("count", "stretch", "least_psnr"), [(37, 1, 49), (1000, 1, 43.5), (600, [1, 0, 1], 48.5)]
)
def test_at_clip_quality_our_picture_is_the_references_reduced(variant, torus, count, stretch, least_psnr):
    cloud = torus(count) * stretch
    # Pixels as small as the paper's: in larger ones less is averaged after the sRGB encoding.
    pictures = map(Image.fromarray, reference_pictures(cloud, resolution=640, samples_per_pixel=4))
    reduced = np.stack([np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)) for image in pictures])
    image = Renderer(RenderSettings(32)).render(cloud[None])[0]
    assert psnr_to_converged(image, reduced) > least_psnr
    assert np.abs(image - reduced.mean(axis=0)).mean() < 0.6


@pytest.mark.parametrize(("count", "least_psnr"), [(37, 46), (600, 40)])
def test_at_reference_quality_our_picture_is_the_references(variant, count, least_psnr, torus):
    pictures = reference_pictures(torus(count), resolution=128, samples_per_pixel=32)
    image = Renderer(RenderSettings(128, "reference")).render(torus(count)[None])[0]
    assert psnr_to_converged(image, pictures) > least_psnr
    assert psnr_to_converged(image[:, ::-1], pictures) < 30  # the measure sees a mirrored picture


@pytest.mark.parametrize("colours", [np.array([0.8, 0.1, 0.1]), np.random.default_rng(0).random((600, 3))])
def test_colours_may_be_given(variant, renderer, colours, torus):
    expected = render_reference(torus(), resolution=400, samples_per_pixel=4, colours=colours)
    expected = np.asarray(Image.fromarray(expected).resize((32, 32), Image.Resampling.BICUBIC))
    batch = colours if np.ndim(colours) == 1 else colours[None]
    assert similarity(renderer.render(torus()[None], batch)[0], expected)[0] > 40


def test_colours_of_another_number_of_clouds_are_refused(renderer, torus):
    with pytest.raises(InputError, match="1 clouds need as many sets of colours, not 2"):
        renderer.render(torus()[None], np.ones((2, 600, 3)))


def test_every_cloud_is_drawn_by_the_kernels_of_the_first(renderer, torus):
    """A cloud's number in a kernel, or memory aligned by chance, would have others compiled."""
    import drjit as dr

    def kernels(cloud):
        dr.kernel_history_clear()
        with dr.scoped_set_flag(dr.JitFlag.KernelHistory, True):
            renderer.render(cloud[None])
        return {kernel["hash"] for kernel in dr.kernel_history() if kernel["type"] == dr.KernelType.JIT}

    renderer.render(torus(seed=5)[None])  # another number of points before would build another scene
    first = kernels(torus(seed=6))
    assert len(first) > 10
    for seed in range(7, 17):
        assert kernels(torus(seed=seed) * [1, seed, 1]) == first


def test_memory_stays_flat(renderer, torus):
    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    clouds = np.stack([torus(100, seed) for seed in range(4)])
    renderer.render(clouds)
    before = resident()
    for _ in range(5):
        renderer.render(clouds)
    assert resident() - before < 4e6


def test_nothing_grey_lies_outside_the_mask(variant, torus):
    cloud = torus()
    picture = render_reference(cloud, resolution=96, samples_per_pixel=256)
    outside = ~np.logical_or(*Mask(Camera(), 96)(place(cloud)))
    assert outside.mean() > 0.4
    assert (255 - picture[outside].astype(int)).max() <= 4  # the reference's noise


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 0}, "render.resolution: is 0"),
        ({"quality": "best"}, "'best', must be one of clip, ref"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        RenderSettings(**{"resolution": 8, **settings})


@pytest.mark.parametrize(
    "points", [np.zeros((5, 3)), np.zeros((0, 5, 3)), np.zeros((1, 5, 3)), np.zeros((1, 5, 2))]
)
def test_undrawable_batches_are_refused(renderer, points):
    with pytest.raises(InputError):
        renderer.render(points)


def test_a_killed_process_leaves_the_name_of_its_cloud(tmp_path):
    script = """
import logging, os, signal, sys
from pathlib import Path
import numpy as np
from pointspider.core.files import write_png
from pointspider.render.renderer import write_renders
from pointspider.study.job import job

class Killed:
    def render(self, points):
        if len(points[0]) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros((1, 4, 4, 3), np.uint8)

clouds = [(f"cup/original/{n}", np.zeros((n, 3))) for n in (2, 3, 4)]
with job(Path(sys.argv[1]) / "log"):
    write_renders(Killed(), clouds, 3, lambda name, image: write_png(f"{sys.argv[1]}/{name[-1]}.png", image))
"""
    child = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True)
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "log").read_text().splitlines()[-1].endswith("rendering cup/original/3")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["2.png"]


def test_srgb_agrees_with_mitsuba():
    import mitsuba as mi

    linear = np.random.default_rng(1).uniform(0, 1.2, size=(40, 50, 3)).astype(np.float32)
    bitmap = mi.Bitmap(linear).convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.UInt8, srgb_gamma=True)
    difference = to_srgb(linear).astype(int) - np.array(bitmap)  # Mitsuba dithers, we round
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.01
