"""How fast each variant renders, with the reference procedure and with ours, and how alike the pictures are.

Each method is timed with each variant in a process of its own: a process can activate one variant only, and
the first picture is a cold start only where nothing was rendered before.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from pointspider.errors import InputError
from pointspider.render.reference import render_reference
from pointspider.render.renderer import Renderer, RenderSettings
from pointspider.render.variants import Variant, activate, device_name, failure, run_child

METHODS = ("reference", "ours")
MIN_SECONDS = 1.0  # ours takes as little as 0.08 s per cloud: one round over a few clouds would be noise


@dataclass(frozen=True)
class Measurement:
    """One row of Table I; None where nothing was measured.

    Attributes:
        variant, device: what rendered, on what; no device where nothing was measured.
        method: "reference" (PointVisualizaiton's procedure) or "ours".
        resolution, samples_per_pixel: of each picture, H = W in pixels.
        clouds, points: different clouds timed after the first, and points of each.
        pictures: timed; one of each cloud, by ours as many rounds of them as fill `MIN_SECONDS`.
        points_per_second: points of the timed pictures / their wall seconds.
        first_image_seconds: wall seconds of the process's first picture, with an empty kernel cache on disk:
            loading plugins, building the scene and compiling kernels is in it; starting Python, importing
            Mitsuba and initialising the variant is not.
        cpu_seconds_per_cloud: of a timed picture, all threads together.
        psnr_db, mean_abs_error: of the timed pictures against the reference's, reduced to their size (8-bit
            levels); the reference's own noise is in it.
        reason: why the variant could not be measured.
    """

    variant: str
    device: str
    method: str
    resolution: int
    samples_per_pixel: int
    clouds: int = 0
    points: int = 0
    pictures: int = 0
    points_per_second: float | None = None
    first_image_seconds: float | None = None
    cpu_seconds_per_cloud: float | None = None
    psnr_db: float | None = None
    mean_abs_error: float | None = None
    reason: str = ""


def measure(
    variants: list[Variant],
    clouds: np.ndarray,
    settings: RenderSettings,
    reference: RenderSettings,
    threads: int,
) -> list[Measurement]:
    """Measure both methods with every variant.

    Args:
        variants: what `variants.probe` found; of several LLVM libraries the first that works is measured.
        clouds: (k + 1, N, 3), the first of which is warm-up.
        settings: of our pictures.
        reference: of the reference's pictures.
        threads: CPU threads.

    Returns:
        Two rows per variant name; those of variants that do not work, or fail here, carry the reason.

    Raises:
        InputError: fewer than two clouds.
    """
    if len(clouds) < 2:
        raise InputError(f"speed.clouds: {len(clouds) - 1} clouds after the first leave nothing to time.")
    wanted = dict(zip(METHODS, (reference, settings), strict=True))
    names = dict.fromkeys(variant.name for variant in variants)
    rows = []
    for name in tqdm(names, desc="measure speed", unit="variant", disable=None):
        candidates = [variant for variant in variants if variant.name == name]
        variant = next((candidate for candidate in candidates if candidate.available), candidates[0])
        try:
            rows += _measure_variant(variant, clouds, wanted, threads)
        except ChildProcessError as error:
            rows += [
                Measurement(name, "", method, asked.resolution, asked.samples_per_pixel, reason=str(error))
                for method, asked in wanted.items()
            ]
    return rows


def similarity(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and mean absolute error in 8-bit levels, of (..., H, W, 3) uint8 against another."""
    difference = image.astype(np.float64) - reference
    squared = np.mean(difference**2)
    psnr = 10 * np.log10(255**2 / squared) if squared else np.inf
    return float(psnr), float(np.abs(difference).mean())


def _measure_variant(
    variant: Variant, clouds: np.ndarray, wanted: Mapping[str, RenderSettings], threads: int
) -> list[Measurement]:
    """A row per method, ours with its likeness to the reference.

    Raises:
        ChildProcessError: the variant is not available, or fails; says why.
    """
    if not variant.available:
        raise ChildProcessError(variant.reason)
    (reference, theirs), (row, ours) = (
        _measure_in_child(variant, method, clouds, wanted[method], threads) for method in METHODS
    )
    size = ours.shape[1:3]
    reduced = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in theirs]
    psnr, error = similarity(ours, np.stack(reduced))
    return [reference, replace(row, psnr_db=psnr, mean_abs_error=error)]


def _measure_in_child(
    variant: Variant, method: str, clouds: np.ndarray, settings: RenderSettings, threads: int
) -> tuple[Measurement, np.ndarray]:
    """One method's row, and its pictures of all clouds but the first, (k, H, W, 3) uint8.

    Raises:
        ChildProcessError: the child failed; says why.
    """
    asked = {"variant": asdict(variant), "method": method, "settings": asdict(settings), "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clouds.npy", clouds)
        kernels = Path(folder) / "kernels"
        kernels.mkdir()
        # Otherwise Dr.Jit, OptiX with it, and the CUDA driver find what earlier runs compiled, below HOME.
        caches = {"DRJIT_CACHE_DIR": str(kernels), "CUDA_CACHE_PATH": str(kernels)}
        child = run_child(__name__, [folder, json.dumps(asked)], **caches)
        if child.returncode:
            raise ChildProcessError(failure(child))
        return Measurement(**json.loads(child.stdout.splitlines()[-1])), np.load(Path(folder) / "images.npy")


def _measure(
    variant: Variant, method: str, clouds: np.ndarray, settings: RenderSettings, threads: int
) -> tuple[Measurement, list[np.ndarray]]:
    """What `_measure_in_child` returns, in a process that has rendered nothing yet."""
    activate(variant, threads)
    start = time.perf_counter()
    render = _renderer(method, settings)
    render(clouds[0])
    first_image_seconds = time.perf_counter() - start

    pictures, seconds, start, start_cpu = 0, 0.0, time.perf_counter(), _cpu_seconds()
    while not pictures or (method == "ours" and seconds < MIN_SECONDS):
        images = [render(cloud) for cloud in clouds[1:]]
        pictures += len(images)
        seconds = time.perf_counter() - start
    cpu_seconds = _cpu_seconds() - start_cpu
    row = Measurement(
        variant.name,
        device_name(variant.name),
        method,
        settings.resolution,
        settings.samples_per_pixel,
        clouds=len(images),
        points=clouds.shape[1],
        pictures=pictures,
        points_per_second=pictures * clouds.shape[1] / seconds,
        first_image_seconds=first_image_seconds,
        cpu_seconds_per_cloud=cpu_seconds / pictures,
    )
    return row, images


def _renderer(method: str, settings: RenderSettings) -> Callable[[np.ndarray], np.ndarray]:
    """What makes a picture (H, W, 3) of a cloud (N, 3)."""
    if method == "ours":
        renderer = Renderer(settings)
        return lambda cloud: renderer.render(cloud[None])[0]
    return lambda cloud: render_reference(cloud, **asdict(settings))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _main(folder: str, asked: str) -> None:
    """The child's part."""
    asked = json.loads(asked)
    row, images = _measure(
        Variant(**asked["variant"]),
        asked["method"],
        np.load(Path(folder) / "clouds.npy"),
        RenderSettings(**asked["settings"]),
        asked["threads"],
    )
    np.save(Path(folder) / "images.npy", images)
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
