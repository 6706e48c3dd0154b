import numpy as np
import pytest
from PIL import Image

from pointspider.render import renderer as renderer_module
from pointspider.render import variants
from pointspider.render.mask import Mask
from pointspider.render.reference import render_reference
from pointspider.render.renderer import Renderer, RenderSettings, render_class
from pointspider.render.scene import camera, place, to_srgb
from pointspider.render.speed import similarity
from pointspider.storage import InputError, read_png

SETTINGS = RenderSettings(resolution=32, samples_per_pixel=64, seed=7)


@pytest.fixture(scope="module", autouse=True)
def variant():
    """LLVM: Dr.Jit loads one LLVM per process, so only this module imports Mitsuba in the tests' process."""
    for library in variants.find_llvm_libraries():
        found = variants._try(variants.Variant("llvm_ad_rgb", str(library)))
        if found.available:
            variants.activate(found, threads=1)
            return found
    pytest.skip("no LLVM that Dr.Jit can use")


@pytest.fixture(scope="module")
def renderer(variant):
    return Renderer(SETTINGS)


def torus(count=600, seed=0):
    around, tube = np.random.default_rng(seed).uniform(0, 2 * np.pi, size=(2, count))
    ring = 1 + 0.35 * np.cos(tube)
    return np.stack([ring * np.cos(around), 0.35 * np.sin(tube) + 0.3 * ring, ring * np.sin(around)], axis=1)


def test_pictures_are_uint8_on_a_white_ground(renderer):
    images = renderer.render(np.stack([torus(), torus(seed=1)]))
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        assert (border == 255).all()
    assert 0.05 < (images.min(axis=-1) < 250).mean() < 0.5
    assert (images[0] != images[1]).any()


def test_an_update_in_place_equals_a_fresh_scene(renderer):
    renderer.render(torus(seed=3)[None])
    renderer.render(torus(count=20, seed=4)[None])
    renderer.render(torus(seed=5)[None])
    np.testing.assert_array_equal(renderer.render(torus()[None]), Renderer(SETTINGS).render(torus()[None]))


def test_batches_and_repetition_change_nothing(renderer):
    clouds = np.stack([torus(), torus(seed=1)])
    np.testing.assert_array_equal(
        renderer.render(clouds), np.concatenate([renderer.render(clouds[:1]), renderer.render(clouds[1:])])
    )


def test_threads_change_nothing(renderer):
    import drjit as dr

    expected = renderer.render(torus()[None])
    dr.set_thread_count(3)
    image = renderer.render(torus()[None])
    dr.set_thread_count(1)
    np.testing.assert_array_equal(image, expected)


def test_the_seed_changes_the_noise_only(renderer):
    other = Renderer(RenderSettings(32, 64, seed=8)).render(torus()[None])
    image = renderer.render(torus()[None])
    assert (image != other).any()
    assert similarity(image, other)[0] > 35


def test_passes_do_not_show(renderer, monkeypatch):
    whole = renderer.render(torus()[None])
    monkeypatch.setattr(renderer_module, "PASS_SAMPLES", 1000)
    assert similarity(renderer.render(torus()[None]), whole)[0] > 35


@pytest.mark.parametrize("count", [2, 649, 2048, 20_000])
def test_any_number_of_points(renderer, count):
    image = renderer.render(torus(count)[None])[0]
    assert image.shape == (32, 32, 3)
    assert image.min() < 255


@pytest.mark.parametrize("samples", [1, 50, 64 * 5, 64 * 7, 64 * 32])
def test_any_number_of_samples(variant, samples):
    image = Renderer(RenderSettings(32, samples)).render(torus()[None])[0]
    assert 0.05 < (image.min(axis=-1) < 250).mean() < 0.5


