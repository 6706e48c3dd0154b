"""Table I's measurements."""

from pathlib import Path

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render import backends
from pointspider.render.backends import Variant, device_name
from pointspider.study import speed
from pointspider.study.speed import MIN_SECONDS, measure, psnr_to_converged, similarity, tasks

SCALAR = Variant("scalar_rgb", device="another machine's CPU", available=True)
NO_CUDA = Variant("cuda_ad_rgb", reason="no driver")
NO_LLVM = Variant("llvm_ad_rgb", "/lib/libLLVM-15.so", reason="aborted by signal 6")
SMALL = tasks(resolution=8, reference_resolution=8, reference_samples=4, seed=0)


def test_every_task_and_cloud_is_measured_and_variants_that_do_not_work_have_a_reason():
    clouds = np.random.default_rng(0).normal(size=(3, 40, 3))
    chosen = tasks(resolution=16, reference_resolution=64, reference_samples=32, seed=0)
    rows, facts = measure([NO_CUDA, NO_LLVM, SCALAR], clouds, chosen, threads=1)
    assert facts == {
        "cuda_ad_rgb": {"reason": "no driver"},
        "llvm_ad_rgb": {"reason": "aborted by signal 6"},
        "scalar_rgb": {"device": device_name("scalar_rgb")},  # of the machine that measures
    }
    assert [(row.variant, row.method, row.quality, row.cloud) for row in rows] == [
        ("scalar_rgb", *task, cloud)
        for task in (("reference", ""), ("ours", "reference"), ("ours", "clip"))
        for cloud in (0, 1, 2)
    ]
    reference, same, clip = rows[1], rows[4], rows[7]
    assert (reference.resolution, reference.samples_per_pixel, reference.pictures) == (64, 32, 1)
    assert (same.resolution, same.samples_per_pixel) == (64, 64)
    assert (clip.resolution, clip.samples_per_pixel) == (16, 12 * 12 * 16)
    assert clip.pictures * (clip.seconds + rows[8].seconds) >= MIN_SECONDS
    for row in rows:
        assert row.points == 40
        assert row.seconds > 0
        assert 0 < row.cpu_seconds < 2 * row.seconds
        assert (row.psnr_db is None) == (row.cloud == 0)
        if row.cloud:
            assert (row.mean_abs_error is None) == (row.method == "reference")
    psnr = np.mean([[row.psnr_db for row in rows[i : i + 2]] for i in (1, 4)], axis=1)
    assert psnr[1] > psnr[0]
    assert clip.psnr_db > 40
    assert clip.psnr_to_reference_db < clip.psnr_db  # it includes the reference's noise
    assert clip.mean_abs_error < 0.7


def test_every_child_starts_with_an_empty_kernel_cache_of_its_own(monkeypatch):
    caches = []

    def spy(module, arguments, **environment):
        assert environment["CUDA_CACHE_PATH"] == environment["DRJIT_CACHE_DIR"]
        caches.append(Path(environment["DRJIT_CACHE_DIR"]))
        assert not any(caches[-1].iterdir())
        return backends.run_child(module, arguments, **environment)

    monkeypatch.setattr(speed, "run_child", spy)
    monkeypatch.setenv("DRJIT_CACHE_DIR", "/nowhere")
    clouds = np.random.default_rng(0).normal(size=(2, 5, 3))
    rows, _ = measure([SCALAR], clouds, SMALL, threads=1)
    assert len(rows) == 6
    assert len(set(caches)) == 3
    assert not any(path.exists() for path in caches)


def test_progress_is_shown_by_variant(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        speed, "tqdm", lambda names, **options: shown.update(options, names=[*names]) or names
    )
    rows, facts = measure([NO_CUDA, NO_LLVM], np.ones((2, 5, 3)), SMALL, threads=1)
    assert (rows, [*facts]) == ([], ["cuda_ad_rgb", "llvm_ad_rgb"])
    assert (shown["names"], shown["disable"]) == (["cuda_ad_rgb", "llvm_ad_rgb"], None)


def test_a_failing_measurement_becomes_its_reason():
    rows, facts = measure([SCALAR], np.ones((2, 5, 3)), SMALL, threads=1)
    assert rows == []
    assert "all 5 points are the same" in facts["scalar_rgb"]["reason"]


def test_one_cloud_is_too_few_to_time():
    with pytest.raises(InputError, match="clouds after the first"):
        measure([SCALAR], np.ones((1, 5, 3)), SMALL, threads=1)


def test_similarity_of_known_differences():
    black = np.zeros((4, 4, 3), np.uint8)
    assert similarity(black, black) == (np.inf, 0)
    psnr, error = similarity(black + 51, black)  # a fifth of 255
    assert psnr == pytest.approx(20 * np.log10(5))
    assert error == 51


def test_psnr_to_converged_leaves_the_references_noise_out():
    rng = np.random.default_rng(0)
    truth = np.full((200, 200, 3), 120.0)
    noisy = np.rint(truth + rng.normal(scale=9, size=(2, *truth.shape))).astype(np.uint8)
    image = np.rint(truth + rng.normal(scale=3, size=truth.shape)).astype(np.uint8)
    expected = 20 * np.log10(255 / 3)
    assert psnr_to_converged(image, noisy) == pytest.approx(expected, abs=0.3)
    assert similarity(image, noisy[0])[0] < expected - 9
    assert psnr_to_converged(noisy[0], np.stack([noisy[0], noisy[1]])) == np.inf


def test_the_references_own_noise_is_told_from_that_of_a_picture_of_fewer_samples():
    rng = np.random.default_rng(0)
    picture, check = (
        np.rint(120 + rng.normal(scale=scale, size=(200, 200, 3))).astype(np.uint8)
        for scale in (5, 5 * speed.CHECK_SHARE**0.5)
    )
    assert speed._psnr_of_noise(picture, check) == pytest.approx(20 * np.log10(255 / 5), abs=0.1)
