"""The work of `pointspider render`: read, place and draw clouds in several processes."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pointspider.cli.inputs import Item, check_output, find_clouds
from pointspider.cli.parallel import run_all
from pointspider.cli.placing import SCALAR, Loader, Range, loader, naming
from pointspider.core.cpus import available_cpus
from pointspider.core.errors import InputError
from pointspider.core.files import read_json, write_json, write_png
from pointspider.render import colours
from pointspider.render.backends import activate, choose
from pointspider.render.draw import draw_placed, look, place_cloud
from pointspider.render.motion import check_movie, turntable, write_movie
from pointspider.render.scene import Camera, Spheres, Surface
from pointspider.render.settings import RenderSettings
from pointspider.render.sheet import add_color_bar, grid

Task = tuple[Spheres | Surface, Range | None, Camera]  # a frame of a movie


def draw(options: argparse.Namespace) -> None:
    """Run `pointspider render`.

    Raises:
        InputError: a bad option; or some clouds could not be drawn, each of which is reported before.
    """
    output: Path = options.output
    suffix = output.suffix.lower()
    movie = options.turntable or options.poses is not None or suffix in (".gif", ".mp4")
    one = options.grid is not None or options.overlay
    if suffix in (".jpg", ".jpeg", ".svg", ".pdf", ".tif", ".tiff", ".bmp", ".webp", ".avi", ".mov", ".webm"):
        raise InputError(f"{output}: pictures are .png, movies .gif or .mp4.")
    for name in ("mesh_points", "max_points", "frames", "fps", "jobs"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            raise InputError(f"--{name.replace('_', '-')}: {getattr(options, name)} must be above 0.")
    background, floor = look(options.background, options.floor)
    settings = RenderSettings(
        options.resolution, options.quality, options.seed, _camera(options), background, floor, layers=movie
    )
    to_file = suffix in (".png", ".gif", ".mp4")
    check_output(output, directory=not to_file)
    if to_file and movie:
        check_movie(output)
    elif one and not to_file:
        raise InputError(
            f"{output}: a grid or an overlay is one picture; name it {output.with_suffix('.png')}."
        )
    if options.save_camera:
        check_output(options.save_camera, directory=False)
        write_json(options.save_camera, settings.camera.to_dict())
    items, errors = find_clouds(options.inputs, options.format, options.row)
    if to_file and not one and len(items) + len(errors) > 1:
        count = len(items) + len(errors)
        raise InputError(f"{output}: there are {count} clouds; give a directory, --row, --grid or --overlay.")
    if errors and (one or not items):
        raise errors[0]
    poses = (
        read_poses(options.poses, settings.camera)
        if options.poses
        else turntable(settings.camera, options.frames)
    )
    bars = options.colorbar and options.grid is None
    job = Job(settings, loader(options, items), movie, options.fps, poses, bars)
    if options.overlay:
        _draw_overlay(options, job, items)
    elif options.grid is not None:
        _draw_grid(options, job, items)
    elif to_file:
        _draw_all(options, job, {items[0]: output})
    else:
        extension = ".gif" if movie else ".png"
        targets = {item: output / f"{item.name}{extension}" for item in items}
        finished = [item for item, target in targets.items() if target.exists() and not options.force]
        for item in finished:
            del targets[item]
        if finished:
            print(
                f"pointspider: skipped {len(finished)} finished pictures; --force draws them.",
                file=sys.stderr,
            )
        _draw_all(options, job, targets, errors)


# ---------------------------------------------------------------------------------------------- options


def _camera(options: argparse.Namespace) -> Camera:
    """The camera of the file, changed by the options."""
    camera = Camera()
    if options.camera:
        try:
            camera = Camera.from_dict(read_json(options.camera))
        except InputError as error:
            raise naming(options.camera, error) from error
    names = ("azimuth", "elevation", "distance", "fov", "orthographic")
    changed = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return replace(camera, **changed)


def read_poses(path: Path, camera: Camera) -> Sequence[Camera]:
    """Read a list of cameras; absent keys are those of `camera`."""
    try:
        poses: Any = read_json(path)
        if not isinstance(poses, list) or not poses or not all(isinstance(pose, dict) for pose in poses):
            raise InputError("poses are a list of cameras.")
        return [Camera.from_dict({**camera.to_dict(), **pose}) for pose in poses]
    except InputError as error:
        raise naming(path, error) from error


# ---------------------------------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class Job:
    """What a process needs to draw clouds.

    Attributes:
        settings: of pictures, and of frames but for the camera.
        loader: reads and places clouds.
        movie, fps, poses: whether to draw movies; their speed and cameras.
        colorbar: whether to add one to each picture.
    """

    settings: RenderSettings
    loader: Loader
    movie: bool
    fps: float
    poses: Sequence[Camera]
    colorbar: bool

    def picture(self, placed: Spheres | Surface, limits: Range | None, camera: Camera) -> np.ndarray:
        """Draw a placed cloud or mesh, (H, W, 4)."""
        picture = draw_placed(placed, replace(self.settings, camera=camera))
        if self.colorbar and limits is not None:
            picture = add_color_bar(picture, self.loader.colormap, limits, self.settings.background)
        return picture

    def frame(self, task: Task) -> np.ndarray:
        """Draw one frame."""
        return self.picture(*task)

    def load(self, item: Item) -> tuple[np.ndarray, list[str]]:
        """Read and draw a cloud."""
        placed, limits, notes = self.loader.place(item)
        return self.picture(placed, limits, self.settings.camera), notes

    def save(self, task: tuple[Item, Path]) -> list[str]:
        """Read a cloud and write its picture or movie; return what was left out."""
        item, target = task
        placed, limits, notes = self.loader.place(item)
        try:
            if self.movie:
                frames = (self.picture(placed, limits, pose) for pose in self.poses)
                write_movie(target, frames, self.fps)
            else:
                _write(target, self.picture(placed, limits, self.settings.camera))
        except InputError as error:
            raise naming(item.path, error) from error
        return notes


def _draw_all(
    options: argparse.Namespace, job: Job, targets: dict[Item, Path], errors: Sequence[InputError] = ()
) -> None:
    """Draw each cloud into its own file; one movie takes all processes."""
    items, failures = list(targets), list(errors)
    if job.movie and len(items) == 1:
        placed, limits, notes = job.loader.place(items[0])
        _report(items[0], notes)
        _write_frames(options, job, targets[items[0]], placed, limits)
        return
    for item, result in zip(items, _parallel(options, job, job.save, list(targets.items())), strict=True):
        if isinstance(result, InputError):
            failures.append(result)
        else:
            _report(item, result)
    if len(failures) == len(items) + len(errors) == 1:
        raise failures[0]
    for failure in failures:
        print(f"pointspider: {failure}", file=sys.stderr)
    if failures:
        raise InputError(f"{len(failures)} of {len(items) + len(errors)} clouds were not drawn.")


def _draw_grid(options: argparse.Namespace, job: Job, items: Sequence[Item]) -> None:
    match = re.fullmatch(r"(?:(\d+)x)?(\d+)", options.grid.lower())
    if not match or not int(match[2]):
        raise InputError(f"--grid: '{options.grid}' is not ROWSxCOLUMNS or COLUMNS.")
    columns = int(match[2])
    if match[1] and int(match[1]) * columns < len(items):
        raise InputError(f"--grid: {options.grid} has fewer places than there are clouds, {len(items)}.")
    captions: list[str] | None = [item.name for item in items]
    if options.captions == "none":
        captions = None
    elif options.captions not in (None, "names"):
        try:
            captions = Path(options.captions).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{options.captions}: cannot be read as captions, one per line ({error})."
            ) from error
    pictures = []
    for item, result in zip(items, _parallel(options, job, job.load, items), strict=True):
        if isinstance(result, InputError):
            raise result
        pictures.append(result[0])
        _report(item, result[1])
    background = job.settings.background
    sheet = grid(pictures, columns, captions, background, options.gap)
    if options.colorbar and job.loader.limits is not None:
        sheet = add_color_bar(sheet, job.loader.colormap, job.loader.limits, background)
    _write(options.output, sheet)


def _draw_overlay(options: argparse.Namespace, job: Job, items: Sequence[Item]) -> None:
    """Draw all clouds in one scene; unless told otherwise, each has a colour of the palette."""
    points, linear, limits = [], [], None
    for number, item in enumerate(items):
        cloud, notes = job.loader.read(item)
        _report(item, notes)
        try:
            part, limits = job.loader.colours(cloud)
        except InputError as error:
            raise naming(item.path, error) from error
        if SCALAR not in cloud.fields and job.loader.color == "file":
            part = colours.by_label(np.array([number]))[0]
        points.append(cloud.points)
        if part is not None:  # by position otherwise
            linear.append(np.broadcast_to(part, cloud.points.shape))
    together = np.concatenate(linear) if linear else None
    spheres = place_cloud(np.concatenate(points), together, job.loader.radius, job.loader.up)
    if job.movie:
        _write_frames(options, job, options.output, spheres, limits)
        return
    picture = next(iter(_parallel(options, job, job.frame, [(spheres, limits, job.settings.camera)])))
    if isinstance(picture, InputError):
        raise picture
    _write(options.output, picture)


def _write_frames(
    options: argparse.Namespace,
    job: Job,
    target: Path,
    placed: Spheres | Surface,
    limits: Range | None,
) -> None:
    def checked(frames: Any) -> Any:
        for frame in frames:
            if isinstance(frame, InputError):
                raise frame
            yield frame

    tasks = [(placed, limits, pose) for pose in job.poses]
    write_movie(target, checked(_parallel(options, job, job.frame, tasks)), job.fps)


def _parallel(options: argparse.Namespace, job: Job, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Any:
    """Run tasks in processes of one thread each, or a single one here with all."""
    if not tasks:
        return []
    cpus = available_cpus()
    jobs = max(1, min(options.jobs or cpus, len(tasks)))
    variant = choose(options.variant)
    return run_all(work, tasks, jobs, "render", activate, (variant, max(1, cpus // jobs)))


def _write(path: Path, picture: np.ndarray) -> None:
    """Write a PNG, without alpha if it is opaque."""
    write_png(path, picture[..., :3] if (picture[..., 3] == 255).all() else picture)


def _report(item: Item, notes: Sequence[str]) -> None:
    for note in notes:
        print(f"pointspider: {item}: {note}.", file=sys.stderr)
