"""Fixtures of the renderer's tests: the llvm variant, and a cloud with a known shape."""

import platform
import sys

import numpy as np
import pytest

from pointspider.render import backends


@pytest.fixture(scope="session")
def variant() -> backends.Variant:
    """Activate llvm. A process has one LLVM, so all tests that render in this process use this one.

    On Linux x86-64 LLVM comes with karellen-llvm-core, so a test that finds none fails there. Elsewhere it is
    skipped.
    """
    found = [variant for variant in backends.probe() if variant.name == "llvm_ad_rgb"]
    available = [variant for variant in found if variant.available]
    if not available:
        reasons = "; ".join(f"{variant}: {variant.reason}" for variant in found)
        required = sys.platform == "linux" and platform.machine() == "x86_64"
        (pytest.fail if required else pytest.skip)(f"no LLVM that Dr.Jit can use: {reasons}")
    backends.activate(available[0], threads=1)
    return available[0]


@pytest.fixture(scope="session")
def torus():
    """A function that samples `count` points of a torus whose tube rises and falls, (count, 3)."""

    def sample(count: int = 600, seed: int = 0) -> np.ndarray:
        around, tube = np.random.default_rng(seed).uniform(0, 2 * np.pi, size=(2, count))
        ring = 1 + 0.35 * np.cos(tube)
        height = 0.35 * np.sin(tube) + 0.3 * ring
        return np.stack([ring * np.cos(around), height, ring * np.sin(around)], axis=1)

    return sample
