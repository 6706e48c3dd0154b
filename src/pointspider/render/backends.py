"""Which of Mitsuba's variants work on this machine, found by rendering a test picture with each.

A variant is Mitsuba compiled for one kind of processor: `cuda_ad_rgb` (NVIDIA GPUs), `llvm_ad_rgb` (CPUs,
with an LLVM library that is loaded at run time) and `scalar_rgb` (CPUs, always available, slow). Only a trial
shows whether one works, and an unsuitable LLVM aborts the process (LLVM 15 and 16 with Dr.Jit 1.5; 13 and 14
are refused), so each trial runs in a child process.

The result depends on the machine alone. It is cached per machine in POINTSPIDER_CACHE_DIR, by default the
user's cache directory.
"""

import ctypes
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs

import pointspider
from pointspider.core.errors import InputError
from pointspider.core.extras import require
from pointspider.core.files import atomic

logger = logging.getLogger(__name__)

AUTO = "auto"
SECONDS_PER_TRIAL = 60  # a cold start takes 1 to 3
#: How the reasons of trials begin that say nothing about the next one: a busy machine, or one without memory.
PASSING = ("no picture within", "aborted by signal 9")
INSTALL_LLVM = "install LLVM 19 or newer (pip: karellen-llvm-core; Debian, Ubuntu, conda-forge: libllvm19)"


@dataclass(frozen=True)
class Variant:
    """A Mitsuba variant and the result of its trial; `dataclasses.asdict` makes it JSON.

    Attributes:
        name: Mitsuba's name, e.g. "llvm_ad_rgb".
        library: path of the LLVM library, for the llvm variant.
        device: the processor, and the LLVM version for llvm; empty if the variant does not work.
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


# ----------------------------------------------------------------------------------------------- choice


def available_variants() -> list[Variant]:
    """Return every variant with whether it works here, from the cache of this machine or by `probe`.

    The cache is used only if nothing that decides the trials has changed: Mitsuba, Dr.Jit and Python, the
    LLVM libraries and what is in their directories, the processor and the NVIDIA driver. Trials that ran out
    of time or memory are not cached. Without a writable cache directory every call probes.
    """
    try:
        cache = _cache_file()
    except (OSError, RuntimeError):  # no home directory, or a library that vanished this moment
        return probe()
    with suppress(OSError, ValueError, TypeError):  # none yet, or not ours
        cached = [Variant(**entry) for entry in json.loads(cache.read_text(encoding="utf-8"))]
        if cached and all(each.library is None or Path(each.library).exists() for each in cached):
            return cached
    variants = probe()
    if any(each.reason.startswith(PASSING) for each in variants):
        return variants
    try:
        with atomic(cache) as temporary:
            temporary.write_text(json.dumps([asdict(each) for each in variants], indent=2), encoding="utf-8")
    except (OSError, InputError) as error:
        logger.info("the trials of Mitsuba's variants are not cached: %s", error)
    return variants


def choose(wanted: str = AUTO, variants: Sequence[Variant] | None = None) -> Variant:
    """Return the first variant that works, or the first of the name `wanted` that does.

    Falling back to scalar logs a warning.

    Args:
        wanted: a variant's name, or "auto".
        variants: the candidates in order of preference; by default `available_variants()`.

    Raises:
        InputError: none works, or none of that name; or Mitsuba is not installed.
    """
    if variants is None:
        require("mitsuba", "pyoidn")
        variants = available_variants()
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
        logger.warning("These variants do not work: %s", reasons)
    return chosen


def activate(variant: Variant, threads: int) -> None:
    """Select `variant` for this process, before anything is rendered.

    Args:
        variant: one that works. A process loads one LLVM library, so a second one is refused.
        threads: CPU threads of Dr.Jit and of the denoiser; pictures do not depend on them.

    Raises:
        InputError: the variant cannot be loaded (any more).
        RuntimeError: Dr.Jit has already been imported with another LLVM library.
    """
    if variant.library:
        if "drjit" in sys.modules and os.environ.get("DRJIT_LIBLLVM_PATH") != variant.library:
            raise RuntimeError("a variant must be activated before drjit or mitsuba is imported")
        os.environ["DRJIT_LIBLLVM_PATH"] = variant.library
    try:
        import drjit as dr
        import mitsuba as mi

        mi.set_variant(variant.name)
    except ImportError as error:
        raise InputError(f"render.variant: {variant} cannot be loaded: {error}") from error
    mi.set_log_level(mi.LogLevel.Error)
    dr.set_thread_count(threads)
    os.environ["OIDN_NUM_THREADS"] = str(threads)


def ensure_active(wanted: str, threads: int) -> None:
    """Choose and activate a variant unless this process has one.

    Raises:
        InputError: none works, or the process has another than the one that is wanted.
    """
    active = None
    if "mitsuba" in sys.modules:
        import mitsuba as mi

        active = mi.variant()
    if active is None:
        activate(choose(wanted), threads)
    elif wanted not in (AUTO, active):
        raise InputError(f"render.variant: this process renders with {active}; use a new one for {wanted}.")


# ------------------------------------------------------------------------------------------------ cache


def _cache_file() -> Path:
    """Where the trials of this machine are cached: a file named for everything that decides them."""
    folder = os.environ.get("POINTSPIDER_CACHE_DIR") or platformdirs.user_cache_dir("pointspider")
    libraries = [
        (str(path), path.stat().st_mtime_ns, path.stat().st_size, path.resolve().parent.stat().st_mtime_ns)
        for path in find_llvm_libraries()
    ]
    drivers = [
        path.read_text(encoding="utf-8")
        for path in Path("/proc/driver/nvidia").glob("version")
        if path.is_file()
    ]
    facts = [
        importlib.metadata.version("mitsuba"),
        importlib.metadata.version("drjit"),
        sys.version,
        sys.prefix,
        _processor(),
        libraries,
        drivers,
        sorted(path.name for path in Path("/proc/driver/nvidia/gpus").glob("*")),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        os.environ.get("LD_LIBRARY_PATH"),
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return Path(folder) / f"variants-{key}.json"


def find_llvm_libraries() -> list[Path]:
    """Find LLVM libraries, each once: DRJIT_LIBLLVM_PATH, this Python's environment, conda's, the system's.

    The package karellen-llvm-core installs into `lib` of the Python environment. Within a place, the newest
    version is first.
    """
    given = os.environ.get("DRJIT_LIBLLVM_PATH")
    found = [Path(given)] if given and Path(given).is_file() else []
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
    """Those of `paths` that are named like an LLVM library and exist, by the first number in their name."""
    versions = {
        path: int(match[1])
        for path in sorted(paths)
        if (match := re.fullmatch(r"libLLVM(?:\.so\.|-)(\d+)[\d.]*(?:\.so|\.dylib)?[\d.]*", path.name))
        and path.is_file()
    }
    return sorted(versions, key=lambda path: versions[path], reverse=True)


# ----------------------------------------------------------------------------------------------- trials


def probe() -> list[Variant]:
    """Try the candidates in order of preference: cuda, llvm with libraries until one works, scalar."""
    llvm: list[Variant] = []
    for library in find_llvm_libraries():
        llvm.append(_try(Variant("llvm_ad_rgb", str(library))))
        if llvm[-1].available:  # an unsuitable LLVM may compile for ever
            break
    if not llvm:
        llvm = [Variant("llvm_ad_rgb", reason=f"no LLVM library was found: {INSTALL_LLVM}")]
    return [_try_cuda(), *llvm, _try(Variant("scalar_rgb"))]


def _try_cuda() -> Variant:
    """Try cuda, unless there is no NVIDIA driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Variant("cuda_ad_rgb", reason="no NVIDIA driver (libcuda.so.1) was found")
    return _try(Variant("cuda_ad_rgb"))


