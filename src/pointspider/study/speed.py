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
from pointspider.render.renderer import Renderer
from pointspider.render.settings import RenderSettings

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
        quality: of ours, see `settings.QUALITIES`; empty for the reference.
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
    """One cloud, rendered by one task of one variant: a row of speed.csv.

    Attributes:
        variant: the Mitsuba variant.
        method, quality, resolution, samples_per_pixel: the task.
        cloud: 0 is the first picture of the process, rendered with an empty kernel cache on disk: loading
            plugins, building the scene and compiling kernels count; starting Python, importing Mitsuba and
            initialising the variant do not. The timed clouds are 1, 2, ….
        points: points of the cloud.
        pictures: timed pictures: one by the reference; by ours, after a round that is not timed, as many
            rounds as fill `MIN_SECONDS`.
        seconds: mean wall seconds of a picture.
        cpu_seconds: mean CPU seconds of a picture, all threads together.
        psnr_db: to the converged picture, reduced to the task's size; see `psnr_to_converged`.
        psnr_to_reference_db, mean_abs_error: to the reference's picture, reduced, in dB and in 8-bit levels.
            They include the reference's noise; None for the reference itself.
    """

    variant: str
    method: str
    quality: str
    resolution: int
    samples_per_pixel: int
    cloud: int
    points: int
    pictures: int
    seconds: float
    cpu_seconds: float
    psnr_db: float | None = None
    psnr_to_reference_db: float | None = None
    mean_abs_error: float | None = None


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
) -> tuple[list[Measurement], dict[str, dict[str, str]]]:
    """Measure tasks with every variant.

    Args:
        variants: the result of `backends.probe`; of several LLVM libraries the first that works is measured.
        clouds: (k + 1, N, 3), the first of which is warm-up.
        wanted: the tasks, the reference first.
        threads: CPU threads.

    Returns:
        A row per variant, task and cloud, and by variant its device, or the reason why it was not measured:
        `{"llvm_ad_rgb": {"device": …}, "cuda_ad_rgb": {"reason": …}}`.

    Raises:
        InputError: fewer than two clouds.
    """
    if len(clouds) < 2:
        raise InputError(f"speed.clouds: {len(clouds) - 1} clouds after the first leave nothing to time.")
    names = dict.fromkeys(variant.name for variant in variants)
    rows: list[Measurement] = []
    facts: dict[str, dict[str, str]] = {}
    for name in tqdm(names, desc="measure speed", unit="variant", disable=None):
        candidates = [variant for variant in variants if variant.name == name]
        variant = next((candidate for candidate in candidates if candidate.available), candidates[0])
        try:
            measured, device = _measure_variant(variant, clouds, wanted, threads)
        except ChildProcessError as error:
            facts[name] = {"reason": str(error)}
        else:
            rows += measured
            facts[name] = {"device": device}
    return rows, facts


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


def _measure_variant(
    variant: Variant, clouds: np.ndarray, wanted: list[Task], threads: int
) -> tuple[list[Measurement], str]:
    """The rows of every task with their PSNR, and the device.

    Raises:
        ChildProcessError: the variant is not available, or fails; says why.
    """
    if not variant.available:
        raise ChildProcessError(variant.reason)
    measured = [_measure_in_child(variant, task, clouds, threads) for task in wanted]
    references = measured[0][1]  # (k, 2, H, W, 3)
    rows = [
        row
        for timed, pictures, _ in measured
        for row in [timed[0], *map(_compared, timed[1:], pictures[:, 0], references)]
    ]
    return rows, measured[0][2]


def _compared(row: Measurement, picture: np.ndarray, references: np.ndarray) -> Measurement:
    """`row` with the similarity of its `picture`, (H, W, 3), to its `references`, (2, H', W', 3)."""
    if row.method == REFERENCE:
        return replace(row, psnr_db=_psnr_of_noise(*references))
    reduced = np.stack([_reduce(image, row.resolution) for image in references])
    psnr_to_reference, error = similarity(picture, reduced[0])
    return replace(
        row,
        psnr_db=psnr_to_converged(picture, reduced),
        psnr_to_reference_db=psnr_to_reference,
        mean_abs_error=error,
    )


def _reduce(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def _measure_in_child(
    variant: Variant, task: Task, clouds: np.ndarray, threads: int
) -> tuple[list[Measurement], np.ndarray, str]:
    """One task's rows, its pictures of all clouds but the first (k, pictures of each, H, W, 3), the device.

    Raises:
        ChildProcessError: the child failed; says why.
    """
    asked = {"variant": asdict(variant), "task": asdict(task), "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clouds.npy", clouds)
        kernels = Path(folder) / "kernels"
        kernels.mkdir()
        # Otherwise Dr.Jit, OptiX and the CUDA driver find the kernels that earlier runs compiled, below HOME.
        cache = str(kernels)
        child = run_child(__name__, [folder, json.dumps(asked)], DRJIT_CACHE_DIR=cache, CUDA_CACHE_PATH=cache)
        if child.returncode:
            raise ChildProcessError(failure(child))
        answer = json.loads(child.stdout.splitlines()[-1])
        rows = [Measurement(**row) for row in answer["rows"]]
        return rows, np.load(Path(folder) / "images.npy"), answer["device"]


def _measure(
    variant: Variant, task: Task, clouds: np.ndarray, threads: int
) -> tuple[list[Measurement], np.ndarray, str]:
    """What `_measure_in_child` returns, in a process that has rendered nothing yet."""
    activate(variant, threads)
    start = time.perf_counter(), _cpu_seconds()
    render = _renderer(task)
    render(clouds[0])
    times = [
        [time.perf_counter() - start[0], _cpu_seconds() - start[1]]
    ]  # wall and CPU seconds of each cloud
    rounds: list[list[list[float]]] = []
    if task.method == OURS:  # kernels are recorded once for each density of a cloud's cache
        for cloud in clouds[1:]:
            render(cloud)
    while not rounds or (task.method == OURS and np.sum(rounds, axis=(0, 1))[0] < MIN_SECONDS):
        timed = [_timed(render, cloud) for cloud in clouds[1:]]
        rounds.append([seconds for _, seconds in timed])
    images = np.stack([[picture] for picture, _ in timed])
    times += np.mean(rounds, axis=0).tolist()
    if task.method == REFERENCE:
        render = _renderer(_check(task))
        images = np.concatenate([images, np.stack([[render(cloud)] for cloud in clouds[1:]])], axis=1)
    same = {key: value for key, value in asdict(task).items() if key != "seed"}
    same |= {"variant": variant.name, "points": clouds.shape[1]}
    rows = [
        Measurement(cloud=i, pictures=len(rounds) if i else 1, seconds=wall, cpu_seconds=cpu, **same)
        for i, (wall, cpu) in enumerate(times)
    ]
    return rows, images, device_name(variant.name)


def _timed(render: Callable[[np.ndarray], np.ndarray], cloud: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """A picture, and the wall and CPU seconds that it took."""
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    picture = render(cloud)
    return picture, [time.perf_counter() - start, _cpu_seconds() - start_cpu]


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


def _main(folder: str, arguments: str) -> None:
    """Run in the child: measure one task."""
    asked = json.loads(arguments)
    clouds = np.load(Path(folder) / "clouds.npy")
    rows, images, device = _measure(
        Variant(**asked["variant"]), Task(**asked["task"]), clouds, asked["threads"]
    )
    np.save(Path(folder) / "images.npy", images)
    print(json.dumps({"rows": [asdict(row) for row in rows], "device": device}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
