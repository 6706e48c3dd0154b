"""Read and place the clouds of `pointspider render`: which points and colours, as spheres or as a surface."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pointspider.cli.inputs import Item
from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import load_cloud
from pointspider.core.errors import InputError
from pointspider.core.files import read_json
from pointspider.core.seeding import generator
from pointspider.render import colours
from pointspider.render.draw import place_cloud, to_surface
from pointspider.render.scene import Spheres, Surface, bounding_box, place_normals

SUBJECTS = ("file", "position", "normals", "labels")  # `--color`, besides colours
AXES = ("x", "y", "z")  # `--scalar`, besides fields and files
SCALAR = "scalar of --scalar"  # the field that has it
Range = tuple[float, float]


@dataclass(frozen=True)
class Loader:
    """Reads clouds and places them, as the options say; the attributes are the options.

    Attributes:
        surface: whether meshes are drawn as surfaces.
        box: a bounding box for all clouds; None for each its own.
    """

    format: str | None
    surface: bool
    mesh_points: int
    max_points: int
    thin: str
    seed: int
    color: str
    labels: str | None
    palette: dict[int, colours.Rgb] | None
    scalar: str | None
    colormap: str
    limits: Range | None
    radius: float | None
    up: str | None
    box: tuple[np.ndarray, np.ndarray] | None = None

    def common(self, items: Sequence[Item], box: bool) -> "Loader":
        """Return a loader with one range of scalars and, if asked for, one bounding box for all clouds."""
        boxes, limits = [], []
        for item in items:
            try:
                cloud, _ = self.read(item)
                boxes.append(bounding_box(cloud.points))
            except InputError:
                continue  # reported when it is drawn
            scalars = cloud.fields.get(SCALAR)
            if scalars is not None and np.isfinite(scalars).any():
                finite = scalars[np.isfinite(scalars)]
                limits.append((float(finite.min()), float(finite.max())))
        ends = np.transpose(limits) if limits and self.limits is None else None
        low, high = (np.stack(corner) for corner in zip(*boxes, strict=True)) if boxes else (None, None)
        return replace(
            self,
            box=None if not box or low is None or high is None else (low.min(axis=0), high.max(axis=0)),
            limits=(float(ends[0].min()), float(ends[1].max())) if ends is not None else self.limits,
        )

    def read(self, item: Item) -> tuple[Cloud, list[str]]:
        """Return a cloud of finite, not too many points, and what was left out.

        The numbers of --scalar are its field SCALAR. Only a cloud that is drawn as a surface has a mesh.

        Raises:
            InputError: it cannot be read, or labels or scalars do not fit it.
        """
        notes = []
        cloud = load_cloud(item.path, format=self.format, row=item.row)
        if self.labels is not None:
            cloud = replace(
                cloud, labels=_labels(read_numbers(self.labels, item, cloud, "labels"), self.labels)
            )
        if self.scalar is not None and self.scalar not in AXES:
            values = read_numbers(self.scalar, item, cloud, "scalar").astype(np.float64)
            cloud = replace(cloud, fields={SCALAR: values})
        finite = np.isfinite(cloud.points).all(axis=1)
        if cloud.mesh is not None and finite.all():
            if not self.surface:
                cloud = cloud.sample_mesh(self.mesh_points, generator(self.seed, "mesh", item.name))
                cloud = replace(cloud, mesh=None)
        elif not finite.all():
            cloud = cloud.take(np.flatnonzero(finite))
            notes.append(f"dropped {np.count_nonzero(~finite):,} of {len(finite):,} points with NaN or inf")
        if cloud.mesh is None and len(cloud) > self.max_points:
            notes.append(f"drew {self.max_points:,} of {len(cloud):,} points ({self.thin}; see --max-points)")
            cloud = cloud.take(self._thinned(len(cloud), item))
        if self.scalar in AXES:
            cloud = replace(cloud, fields={SCALAR: cloud.points[:, AXES.index(self.scalar)]})
        return cloud, notes

    def _thinned(self, count: int, item: Item) -> np.ndarray:
        """Indices of the points that are drawn of `count`."""
        if self.thin == "stride":
            return np.arange(self.max_points) * count // self.max_points
        rng = generator(self.seed, "thin", item.name)
        return np.sort(rng.choice(count, self.max_points, replace=False, shuffle=False))

    def place(self, item: Item) -> tuple[Spheres | Surface, Range | None, list[str]]:
        """Return a placed cloud, the ends of its colormap, and what was left out.

        Raises:
            InputError: see `read` and `scene.place`; names the cloud.
        """
        cloud, notes = self.read(item)
        try:
            linear, limits = self.colours(cloud)
            spheres = place_cloud(cloud.points, linear, self.radius, self.up, self.box)
            if cloud.mesh is None:
                return spheres, limits, notes
            normals = cloud.normals
            if normals is not None and not (np.linalg.norm(normals, axis=1) > 0).all():
                normals = None
            placed = None if normals is None else place_normals(normals, self.up)
            return to_surface(spheres, cloud.mesh.faces, placed), limits, notes
        except InputError as error:
            raise naming(item.path, error) from error

    def colours(self, cloud: Cloud) -> tuple[np.ndarray | None, Range | None]:
        """Return linear colours, None for those by position, and the ends of the colormap if there is one."""
        if SCALAR in cloud.fields:
            return colours.by_scalar(cloud.fields[SCALAR], self.colormap, self.limits)
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


def loader(options: argparse.Namespace, items: Sequence[Item]) -> Loader:
    """Return the loader of the options.

    Raises:
        InputError: an option is bad.
    """
    if options.labels and options.scalar:
        raise InputError("give one of --labels and --scalar.")
    if options.mesh == "surface" and options.overlay:
        raise InputError("--overlay draws points; leave out --mesh surface.")
    if options.color not in SUBJECTS:
        colours.parse_colour(options.color)
    result = Loader(
        format=options.format,
        surface=options.mesh == "surface",
        mesh_points=options.mesh_points,
        max_points=options.max_points,
        thin=options.thin,
        seed=options.seed,
        color="labels" if options.labels else options.color,
        labels=options.labels,
        palette=read_palette(options.palette),
        scalar=options.scalar,
        colormap=options.colormap,
        limits=tuple(options.range) if options.range else None,
        radius=_radius(options.radius),
        up=options.up,
    )
    if options.fit == "same" or (options.scalar and (options.grid or options.overlay)):
        result = result.common(items, options.fit == "same")
    return result


def naming(path: Path, error: InputError) -> InputError:
    """Return an error that starts with the path, once."""
    text = str(error)
    return InputError(text if text.startswith(str(path)) else f"{path}: {text}")


def read_palette(path: Path | None) -> dict[int, colours.Rgb] | None:
    """Read {label: colour} of a JSON file."""
    if path is None:
        return None
    try:
        return {int(key): colours.parse_colour(str(value)) for key, value in read_json(path).items()}
    except Exception as error:  # JSON of another structure raises almost any
        raise InputError(f'{path}: a palette is JSON like {{"0": "#0072b2"}} ({error}).') from error


def _radius(text: str) -> float | None:
    try:
        return None if text == "auto" else float(text)
    except ValueError as error:
        raise InputError(f"--radius: '{text}' is neither auto nor a number.") from error


def read_numbers(given: str, item: Item, cloud: Cloud, what: str) -> np.ndarray:
    """A number per point: from a field of the cloud's file, a file, or a directory with a file per cloud.

    Of a mesh, points are its vertices.
    """
    path = Path(given)
    field = given.lower()
    if field in cloud.fields and not path.is_file():
        return np.asarray(cloud.fields[field])
    if path.is_dir():
        candidates = [path / f"{item.name}{suffix}" for suffix in (".npy", ".txt", ".csv", ".label", ".seg")]
        path = next((each for each in candidates if each.exists()), candidates[0])
    elif not path.exists():
        names = ", ".join(cloud.fields) or "none"
        raise InputError(f"{item}: has no field '{given}', and there is no such file; its fields: {names}.")
    try:
        if path.suffix.lower() == ".npy":
            values: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        elif path.suffix == ".label" and path.stat().st_size == 4 * len(cloud):  # SemanticKITTI
            values = np.fromfile(path, "<u4") & 0xFFFF  # above are the numbers of instances
        else:
            values = np.loadtxt(path)
    except Exception as error:  # a damaged header raises almost any
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read as a number per point ({reason}).") from error
    values = np.atleast_1d(values.squeeze())
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise InputError(f"{path}: must be one number per point, not {values.dtype} {values.shape}.")
    if len(values) != len(cloud):
        points = "points" if cloud.mesh is None else "vertices"
        raise InputError(f"{item}: {path} has {len(values)} {what} for {len(cloud)} {points}.")
    return values


def _labels(values: np.ndarray, source: str) -> np.ndarray:
    if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise InputError(f"{source}: labels are whole numbers.")
    return values.astype(np.int64)