def test_numbers_of_any_kind_and_scale(renderer):
    cloud = np.random.default_rng(0).integers(-50, 50, size=(300, 3))
    expected = renderer.render(cloud[None].astype(np.float32))
    np.testing.assert_array_equal(renderer.render(cloud[None]), expected)
    np.testing.assert_array_equal(renderer.render(cloud[None] * 1024.0), expected)


@pytest.mark.parametrize(("count", "least_psnr"), [(37, 44), (1500, 42)])
def test_our_picture_is_the_references(variant, count, least_psnr):
    cloud = torus(count)
    expected = render_reference(cloud, resolution=192, samples_per_pixel=64, seed=1)
    expected = np.asarray(Image.fromarray(expected).resize((32, 32), Image.Resampling.BICUBIC))
    psnr, error = similarity(Renderer(RenderSettings(32, 256)).render(cloud[None])[0], expected)
    assert psnr > least_psnr
    assert error < 0.8


def test_nothing_grey_lies_outside_the_mask(variant):
    cloud = torus()
    picture = render_reference(cloud, resolution=96, samples_per_pixel=256)
    outside = ~Mask(96)(place(cloud)[0])
    assert outside.mean() > 0.4
    assert (255 - picture[outside].astype(int)).max() <= 4  # the reference's noise


def test_the_mask_looks_through_mitsubas_camera(variant):
    import mitsuba as mi

    sensor = mi.load_dict(camera(64, 1, "independent", "box"))
    mask = Mask(64)
    for column, row in ((3, 60), (32, 32), (50, 10)):
        position = mi.Point2f((column + 0.5) / 64, (row + 0.5) / 64)
        ray, _ = sensor.sample_ray(0, 0, position, mi.Point2f(0.5))
        centre = (np.array(ray.o) + 4 * np.array(ray.d)).reshape(1, 3)
        rows, columns = np.nonzero(mask._discs(centre))
        np.testing.assert_allclose([rows.mean(), columns.mean()], [row, column], atol=0.51)


@pytest.mark.parametrize("key", ["resolution", "samples_per_pixel"])
def test_settings_are_checked(key):
    with pytest.raises(InputError, match=f"render.{key}: is 0"):
        RenderSettings(**{"resolution": 8, "samples_per_pixel": 1, key: 0})


@pytest.mark.parametrize("points", [torus(), np.zeros((0, 5, 3)), np.zeros((1, 5, 3)), np.zeros((1, 5, 2))])
def test_undrawable_batches_are_refused(renderer, points):
    with pytest.raises(InputError):
        renderer.render(points)


def test_a_class_becomes_a_folder(renderer, tmp_path):
    clouds = {
        "original": (["cup/original/0001", "cup/original/0002"], np.stack([torus(), torus(seed=1)])),
        "density_3": (["cup/density_3/0002"], torus(500)[None]),
    }
    render_class(renderer, clouds, tmp_path / "cup")
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert written == ["cup/density_3/0002.png", "cup/original/0001.png", "cup/original/0002.png"]
    np.testing.assert_array_equal(
        read_png(tmp_path / "cup/original/0002.png"), renderer.render(torus(seed=1)[None])[0]
    )


def test_a_bad_cloud_is_named_and_nothing_half_written(renderer, tmp_path, monkeypatch):
    clouds = {"original": (["cup/original/7", "cup/original/8"], [torus(), torus() * np.nan])}
    with pytest.raises(InputError, match="cloud cup/original/8: 600 of 600 points hold NaN"):
        render_class(renderer, clouds, tmp_path)

    def interrupt(self, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        render_class(renderer, {"scale_1": (["cup/scale_1/7"], [torus()])}, tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["7.png"]


def test_srgb_agrees_with_mitsuba():
    import mitsuba as mi

    linear = np.random.default_rng(1).uniform(0, 1.2, size=(40, 50, 3)).astype(np.float32)
    bitmap = mi.Bitmap(linear).convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.UInt8, srgb_gamma=True)
    difference = to_srgb(linear).astype(int) - np.array(bitmap)  # Mitsuba dithers, we round
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.01
