"""The trials of Mitsuba's variants, their cache and the choice."""

import errno
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pointspider.core.errors import InputError
from pointspider.render import backends
from pointspider.render.backends import Variant, available_variants, choose, find_llvm_libraries

LLVM = Variant("llvm_ad_rgb", "/lib/libLLVM-19.so", "a CPU, LLVM 19.1.7", available=True)
SCALAR = Variant("scalar_rgb", device="another machine's CPU", available=True)
NO_CUDA = Variant("cuda_ad_rgb", reason="no driver")
NO_LLVM = Variant("llvm_ad_rgb", "/lib/libLLVM-15.so", reason="aborted by signal 6")


def test_the_first_that_works_is_chosen():
    found = [NO_CUDA, NO_LLVM, LLVM, SCALAR]
    assert choose(variants=found) == LLVM
    assert choose("llvm_ad_rgb", found) == LLVM
    assert choose("scalar_rgb", found) == SCALAR


def test_falling_back_to_scalar_tells_how_to_install_llvm(caplog):
    with caplog.at_level(logging.WARNING):
        assert choose(variants=[NO_CUDA, NO_LLVM, SCALAR]) == SCALAR
    assert "libllvm19" in caplog.text
    assert "aborted by signal 6" in caplog.text
    caplog.clear()
    assert choose("scalar_rgb", [NO_CUDA, NO_LLVM, SCALAR]) == SCALAR
    assert not caplog.text


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("cuda_ad_rgb", "no driver"), ("llvm_ad_rgb", "signal 6"), ("llvm", "not a known variant.*scalar_rgb")],
)
def test_an_unavailable_variant_is_refused_with_the_reasons(wanted, message):
    with pytest.raises(InputError, match=f"render.variant: '{wanted}' cannot render here .*{message}"):
        choose(wanted, [NO_CUDA, NO_LLVM, SCALAR])


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
    monkeypatch.setattr(backends, "find_llvm_libraries", lambda: [bogus])
    cuda, llvm, scalar = backends.probe()
    assert (cuda.name, llvm.name, scalar.name) == ("cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb")
    assert not llvm.available
    assert llvm.library == str(bogus)
    assert str(bogus) in llvm.reason
    assert scalar.available
    assert scalar.device
    assert choose(variants=[llvm, scalar]) == scalar


def test_a_child_that_aborts_or_hangs_is_survived(tmp_path, monkeypatch):
    package = tmp_path / "dying.py"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    package.write_text("import os, sys; print('LLVM ERROR: cannot', file=sys.stderr, flush=True); os.abort()")
    assert backends.failure(backends.run_child("dying", [])) == "aborted by signal 6: LLVM ERROR: cannot"
    package.write_text("raise SystemExit('cannot select 0x55d0C8e7f3b0: v8f32 of 0x7')")
    assert backends.failure(backends.run_child("dying", [])) == "cannot select 0x...: v8f32 of 0x..."
    package.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(backends, "__name__", "dying")
    monkeypatch.setattr(backends, "SECONDS_PER_TRIAL", 0.1)
    assert backends._try(SCALAR).reason == "no picture within 0.1 s"


def test_no_library_is_tried_after_one_that_works(monkeypatch):
    """An unsuitable LLVM once computed for two minutes without an end."""
    tried = []
    libraries = [Path("bad"), Path("good"), Path("worse")]
    monkeypatch.setattr(backends, "find_llvm_libraries", lambda: libraries)
    monkeypatch.setattr(backends, "_try_cuda", lambda: NO_CUDA)

    def trial(candidate):
        tried.append(candidate.library)
        return replace(candidate, available=candidate.library == "good")

    monkeypatch.setattr(backends, "_try", trial)
    assert [each.library for each in backends.probe()] == [None, "bad", "good", None]
    assert tried == ["bad", "good", None]


def test_no_library_at_all_is_told(monkeypatch):
    monkeypatch.setattr(backends, "find_llvm_libraries", list)
    monkeypatch.setattr(backends, "_try", lambda candidate: candidate)
    monkeypatch.setattr(backends, "_try_cuda", lambda: NO_CUDA)
    assert "libllvm19" in backends.probe()[1].reason


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """An empty cache directory, and a probe that counts its calls and finds scalar only."""
    monkeypatch.setenv("POINTSPIDER_CACHE_DIR", str(tmp_path / "cache"))
    calls = []
    monkeypatch.setattr(backends, "probe", lambda: calls.append(1) or [NO_CUDA, SCALAR])
    return tmp_path / "cache", calls


