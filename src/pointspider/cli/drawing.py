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
from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import load_cloud
from pointspider.core.cpus import available_cpus
from pointspider.core.errors import InputError
from pointspider.core.files import read_json, write_json, write_png
from pointspider.core.seeding import generator
from pointspider.render import colours
from pointspider.render.backends import activate, choose
from pointspider.render.draw import draw_spheres, look, place_cloud
from pointspider.render.motion import check_movie, turntable, write_movie
from pointspider.render.renderer import RenderSettings
from pointspider.render.scene import Camera, Spheres, bounding_box
from pointspider.render.sheet import add_color_bar, grid

SUBJECTS = ("file", "position", "normals", "labels")  # `--color`, besides colours


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
    for name in ("mesh_points", "max_points", "frames", "fps"):
        if getattr(options, name) <= 0:
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
    poses, bars = _poses(options, settings.camera), options.colorbar and options.grid is None
    job = Job(settings, _loader(options, items), movie, options.fps, poses, bars)
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
            raise _naming(options.camera, error) from error
    names = ("azimuth", "elevation", "distance", "fov", "orthographic")
    changed = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return replace(camera, **changed)


def _poses(options: argparse.Namespace, camera: Camera) -> Sequence[Camera]:
    if not options.poses:
        return turntable(camera, options.frames)
    try:
        poses: Any = read_json(options.poses)
        if not isinstance(poses, list) or not poses:
            raise InputError("poses are a list of cameras.")
        return [Camera.from_dict({**camera.to_dict(), **pose}) for pose in poses]
    except InputError as error:
        raise _naming(options.poses, error) from error


def _naming(path: Path, error: InputError) -> InputError:
    return error if str(error).startswith(str(path)) else InputError(f"{path}: {error}")


def _loader(options: argparse.Namespace, items: Sequence[Item]) -> "Loader":
    if options.labels and options.scalar:
        raise InputError("give one of --labels and --scalar.")
    color = options.color
    if color not in SUBJECTS:
        colours.parse_colour(color)
    palette = None
    if options.palette:
        try:
            palette = {
                int(key): colours.parse_colour(value) for key, value in read_json(options.palette).items()
            }
        except (AttributeError, ValueError) as error:
            raise InputError(
                f'{options.palette}: a palette is JSON like {{"0": "#0072b2"}} ({error}).'
            ) from error
    try:
        radius = None if options.radius == "auto" else float(options.radius)
    except ValueError as error:
        raise InputError(f"--radius: '{options.radius}' is neither auto nor a number.") from error
    loader = Loader(
        format=options.format,
        mesh_points=options.mesh_points,
        max_points=options.max_points,
        thin=options.thin,
        seed=options.seed,
        color="labels" if options.labels else color,
        labels=options.labels,
        palette=palette,
        scalar=options.scalar,
        colormap=options.colormap,
        limits=tuple(options.range) if options.range else None,
        radius=radius,
        up=options.up,
    )
    if options.fit == "same" or (options.scalar and (options.grid or options.overlay)):
        loader = loader.common(items, options.fit == "same")
    return loader


# ----------------------------------------------------------------------------------------------- clouds


@dataclass(frozen=True)
class Loader:
    """Reads clouds and places them, as the options say; the attributes are the options.

    Attributes:
        box: a bounding box for all clouds; None for each its own.
    """

    format: str | None
    mesh_points: int
    max_points: int
    thin: str
    seed: int
    color: str
    labels: Path | None
    palette: dict[int, tuple[float, float, float]] | None
    scalar: str | None
    colormap: str
    limits: tuple[float, float] | None
    radius: float | None
    up: str | None
    box: tuple[np.ndarray, np.ndarray] | None = None

    def common(self, items: Sequence[Item], box: bool) -> "Loader":
        """Return a loader with one range of scalars and, if asked for, one bounding box for all clouds."""
        boxes, limits = [], []
        for item in items:
            try:
                cloud, scalars, _ = self.read(item)
            except InputError:
                continue  # reported when it is drawn
            boxes.append(bounding_box(cloud.points))
            if scalars is not None and np.isfinite(scalars).any():
                limits.append((float(np.nanmin(scalars)), float(np.nanmax(scalars))))
        ends = np.transpose(limits) if limits and self.limits is None else None
        low, high = (np.stack(corner) for corner in zip(*boxes, strict=True)) if boxes else (None, None)
        return replace(
            self,
            box=None if not box or low is None or high is None else (low.min(axis=0), high.max(axis=0)),
            limits=(float(ends[0].min()), float(ends[1].max())) if ends is not None else self.limits,
        )

    def read(self, item: Item) -> tuple[Cloud, np.ndarray | None, list[str]]:
        """Return a cloud of finite, not too many points, its scalars, and what was left out.

        Raises:
            InputError: it cannot be read, or labels or scalars do not fit it.
        """
        notes = []
        cloud = load_cloud(item.path, format=self.format, row=item.row)
        labels = None if self.labels is None else _values(self.labels, item, np.int64)
        scalars = None
        if self.scalar is not None and self.scalar not in ("x", "y", "z"):
            scalars = _values(Path(self.scalar), item, np.float64)
        if cloud.mesh is not None:
            rng = generator(self.seed, "mesh", item.name)
            cloud = replace(cloud, points=cloud.mesh.sample(self.mesh_points, rng), mesh=None)
            cloud = replace(cloud, colors=None, labels=None, normals=None)
        for name, values in (("labels", labels), ("scalars", scalars)):
            if values is not None and len(values) != len(cloud):
                raise InputError(f"{item}: {len(values)} {name} for {len(cloud)} points.")
        if labels is not None:
            cloud = replace(cloud, labels=labels)
        finite = np.isfinite(cloud.points).all(axis=1)
        if not finite.all():
            cloud, scalars = _take(cloud, finite), None if scalars is None else scalars[finite]
            notes.append(f"dropped {np.count_nonzero(~finite):,} of {len(finite):,} points with NaN or inf")
        if len(cloud) > self.max_points:
            count = len(cloud)
            if self.thin == "stride":
                rows = np.arange(self.max_points) * count // self.max_points
            else:
                rng = generator(self.seed, "thin", item.name)
                rows = np.sort(rng.choice(count, self.max_points, replace=False, shuffle=False))
            cloud, scalars = _take(cloud, rows), None if scalars is None else scalars[rows]
            notes.append(f"drew {self.max_points:,} of {count:,} points ({self.thin}; see --max-points)")
        if self.scalar in ("x", "y", "z"):
            scalars = cloud.points[:, "xyz".index(self.scalar)]
        return cloud, scalars, notes

    def place(self, item: Item) -> tuple[Spheres, tuple[float, float] | None, list[str]]:
        """Return a placed cloud, the ends of its colormap, and what was left out.

        Raises:
            InputError: see `read` and `scene.place`; names the cloud.
        """
        cloud, scalars, notes = self.read(item)
        try:
            linear, limits = self.colours(cloud, scalars)
            return place_cloud(cloud.points, linear, self.radius, self.up, self.box), limits, notes
        except InputError as error:
            raise _naming(item.path, error) from error

    def colours(
        self, cloud: Cloud, scalars: np.ndarray | None
    ) -> tuple[np.ndarray | None, tuple[float, float] | None]:
        """Return linear colours, None for those by position, and the ends of the colormap if there is one."""
        if scalars is not None:
            return colours.by_scalar(scalars, self.colormap, self.limits)
        if self.color == "position" or (self.color == "file" and cloud.colors is None):
            return None, None
        if self.color == "labels":
            if cloud.labels is None:
                raise InputError("has no labels; give them by --labels.")
            return colours.by_label(cloud.labels, self.palette), None
        if self.color == "normals":
            if cloud.normals is None:
                raise InputError("has no normals.")
            return colours.by_normal(cloud.normals), None
        if self.color == "file" and cloud.colors is not None:
            return colours.by_colour(np.clip(cloud.colors, 0, 1)), None
        return colours.by_colour(np.array(colours.parse_colour(self.color))), None


