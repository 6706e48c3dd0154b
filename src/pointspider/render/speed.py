"""How fast each variant renders, with the reference procedure and with ours, and how alike the pictures are.

A process can activate one variant only, so each is measured in a process of its own.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pointspider.errors import InputError
from pointspider.render.reference import render_reference
from pointspider.render.renderer import Renderer, RenderSettings
from pointspider.render.variants import Variant, activate, failure, run_child

METHODS = ("reference", "ours")


@dataclass(frozen=True)
class Measurement:
    """One row of Table I; None where nothing was measured.

    Attributes:
        variant, device: what rendered, on what.
        method: "reference" (PointVisualizaiton's procedure) or "ours".
        resolution, samples_per_pixel: of each picture, H = W in pixels.
        clouds, points: clouds timed after the first, and points of each.
        points_per_second: points of the timed clouds / wall seconds, after the first cloud.
        first_image_seconds: wall seconds of the first picture, compilation included.
        cpu_seconds_per_cloud: of the timed clouds, all threads together.
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
    rows = []
    for name in dict.fromkeys(variant.name for variant in variants):
        candidates = [variant for variant in variants if variant.name == name]
        variant = next((candidate for candidate in candidates if candidate.available), candidates[0])
        try:
            if not variant.available:
                raise ChildProcessError(variant.reason)
            rows += _measure_in_child(variant, clouds, settings, reference, threads)
        except ChildProcessError as error:
            rows += [
                Measurement(
                    name,
                    variant.device,
                    method,
                    wanted.resolution,
                    wanted.samples_per_pixel,
                    reason=str(error),
                )
                for method, wanted in zip(METHODS, (reference, settings), strict=True)
            ]
    return rows


def similarity(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and mean absolute error in 8-bit levels, of (..., H, W, 3) uint8 against another."""
    difference = image.astype(np.float64) - reference
    squared = np.mean(difference**2)
    psnr = 10 * np.log10(255**2 / squared) if squared else np.inf
    return float(psnr), float(np.abs(difference).mean())


def _measure_in_child(
    variant: Variant, clouds: np.ndarray, settings: RenderSettings, reference: RenderSettings, threads: int
) -> list[Measurement]:
    """Both rows of one variant.

    Raises:
        ChildProcessError: the child failed; says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clouds.npy", clouds)
        wanted = {"variant": asdict(variant), "settings": asdict(settings), "reference": asdict(reference)}
        child = run_child(__name__, [folder, json.dumps(wanted | {"threads": threads})])
    if child.returncode:
        raise ChildProcessError(failure(child))
    return [Measurement(**row) for row in json.loads(child.stdout.splitlines()[-1])]


def _measure_variant(
    variant: Variant,
    clouds: np.ndarray,
    settings: RenderSettings,
    reference: RenderSettings,
    threads: int,
) -> list[Measurement]:
    """Both rows of one variant, in a process that renders nothing else."""
    activate(variant, threads)
    renderer = Renderer(settings)
    ours, our_times = _timed(lambda cloud: renderer.render(cloud[None])[0], clouds)
    theirs, their_times = _timed(
        lambda cloud: render_reference(
            cloud, reference.resolution, reference.samples_per_pixel, reference.seed
        ),
        clouds,
    )
    side = settings.resolution
    reduced = [
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in theirs
    ]
    psnr, error = similarity(np.stack(ours), np.stack(reduced))
    facts = {"variant": variant.name, "device": variant.device}
    facts |= {"clouds": len(clouds) - 1, "points": clouds.shape[1]}
    return [
        Measurement(
            **facts,
            **their_times,
            method="reference",
            resolution=reference.resolution,
            samples_per_pixel=reference.samples_per_pixel,
        ),
        Measurement(
            **facts,
            **our_times,
            method="ours",
            resolution=settings.resolution,
            samples_per_pixel=settings.samples_per_pixel,
            psnr_db=psnr,
            mean_abs_error=error,
        ),
    ]


def _timed(
    render: Callable[[np.ndarray], np.ndarray], clouds: np.ndarray
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Pictures of all clouds but the first, and what they took."""
    start = time.perf_counter()
    render(clouds[0])
    first = time.perf_counter() - start
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    images = [render(cloud) for cloud in clouds[1:]]
    seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds() - start_cpu
    return images, {
        "points_per_second": clouds[1:, :, 0].size / seconds,
        "first_image_seconds": first,
        "cpu_seconds_per_cloud": cpu_seconds / len(images),
    }


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _main(folder: str, wanted: str) -> None:
    """The child's part."""
    wanted = json.loads(wanted)
    rows = _measure_variant(
        Variant(**wanted["variant"]),
        np.load(Path(folder) / "clouds.npy"),
        RenderSettings(**wanted["settings"]),
        RenderSettings(**wanted["reference"]),
        wanted["threads"],
    )
    print(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
