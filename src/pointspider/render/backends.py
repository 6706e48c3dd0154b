"""Which of Mitsuba's variants work on this machine: found by rendering a test picture with each.

A variant is Mitsuba compiled for one kind of processor: `cuda_ad_rgb` (NVIDIA GPUs), `llvm_ad_rgb` (CPUs,
kernels compiled by an LLVM library found at run time) and `scalar_rgb` (CPUs, always there, slow). Whether
one works is known only by trying it, and an unsuitable LLVM aborts the process (LLVM 15 and 16, inside
Dr.Jit 1.5; 13 and 14 are refused): so each is tried in a process of its own.
"""

import ctypes
import json
import logging
import os
import platform
import re
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import pointspider
from pointspider.core.errors import InputError

logger = logging.getLogger(__name__)

AUTO = "auto"
SECONDS_PER_TEST = 120  # a cold start takes 1 to 3
INSTALL_LLVM = "install LLVM 19 or newer (Debian, Ubuntu and conda-forge: libllvm19)"


@dataclass(frozen=True)
class Variant:
    """A Mitsuba variant and what became of trying it; `dataclasses.asdict` makes it JSON.

    Attributes:
        name: Mitsuba's name, e.g. "llvm_ad_rgb".
        library: path of the LLVM library, for the llvm variant.
        device: the processor, and the LLVM version where it matters; empty where the variant does not work.
        available: whether it rendered the test picture.
        reason: why not.
    """

    name: str
    library: str | None = None
    device: str = ""
    available: bool = False
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.library})" if self.library else self.name


def probe() -> list[Variant]:
    """Try every candidate: cuda, llvm with each library found, scalar, in the order of preference."""
    libraries = find_llvm_libraries()
    llvm = [_try(Variant("llvm_ad_rgb", str(library))) for library in libraries]
    if not llvm:
        llvm = [Variant("llvm_ad_rgb", reason=f"no LLVM library was found: {INSTALL_LLVM}")]
    return [_try_cuda(), *llvm, _try(Variant("scalar_rgb"))]


def choose(variants: list[Variant], wanted: str = AUTO) -> Variant:
    """The first available variant, or the first available one named `wanted`.

    Falling back to scalar is told once, as a warning.

    Raises:
        InputError: none is available, or none of that name.
    """
    candidates = [variant for variant in variants if wanted in (AUTO, variant.name)]
    reasons = "; ".join(f"{variant}: {variant.reason}" for variant in candidates if not variant.available)
    chosen = next((variant for variant in candidates if variant.available), None)
    if chosen is None:
        known = ", ".join(dict.fromkeys(variant.name for variant in variants))
        raise InputError(
            f"render.variant: '{wanted}' cannot render here ({reasons or 'not a known variant'}). "
            f"Set it to auto or one of {known}."
        )
    if wanted == AUTO and chosen.name == "scalar_rgb":
        logger.warning("Rendering with scalar_rgb, the slowest variant. To speed it up, %s.", INSTALL_LLVM)
        logger.warning("What was tried: %s", reasons)
    return chosen


def activate(variant: Variant, threads: int) -> None:
    """Make `variant` the one that this process renders with; once per process, before any rendering.

    Args:
        variant: an available one.
        threads: CPU threads of Dr.Jit and of the denoiser; the pictures do not depend on them.
    """
    if variant.library:
        if "drjit" in sys.modules and os.environ.get("DRJIT_LIBLLVM_PATH") != variant.library:
            raise RuntimeError("a variant must be activated before drjit or mitsuba is imported")
        os.environ["DRJIT_LIBLLVM_PATH"] = variant.library
    import drjit as dr
    import mitsuba as mi

    mi.set_variant(variant.name)
    mi.set_log_level(mi.LogLevel.Error)
    dr.set_thread_count(threads)
    os.environ["OIDN_NUM_THREADS"] = str(threads)


