import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render import backends as variants
from pointspider.render.backends import Variant, choose, device_name, find_llvm_libraries
from pointspider.study import speed
from pointspider.study.speed import MIN_SECONDS, Measurement, measure, psnr_to_converged, similarity, tasks

LLVM = Variant("llvm_ad_rgb", "/lib/libLLVM-19.so", "a CPU, LLVM 19.1.7", available=True)
SCALAR = Variant("scalar_rgb", device="another machine's CPU", available=True)
NO_CUDA = Variant("cuda_ad_rgb", reason="no driver")
NO_LLVM = Variant("llvm_ad_rgb", "/lib/libLLVM-15.so", reason="aborted by signal 6")


def test_the_first_that_works_is_chosen():
    found = [NO_CUDA, NO_LLVM, LLVM, SCALAR]
    assert choose(found) == LLVM
    assert choose(found, "llvm_ad_rgb") == LLVM
    assert choose(found, "scalar_rgb") == SCALAR


def test_falling_back_to_scalar_tells_how_to_install_llvm(caplog):
    with caplog.at_level(logging.WARNING):
        assert choose([NO_CUDA, NO_LLVM, SCALAR]) == SCALAR
    assert "libllvm19" in caplog.text
    assert "aborted by signal 6" in caplog.text
    caplog.clear()
    assert choose([NO_CUDA, NO_LLVM, SCALAR], "scalar_rgb") == SCALAR
    assert not caplog.text


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("cuda_ad_rgb", "no driver"), ("llvm_ad_rgb", "signal 6"), ("llvm", "not a known variant.*scalar_rgb")],
)
def test_an_unavailable_variant_is_refused_with_the_reasons(wanted, message):
    with pytest.raises(InputError, match=f"render.variant: '{wanted}' cannot render here .*{message}"):
        choose([NO_CUDA, NO_LLVM, SCALAR], wanted)


def test_variants_survive_json():
    assert Variant(**json.loads(json.dumps(asdict(NO_LLVM)))) == NO_LLVM


def test_libraries_are_searched_in_the_order_of_places_and_versions(tmp_path, monkeypatch):
    given, environment, conda = tmp_path / "libLLVM-7.so", tmp_path / "venv/lib", tmp_path / "conda/lib"
    for folder in (environment, conda):
        folder.mkdir(parents=True)
    for name in ("libLLVM-9.so", "libLLVM.so.22.1", "libLLVM-18.1.so", "libLLVMDemangle.so", "libLLVM.so"):
        (conda / name).write_text(name)
    (conda / "libLLVM-22.so").symlink_to(conda / "libLLVM.so.22.1")
    (environment / "libLLVM.so.23.1").write_text("as karellen-llvm-core installs it")
    (environment / "libLLVM.so").symlink_to("libLLVM.so.23.1")
    given.write_text("")
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(given))
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    monkeypatch.setattr("site.getuserbase", lambda: str(tmp_path / "user"))
    found = find_llvm_libraries()
    assert [path.resolve().name for path in found[:5]] == [
        "libLLVM-7.so",
        "libLLVM.so.23.1",
        "libLLVM.so.22.1",
        "libLLVM-18.1.so",
        "libLLVM-9.so",
    ]
    assert not any(tmp_path in path.parents for path in found[5:])


def test_a_library_that_is_none_is_survived(tmp_path, monkeypatch):
    bogus = tmp_path / "libLLVM-19.so"
    bogus.write_text("not a library")
    monkeypatch.setattr(variants, "find_llvm_libraries", lambda: [bogus])
    cuda, llvm, scalar = variants.probe()
    assert (cuda.name, llvm.name, scalar.name) == ("cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb")
    assert not llvm.available
    assert llvm.library == str(bogus)
    assert str(bogus) in llvm.reason
    assert scalar.available
    assert scalar.device
    assert choose([llvm, scalar]) == scalar


def test_a_child_that_aborts_or_hangs_is_survived(tmp_path, monkeypatch):
    package = tmp_path / "dying.py"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    package.write_text("import os, sys; print('LLVM ERROR: cannot', file=sys.stderr, flush=True); os.abort()")
    assert variants.failure(variants.run_child("dying", [])) == "aborted by signal 6: LLVM ERROR: cannot"
    package.write_text("raise SystemExit('cannot select 0x55d0C8e7f3b0: v8f32 of 0x7')")
    assert variants.failure(variants.run_child("dying", [])) == "cannot select 0x...: v8f32 of 0x..."
    package.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(variants, "__name__", "dying")
    monkeypatch.setattr(variants, "SECONDS_PER_TEST", 0.1)
    assert variants._try(SCALAR).reason == "no picture within 0.1 s"