def _try(candidate: Variant) -> Variant:
    """Render the test picture in a child process, which may abort."""
    try:
        child = run_child(__name__, [candidate.name, candidate.library or ""], SECONDS_PER_TRIAL)
    except subprocess.TimeoutExpired:
        return replace(candidate, reason=f"no picture within {SECONDS_PER_TRIAL} s")
    if child.returncode:
        return replace(candidate, reason=failure(child))
    return replace(candidate, device=json.loads(child.stdout.splitlines()[-1]), available=True)


def run_child(
    module: str, arguments: list[str], timeout: float | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` with this package importable, and return also if it dies.

    Args:
        module: dotted name.
        arguments: its command line.
        timeout: seconds after which it is killed.
        environment: variables on top of this process's.

    Raises:
        subprocess.TimeoutExpired: it was killed.
    """
    paths = [str(Path(pointspider.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment,
    )


def failure(child: subprocess.CompletedProcess[str]) -> str:
    """Return why a child failed, in a line: the first message of Dr.Jit or LLVM, or its last line of errors.

    Addresses in memory, which differ from run to run, become 0x...
    """
    errors = [line.strip() for line in child.stderr.splitlines() if line.strip()] or ["no message"]
    reason = next((line for line in errors if line.startswith(("jit", "LLVM ERROR"))), errors[-1])
    reason = re.sub(r"\b0x[0-9a-fA-F]+", "0x...", reason)
    return f"aborted by signal {-child.returncode}: {reason}" if child.returncode < 0 else reason


def device_name(variant_name: str) -> str:
    """Return the processor of the active variant, and the LLVM version for llvm."""
    if variant_name.startswith("cuda"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    name = _processor()
    if variant_name.startswith("llvm"):
        from drjit.detail import llvm_version

        name += f", LLVM {'.'.join(map(str, llvm_version()))}"
    return name


def _processor() -> str:
    """The name of the CPU."""
    with suppress(OSError):
        if match := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8")):
            return match[1]
    return platform.processor() or platform.machine()


def _render_test_picture(name: str, library: str) -> None:
    """Draw a lattice and print the processor's name as JSON; runs in a child process."""
    activate(Variant(name, library or None), threads=1)
    from pointspider.render.renderer import Renderer
    from pointspider.render.settings import RenderSettings

    lattice = np.indices((6, 6, 6)).reshape(3, -1).T
    picture = Renderer(RenderSettings(resolution=16)).render(lattice[None])
    if picture.min() == 255 or picture.max() == 0:
        raise RuntimeError("the test picture is blank")
    print(json.dumps(device_name(name)))


if __name__ == "__main__":
    _render_test_picture(*sys.argv[1:])
