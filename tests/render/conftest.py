"""Fixtures of the renderer's tests: the llvm variant, and a cloud with a known shape."""

import platform
import sys

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render import backends


@pytest.fixture(scope="session")
def variant(machine_cache) -> backends.Variant:
    """Activate llvm. A process has one LLVM, so all tests that render in this process use this one.

    On Linux x86-64 LLVM comes with karellen-llvm-core, so a test that finds none fails there. Elsewhere it is
    skipped.
    """
    try:
        variant = backends.choose("llvm_ad_rgb")
    except InputError as error:
        required = sys.platform == "linux" and platform.machine() == "x86_64"
        (pytest.fail if required else pytest.skip)(str(error))
    backends.activate(variant, threads=1)
    return variant


@pytest.fixture(scope="session")
def torus():
    """A function that samples `count` points of a torus whose tube rises and falls, (count, 3)."""

    def sample(count: int = 600, seed: int = 0) -> np.ndarray:
        around, tube = np.random.default_rng(seed).uniform(0, 2 * np.pi, size=(2, count))
        ring = 1 + 0.35 * np.cos(tube)
        height = 0.35 * np.sin(tube) + 0.3 * ring
        return np.stack([ring * np.cos(around), height, ring * np.sin(around)], axis=1)

    return sample