def test_no_library_at_all_is_told(monkeypatch):
    monkeypatch.setattr(variants, "find_llvm_libraries", list)
    monkeypatch.setattr(variants, "_try", lambda candidate: candidate)
    monkeypatch.setattr(variants, "_try_cuda", lambda: NO_CUDA)
    assert "libllvm19" in variants.probe()[1].reason


SMALL = tasks(resolution=8, reference_resolution=8, reference_samples=4, seed=0)


def test_every_task_is_measured_and_dead_variants_told():
    clouds = np.random.default_rng(0).normal(size=(3, 40, 3))
    wanted = tasks(resolution=16, reference_resolution=64, reference_samples=32, seed=0)
    rows = measure([NO_CUDA, NO_LLVM, SCALAR], clouds, wanted, threads=1)
    assert [(row.variant, row.method, row.quality) for row in rows] == [
        (name, *task)
        for name in ("cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb")
        for task in (("reference", ""), ("ours", "reference"), ("ours", "clip"))
    ]
    assert rows[0] == Measurement("cuda_ad_rgb", "", "reference", "", 64, 32, reason="no driver")
    assert rows[3].reason == "aborted by signal 6"
    reference, same, clip = rows[6:]
    assert (reference.resolution, reference.samples_per_pixel, reference.pictures) == (64, 32, 2)
    assert (same.resolution, same.samples_per_pixel) == (64, 64)
    assert (clip.resolution, clip.samples_per_pixel) == (16, 12 * 12 * 16)
    assert clip.pictures % 2 == 0
    assert clip.pictures * 40 / clip.points_per_second >= MIN_SECONDS
    for row in (reference, same, clip):
        assert (row.clouds, row.points, row.reason) == (2, 40, "")
        assert row.device == device_name("scalar_rgb")  # that of the machine that measures
        assert row.first_image_seconds > 0
        assert 0 < row.cpu_seconds_per_cloud < 40 / row.points_per_second * 2
        seconds = [float(each) for each in row.cloud_seconds.split()]
        assert len(seconds) == 2
        assert min(seconds) > 0
        assert 40 / np.mean(seconds) == pytest.approx(row.points_per_second, rel=1e-5)
        assert row.worst_psnr_db <= row.psnr_db
    assert same.psnr_db > reference.psnr_db
    assert clip.psnr_db > 40
    assert clip.psnr_to_reference_db < clip.psnr_db  # the reference's noise is in it
    assert reference.mean_abs_error is None
    assert clip.mean_abs_error < 0.7


def test_every_child_starts_with_an_empty_kernel_cache_of_its_own(monkeypatch):
    caches = []

    def spy(module, arguments, **environment):
        assert environment["CUDA_CACHE_PATH"] == environment["DRJIT_CACHE_DIR"]
        caches.append(Path(environment["DRJIT_CACHE_DIR"]))
        assert not any(caches[-1].iterdir())
        return variants.run_child(module, arguments, **environment)

    monkeypatch.setattr(speed, "run_child", spy)
    monkeypatch.setenv("DRJIT_CACHE_DIR", "/nowhere")
    clouds = np.random.default_rng(0).normal(size=(2, 5, 3))
    rows = measure([SCALAR], clouds, SMALL, threads=1)
    assert [row.reason for row in rows] == ["", "", ""]
    assert len(set(caches)) == 3
    assert not any(path.exists() for path in caches)


def test_a_variable_of_the_child_replaces_this_processs(tmp_path, monkeypatch):
    (tmp_path / "telling.py").write_text("import os; print(os.environ['CUDA_CACHE_PATH'])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_CACHE_PATH", "old")
    assert variants.run_child("telling", []).stdout == "old\n"
    assert variants.run_child("telling", [], CUDA_CACHE_PATH="new").stdout == "new\n"


def test_progress_is_shown_by_variant(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        speed, "tqdm", lambda names, **options: shown.update(options, names=[*names]) or names
    )
    rows = measure([NO_CUDA, NO_LLVM], np.ones((2, 5, 3)), SMALL, threads=1)
    assert len(rows) == 6
    assert (shown["names"], shown["disable"]) == (["cuda_ad_rgb", "llvm_ad_rgb"], None)


def test_a_failing_measurement_becomes_its_reason():
    rows = measure([SCALAR], np.ones((2, 5, 3)), SMALL, threads=1)
    assert all("all 5 points are the same" in row.reason for row in rows)
    assert all(row.device == "" for row in rows)


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