def test_a_machine_is_probed_once(cached):
    folder, calls = cached
    assert available_variants() == available_variants() == [NO_CUDA, SCALAR]
    assert len(calls) == 1
    assert len([*folder.iterdir()]) == 1  # no temporary file is left


def test_another_library_or_mitsuba_is_probed_again(cached, tmp_path, monkeypatch):
    _, calls = cached
    available_variants()
    (tmp_path / "libLLVM-19.so").write_text("new")
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(tmp_path / "libLLVM-19.so"))
    available_variants()
    (tmp_path / "libLLVM-19.so").write_text("replaced")
    available_variants()
    (tmp_path / "libc++.so.1").write_text("that it needs")
    available_variants()
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    available_variants()
    assert len(calls) == 5


@pytest.mark.parametrize("reason", ["no picture within 120 s", "aborted by signal 9: no message"])
def test_a_trial_without_time_or_memory_is_not_cached(tmp_path, monkeypatch, reason):
    monkeypatch.setenv("POINTSPIDER_CACHE_DIR", str(tmp_path))
    failed = Variant("llvm_ad_rgb", "/lib/libLLVM-19.so", reason=reason)
    monkeypatch.setattr(backends, "probe", lambda: [failed, SCALAR])
    assert available_variants() == [failed, SCALAR]
    monkeypatch.setattr(backends, "probe", lambda: [NO_CUDA, SCALAR])
    assert available_variants() == [NO_CUDA, SCALAR]


@pytest.mark.parametrize("content", ["", "[]", "{", '[{"colour": 1}]', "null"])
def test_a_broken_cache_is_probed_again(cached, content):
    folder, calls = cached
    available_variants()
    next(folder.iterdir()).write_text(content)
    assert available_variants() == available_variants() == [NO_CUDA, SCALAR]
    assert len(calls) == 2


def test_a_cached_library_that_no_longer_exists_is_probed_again(cached, tmp_path):
    folder, calls = cached
    available_variants()
    gone = Variant("llvm_ad_rgb", str(tmp_path / "libLLVM-19.so"), "a CPU", available=True)
    next(folder.iterdir()).write_text(json.dumps([asdict(gone), asdict(SCALAR)]))
    assert available_variants() == [NO_CUDA, SCALAR]
    assert len(calls) == 2


def test_without_a_cache_directory_every_call_probes(cached, tmp_path, monkeypatch):
    _, calls = cached
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POINTSPIDER_CACHE_DIR", str(tmp_path / "file/cache"))
    assert available_variants() == available_variants() == [NO_CUDA, SCALAR]
    assert len(calls) == 2
    monkeypatch.setenv("POINTSPIDER_CACHE_DIR", str(tmp_path / "cache"))

    def refuse(*_: object, **__: object) -> None:  # as for a home directory that others own
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert available_variants() == [NO_CUDA, SCALAR]


def test_two_processes_may_probe_at_once(tmp_path):
    code = (
        "from pointspider.render import backends as b; b.find_llvm_libraries = list; print(b.choose().name)"
    )
    environment = {**os.environ, "POINTSPIDER_CACHE_DIR": str(tmp_path)}
    start = [sys.executable, "-c", code]
    children = [subprocess.Popen(start, env=environment, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    chosen = {child.communicate()[0] for child in children}
    assert len(chosen) == 1
    assert chosen <= {"scalar_rgb\n", "cuda_ad_rgb\n"}
    assert len([*tmp_path.iterdir()]) == 1


def test_a_library_that_cannot_be_loaded_is_named(tmp_path):
    code = """
from pointspider.core.errors import InputError
from pointspider.render.backends import Variant, activate
try:
    activate(Variant("llvm_ad_rgb", "/nowhere/libLLVM-19.so", available=True), 1)
except InputError as error:
    print(error)
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.stdout.startswith("render.variant: llvm_ad_rgb (/nowhere/libLLVM-19.so) cannot be loaded")


def test_a_variable_of_the_child_replaces_this_processs(tmp_path, monkeypatch):
    (tmp_path / "telling.py").write_text("import os; print(os.environ['CUDA_CACHE_PATH'])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_CACHE_PATH", "old")
    assert backends.run_child("telling", []).stdout == "old\n"
    assert backends.run_child("telling", [], CUDA_CACHE_PATH="new").stdout == "new\n"
