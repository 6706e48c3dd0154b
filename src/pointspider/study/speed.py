"""How fast each variant renders, by the reference procedure and by ours, and how alike the pictures are.

Three tasks are timed in each variant: the reference procedure; ours at quality `reference`, at the same
resolution; ours at quality `clip`, at an encoder's. Each is timed in a process of its own: a process can
activate one variant only, and the first picture is a cold start only where nothing was rendered before.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.render.backends import Variant, activate, device_name, failure, run_child
from pointspider.render.reference import render_reference
from pointspider.render.renderer import Renderer, RenderSettings

REFERENCE, OURS = "reference", "ours"  # methods
CHECK_SHARE = (
    8  # the reference's second picture, which tells noise from error, takes an eighth of the samples
)
MIN_SECONDS = 1.0  # ours takes as little as 0.1 s per cloud: one round over a few clouds would be noise


@dataclass(frozen=True)
class Task:
    """What is timed.

    Attributes:
        method: REFERENCE (PointVisualizaiton's procedure) or OURS.
        quality: of ours, see `renderer.QUALITIES`; empty for the reference.
        resolution: width and height H = W in pixels.
        samples_per_pixel: of the reference; ours is told its quality's, where a pixel shows spheres.
        seed: of the Monte-Carlo samples.
    """

    method: str
    quality: str
    resolution: int
    samples_per_pixel: int
    seed: int


@dataclass(frozen=True)
class Measurement:
    """One row of Table I; None where nothing was measured.

    Attributes:
        variant, device: what rendered, on what; no device where nothing was measured.
        method, quality, resolution, samples_per_pixel: the task.
        clouds, points: different clouds timed after the first, and points of each.
        pictures: timed; by the reference one of each cloud, by ours as many rounds as fill `MIN_SECONDS`.
        points_per_second: points of the timed pictures / their wall seconds.
        cloud_seconds: wall seconds of a picture of each cloud, in their order, its mean over the rounds;
            six digits each, space-separated, so that a row of CSV holds them in one cell.
        first_image_seconds: wall seconds of the process's first picture, with an empty kernel cache on disk:
            loading plugins, building the scene and compiling kernels is in it; starting Python, importing
            Mitsuba and initialising the variant is not.
        cpu_seconds_per_cloud: of a timed picture, all threads together.
        psnr_db, worst_psnr_db: to the converged picture, reduced to the task's size; median and least over
            the clouds; see `psnr_to_converged`.
        psnr_to_reference_db, mean_abs_error: to the reference's picture, reduced, in dB and in 8-bit levels;
            medians over the clouds. They hold the reference's noise; nothing for the reference itself.
        reason: why the variant could not be measured.
    """

    variant: str
    device: str
    method: str
    quality: str
    resolution: int
    samples_per_pixel: int
    clouds: int = 0
    points: int = 0
    pictures: int = 0
    points_per_second: float | None = None
    cloud_seconds: str = ""
    first_image_seconds: float | None = None
    cpu_seconds_per_cloud: float | None = None
    psnr_db: float | None = None
    worst_psnr_db: float | None = None
    psnr_to_reference_db: float | None = None
    mean_abs_error: float | None = None
    reason: str = ""


def tasks(resolution: int, reference_resolution: int, reference_samples: int, seed: int) -> list[Task]:
    """The three tasks: `clip` at `resolution`, the others at `reference_resolution`."""
    qualities = {"reference": reference_resolution, "clip": resolution}
    ours = [RenderSettings(size, quality, seed) for quality, size in qualities.items()]
    return [
        Task(REFERENCE, "", reference_resolution, reference_samples, seed),
        *(Task(OURS, each.quality, each.resolution, each.samples_per_pixel, seed) for each in ours),
    ]


def measure(
    variants: list[Variant], clouds: np.ndarray, wanted: list[Task], threads: int
) -> list[Measurement]:
    """Measure tasks with every variant.

    Args:
        variants: what `variants.probe` found; of several LLVM libraries the first that works is measured.
        clouds: (k + 1, N, 3), the first of which is warm-up.
        wanted: what to time, the reference first.
        threads: CPU threads.

    Returns:
        A row per variant name and task; those of variants that do not work, or fail here, carry the reason.

    Raises:
        InputError: fewer than two clouds.
    """
    if len(clouds) < 2:
        raise InputError(f"speed.clouds: {len(clouds) - 1} clouds after the first leave nothing to time.")
    names = dict.fromkeys(variant.name for variant in variants)
    rows = []
    for name in tqdm(names, desc="measure speed", unit="variant", disable=None):
        candidates = [variant for variant in variants if variant.name == name]
        variant = next((candidate for candidate in candidates if candidate.available), candidates[0])
        try:
            rows += _measure_variant(variant, clouds, wanted, threads)
        except ChildProcessError as error:
            rows += [_unmeasured(name, task, reason=str(error)) for task in wanted]
    return rows


def similarity(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and mean absolute error in 8-bit levels, of (..., H, W, 3) uint8 against another."""
    difference = image.astype(np.float64) - reference
    return _decibels(np.mean(difference**2)), float(np.abs(difference).mean())


def psnr_to_converged(image: np.ndarray, references: np.ndarray) -> float:
    """PSNR in dB of a picture to what the reference procedure converges to, from two of its pictures.

    The squared error to one noisy picture holds that picture's noise. The product of the errors to two of
    independent noise does not: its mean is the squared error to the picture without noise.

    Args:
        image: (H, W, 3) uint8.
        references: (2, H, W, 3) uint8, of different seeds.
    """
    errors = image.astype(np.float64) - references
    return _decibels(max(np.mean(errors[0] * errors[1]), 0))


def _psnr_of_noise(picture: np.ndarray, check: np.ndarray) -> float:
    """PSNR in dB of the reference's own picture to what it converges to, by its second picture.

    Variances go with 1 / samples: of the squared difference, 1 part in 1 + CHECK_SHARE is the first's.
    """
    return similarity(picture, check)[0] + float(10 * np.log10(1 + CHECK_SHARE))


def _decibels(squared_error: float) -> float:
    return float(10 * np.log10(255**2 / squared_error)) if squared_error else np.inf


def _unmeasured(variant_name: str, task: Task, device: str = "", reason: str = "") -> Measurement:
    """A row without figures."""
    asked = {key: value for key, value in asdict(task).items() if key != "seed"}
    return Measurement(variant_name, device, **asked, reason=reason)


def _measure_variant(
    variant: Variant, clouds: np.ndarray, wanted: list[Task], threads: int
) -> list[Measurement]:
    """A row per task, each with its likeness to the reference.

    Raises:
        ChildProcessError: the variant is not available, or fails; says why.
    """
    if not variant.available:
        raise ChildProcessError(variant.reason)
    measured = [_measure_in_child(variant, task, clouds, threads) for task in wanted]
    references = measured[0][1]  # (k, 2, H, W, 3)
    return [_compared(row, pictures[:, 0], references) for row, pictures in measured]


def _compared(row: Measurement, pictures: np.ndarray, references: np.ndarray) -> Measurement:
    """`row` with how alike its `pictures`, (k, H, W, 3), and `references`, (k, 2, H', W', 3), are."""
    if row.method == REFERENCE:
        psnr = [_psnr_of_noise(*two) for two in references]
        return replace(row, psnr_db=float(np.median(psnr)), worst_psnr_db=min(psnr))
    reduced = [np.stack([_reduce(image, row.resolution) for image in two]) for two in references]
    psnr = [psnr_to_converged(*each) for each in zip(pictures, reduced, strict=True)]
    likeness = [similarity(picture, first) for picture, (first, _) in zip(pictures, reduced, strict=True)]
    psnr_to_reference, error = np.median(likeness, axis=0)
    return replace(
        row,
        psnr_db=float(np.median(psnr)),
        worst_psnr_db=min(psnr),
        psnr_to_reference_db=float(psnr_to_reference),
        mean_abs_error=float(error),
    )


def _reduce(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def _measure_in_child(
    variant: Variant, task: Task, clouds: np.ndarray, threads: int
) -> tuple[Measurement, np.ndarray]:
    """One task's row, and its pictures of all clouds but the first, (k, pictures of each, H, W, 3) uint8.

    Raises:
        ChildProcessError: the child failed; says why.
    """
    asked = {"variant": asdict(variant), "task": asdict(task), "threads": threads}
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
    variant: Variant, task: Task, clouds: np.ndarray, threads: int
) -> tuple[Measurement, np.ndarray]:
    """What `_measure_in_child` returns, in a process that has rendered nothing yet."""
    activate(variant, threads)
    start = time.perf_counter()
    render = _renderer(task)
    render(clouds[0])
    first_image_seconds = time.perf_counter() - start

    rounds, start_cpu = [], _cpu_seconds()
    while not rounds or (task.method == OURS and np.sum(rounds) < MIN_SECONDS):
        timed = [_timed(render, cloud) for cloud in clouds[1:]]
        rounds.append([seconds for _, seconds in timed])
    cpu_seconds = _cpu_seconds() - start_cpu
    images = np.stack([[picture] for picture, _ in timed])
    cloud_seconds = np.mean(rounds, axis=0)
    if task.method == REFERENCE:
        render = _renderer(_check(task))
        images = np.concatenate([images, np.stack([[render(cloud)] for cloud in clouds[1:]])], axis=1)
    row = replace(
        _unmeasured(variant.name, task, device_name(variant.name)),
        clouds=len(images),
        points=clouds.shape[1],
        pictures=np.size(rounds),
        points_per_second=clouds.shape[1] / float(cloud_seconds.mean()),
        cloud_seconds=" ".join(f"{seconds:.6g}" for seconds in cloud_seconds),
        first_image_seconds=first_image_seconds,
        cpu_seconds_per_cloud=cpu_seconds / np.size(rounds),
    )
    return row, images


def _timed(render: Callable[[np.ndarray], np.ndarray], cloud: np.ndarray) -> tuple[np.ndarray, float]:
    """A picture, and the wall seconds that it took."""
    start = time.perf_counter()
    picture = render(cloud)
    return picture, time.perf_counter() - start


def _renderer(task: Task) -> Callable[[np.ndarray], np.ndarray]:
    """What makes a picture (H, W, 3) of a cloud (N, 3)."""
    if task.method == OURS:
        renderer = Renderer(RenderSettings(task.resolution, task.quality, task.seed))
        return lambda cloud: renderer.render(cloud[None])[0]
    return lambda cloud: render_reference(cloud, task.resolution, task.samples_per_pixel, task.seed)


def _check(task: Task) -> Task:
    """The reference's second picture: of other samples, and fewer."""
    return replace(task, samples_per_pixel=-(-task.samples_per_pixel // CHECK_SHARE), seed=task.seed + 1)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _main(folder: str, asked: str) -> None:
    """The child's part."""
    asked = json.loads(asked)
    clouds = np.load(Path(folder) / "clouds.npy")
    row, images = _measure(Variant(**asked["variant"]), Task(**asked["task"]), clouds, asked["threads"])
    np.save(Path(folder) / "images.npy", images)
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