def find_llvm_libraries() -> list[Path]:
    """Find LLVM libraries, each once: DRJIT_LIBLLVM_PATH, this Python's environment, conda's, the system's.

    The package karellen-llvm-core installs into `lib` of the Python environment. Within a place, the newest
    version is first.
    """
    given = os.environ.get("DRJIT_LIBLLVM_PATH")
    found = [Path(given)] if given else []
    for prefix in (sys.prefix, site.getuserbase(), os.environ.get("CONDA_PREFIX")):
        if prefix:
            found += _newest_first(Path(prefix).glob("lib/libLLVM*"))
    system = [f"usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "usr/lib64", "usr/lib", "usr/lib/llvm*/lib"]
    homebrew = ["opt/homebrew/opt/llvm*/lib", "usr/local/opt/llvm*/lib"]
    found += _newest_first(
        path for folder in system + homebrew for path in Path("/").glob(f"{folder}/libLLVM*")
    )
    first_names: dict[Path, Path] = {}
    for path in found:
        first_names.setdefault(path.resolve(), path)
    return list(first_names.values())


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that look like an LLVM library, by the first number in their name."""
    versions = {
        path: int(match[1])
        for path in sorted(paths)
        if (match := re.fullmatch(r"libLLVM(?:\.so\.|-)(\d+)[\d.]*(?:\.so|\.dylib)?[\d.]*", path.name))
    }
    return sorted(versions, key=versions.get, reverse=True)


def _try_cuda() -> Variant:
    """Try cuda, at once without an NVIDIA driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Variant("cuda_ad_rgb", reason="no NVIDIA driver (libcuda.so.1) was found")
    return _try(Variant("cuda_ad_rgb"))


def _try(candidate: Variant) -> Variant:
    """Render the test picture in a child process, which may abort."""
    try:
        child = run_child(__name__, [candidate.name, candidate.library or ""], SECONDS_PER_TEST)
    except subprocess.TimeoutExpired:
        return replace(candidate, reason=f"no picture within {SECONDS_PER_TEST} s")
    if child.returncode:
        return replace(candidate, reason=failure(child))
    return replace(candidate, device=json.loads(child.stdout.splitlines()[-1]), available=True)


def run_child(
    module: str, arguments: list[str], timeout: float | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run `python -m module arguments`, with this package importable; its death is survived.

    Args:
        module, arguments: what to run.
        timeout: seconds after which it is killed.
        environment: variables on top of this process's.
    """
    paths = [str(Path(pointspider.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
    )


def failure(child: subprocess.CompletedProcess) -> str:
    """Why a child failed, in a line: what Dr.Jit or LLVM said first, or the last line of its errors.

    Addresses in memory, which differ from run to run, become 0x...
    """
    errors = [line.strip() for line in child.stderr.splitlines() if line.strip()] or ["no message"]
    told = next((line for line in errors if line.startswith(("jit", "LLVM ERROR"))), errors[-1])
    told = re.sub(r"\b0x[0-9a-fA-F]+", "0x...", told)
    return f"aborted by signal {-child.returncode}: {told}" if child.returncode < 0 else told


def device_name(variant_name: str) -> str:
    """What the active variant computes on: the GPU's or the CPU's name, and the LLVM version in use."""
    if variant_name.startswith("cuda"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (match := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        name = match[1]
    if variant_name.startswith("llvm"):
        from drjit.detail import llvm_version

        name += f", LLVM {'.'.join(map(str, llvm_version()))}"
    return name


def _render_test_picture(name: str, library: str) -> None:
    """The child's part: draw a lattice and print the device's name as JSON."""
    activate(Variant(name, library or None), threads=1)
    from pointspider.render.renderer import Renderer, RenderSettings

    lattice = np.indices((6, 6, 6)).reshape(3, -1).T
    picture = Renderer(RenderSettings(resolution=16)).render(lattice[None])
    if picture.min() == 255 or picture.max() == 0:
        raise RuntimeError("the test picture is blank")
    print(json.dumps(device_name(name)))


if __name__ == "__main__":
    _render_test_picture(*sys.argv[1:])