def _values(path: Path, item: Item, kind: Any) -> np.ndarray:
    """A number per point from a file, or from the file of the cloud's name in a directory."""
    if path.is_dir():
        candidates = [path / f"{item.name}{suffix}" for suffix in (".npy", ".txt", ".csv", ".label", ".seg")]
        path = next((each for each in candidates if each.exists()), candidates[0])
    try:
        values = np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else np.loadtxt(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read as a number per point ({reason}).") from error
    values = np.atleast_1d(values.squeeze())
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise InputError(f"{path}: must be one number per point, not {values.dtype} {values.shape}.")
    if kind is np.int64 and not (values == values.astype(np.int64)).all():
        raise InputError(f"{path}: labels are whole numbers.")
    return values.astype(kind)


def _take(cloud: Cloud, rows: np.ndarray) -> Cloud:
    """Some points of a cloud, with what belongs to them."""
    parts = {name: getattr(cloud, name) for name in ("points", "colors", "labels", "normals")}
    return replace(cloud, **{name: part[rows] for name, part in parts.items() if part is not None})


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

    def picture(self, spheres: Spheres, limits: tuple[float, float] | None, camera: Camera) -> np.ndarray:
        """Draw a placed cloud, (H, W, 4)."""
        picture = draw_spheres(spheres, replace(self.settings, camera=camera))
        if self.colorbar and limits is not None:
            picture = add_color_bar(picture, self.loader.colormap, limits, self.settings.background)
        return picture

    def frame(self, task: tuple[Spheres, tuple[float, float] | None, Camera]) -> np.ndarray:
        """Draw one frame."""
        return self.picture(*task)

    def load(self, item: Item) -> tuple[np.ndarray, list[str]]:
        """Read and draw a cloud."""
        spheres, limits, notes = self.loader.place(item)
        return self.picture(spheres, limits, self.settings.camera), notes

    def save(self, task: tuple[Item, Path]) -> list[str]:
        """Read a cloud and write its picture or movie; return what was left out."""
        item, target = task
        spheres, limits, notes = self.loader.place(item)
        try:
            if self.movie:
                frames = (self.picture(spheres, limits, pose) for pose in self.poses)
                write_movie(target, frames, self.fps)
            else:
                _write(target, self.picture(spheres, limits, self.settings.camera))
        except InputError as error:
            raise _naming(item.path, error) from error
        return notes


def _draw_all(
    options: argparse.Namespace, job: Job, targets: dict[Item, Path], errors: Sequence[InputError] = ()
) -> None:
    """Draw each cloud into its own file; one movie takes all processes."""
    items, failures = list(targets), list(errors)
    if job.movie and len(items) == 1:
        spheres, limits, notes = job.loader.place(items[0])
        _report(items[0], notes)
        _write_frames(options, job, targets[items[0]], spheres, limits)
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
        cloud, scalars, notes = job.loader.read(item)
        _report(item, notes)
        try:
            part, limits = job.loader.colours(cloud, scalars)
        except InputError as error:
            raise _naming(item.path, error) from error
        if scalars is None and job.loader.color == "file":
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
    spheres: Spheres,
    limits: tuple[float, float] | None,
) -> None:
    def checked(frames: Any) -> Any:
        for frame in frames:
            if isinstance(frame, InputError):
                raise frame
            yield frame

    tasks = [(spheres, limits, pose) for pose in job.poses]
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
