"""The vocabulary of the procedural recipes: a handful of primitives and ways to place them.

Frame: x to the right, y up, z to the back; an object's front looks towards -z. Lengths are in any unit, for
a cloud is normalised after sampling. Whatever *stands* is placed by the centre of its base, `at`. A part is
an unprocessed mesh: parts overlap freely and their windings are not made consistent, since area-weighted
sampling and ray casting need neither a union nor outward normals.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import trimesh
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation
from shapely import Polygon

Part = trimesh.Trimesh
Parts = Part | Sequence["Parts"]
Point = Sequence[float]  # (x, y, z)

ORIGIN = (0.0, 0.0, 0.0)
SECTIONS = 20  # facets around a round part

_BOX = trimesh.creation.box(bounds=[(-0.5, 0, -0.5), (0.5, 1, 0.5)])
_BALL = trimesh.creation.uv_sphere(radius=1, count=(10, 16))
_CYLINDER = trimesh.creation.cylinder(radius=1, height=1, sections=SECTIONS)
_PLANES = {"x": [2, 1, 0], "y": [0, 2, 1], "z": [0, 1, 2]}  # normal → where (u, v, thickness) go


def _part(vertices: np.ndarray, faces: np.ndarray) -> Part:
    return trimesh.Trimesh(vertices, faces, process=False)


# ------------------------------------------------------------------------------------------- primitives


def box(size: Point, at: Point = ORIGIN) -> Part:
    """A cuboid of (x, y, z) size that stands on `at`."""
    return _part(_BOX.vertices * size + at, _BOX.faces)


def pyramid(bottom: tuple[float, float], top: tuple[float, float], height: float, at: Point = ORIGIN) -> Part:
    """A cuboid whose (x, z) size goes from `bottom` to `top`, standing on `at`."""
    x, y, z = _BOX.vertices.T
    size = np.where(y[:, None] > 0.5, top, bottom)
    return _part(np.stack([x * size[:, 0], y * height, z * size[:, 1]], axis=1) + at, _BOX.faces)


def ball(radii: float | Point, at: Point = ORIGIN) -> Part:
    """A sphere or ellipsoid whose *centre* is `at`."""
    return _part(_BALL.vertices * radii + at, _BALL.faces)


def frustum(bottom: float, top: float, height: float, at: Point = ORIGIN) -> Part:
    """A closed cylinder (equal radii), cone (one radius 0) or frustum that stands on `at`."""
    x, z, y = _CYLINDER.vertices.T  # trimesh's cylinder lies along z, from -0.5 to 0.5
    radius = bottom + (top - bottom) * (y + 0.5)
    return _part(np.stack([radius * x, (y + 0.5) * height, radius * z], axis=1) + at, _CYLINDER.faces)


def cylinder(radius: float, height: float, at: Point = ORIGIN) -> Part:
    """A closed cylinder that stands on `at`."""
    return frustum(radius, radius, height, at)


def rod(start: Point, end: Point, radius: float, end_radius: float | None = None) -> Part:
    """A round bar between two points, tapered if `end_radius` is given."""
    start, along = np.asarray(start, float), np.subtract(end, start)
    height = np.linalg.norm(along)
    part = frustum(radius, radius if end_radius is None else end_radius, height)
    rotation, _ = Rotation.align_vectors([along / height], [[0, 1, 0]])
    return _part(rotation.apply(part.vertices) + start, part.faces)


def tube(path: Sequence[Point], radius: float) -> list[Part]:
    """A round bar along a polyline: a handle, a tap, a wire."""
    return [rod(start, end, radius) for start, end in pairwise(path)]


def lathe(profile: Sequence[tuple[float, float]], at: Point = ORIGIN, smooth: bool = False) -> Part:
    """The surface that a profile of (radius, height) points, from first to last, sweeps around y.

    A vessel is an open profile; one that runs up outside and down inside has a wall. `smooth` draws a curve
    through the points, whose heights must then rise.
    """
    profile = np.asarray(profile, float)
    if smooth:
        heights = np.linspace(profile[0, 1], profile[-1, 1], 16)
        profile = np.stack([PchipInterpolator(profile[:, 1], profile[:, 0])(heights), heights], axis=1)
    part = trimesh.creation.revolve(profile, sections=SECTIONS)
    return _part(part.vertices[:, [0, 2, 1]] + at, part.faces)


def prism(outline: np.ndarray, thickness: float, normal: str, at: Point = ORIGIN, hole=None) -> Part:
    """An outline extruded by `thickness`, half to either side of its plane through `at`.

    Args:
        outline: corners (n, 2): (x, z) for the normal "y", (x, y) for "z", (z, y) for "x".
        thickness: length along the normal.
        normal: "x", "y" or "z".
        at: where the outline's origin goes.
        hole: corners (n, 2) of an opening.
    """
    polygon = Polygon(outline, None if hole is None else [hole])
    part = trimesh.creation.extrude_polygon(polygon, thickness, mid_plane=True)
    return _part(part.vertices[:, _PLANES[normal]] + at, part.faces)


def ribbon(path: np.ndarray, widths: np.ndarray, across: Point) -> Part:
    """A flat strip along `path` (n, 3), `widths` (n,) wide in the direction `across`: a leaf."""
    half = np.outer(widths, across) / 2
    rows = np.arange(len(path) - 1)
    faces = [[rows, rows + 1, rows + len(path)], [rows + 1, rows + len(path) + 1, rows + len(path)]]
    return _part(np.concatenate([path - half, path + half]), np.concatenate(faces, axis=1).T)


# --------------------------------------------------------------------------------------------- outlines


def rectangle(width: float, depth: float) -> np.ndarray:
    """Corners (4, 2) of a rectangle around the origin."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, depth / 2]


def ellipse(width: float, depth: float) -> np.ndarray:
    """Corners (24, 2) of an ellipse around the origin."""
    return arc(width / 2, depth / 2, 0, 345, 24)


def arc(a: float, b: float, first: float, last: float, count: int = 9) -> np.ndarray:
    """Points (count, 2) of an ellipse with half axes a and b between two angles in degrees."""
    angle = np.radians(np.linspace(first, last, count))
    return np.stack([a * np.cos(angle), b * np.sin(angle)], axis=1)


# ---------------------------------------------------------------------------------------------- placing


def hollow(size: Point, wall: float, missing: str, at: Point = ORIGIN) -> list[Part]:
    """A cuboid case of boards `wall` thick that stands on `at`, without the side "front", "top" or both."""
    width, height, depth = size
    x, y, z = at
    boards = {
        "left": box((wall, height, depth), (x - (width - wall) / 2, y, z)),
        "right": box((wall, height, depth), (x + (width - wall) / 2, y, z)),
        "bottom": box((width, wall, depth), at),
        "top": box((width, wall, depth), (x, y + height - wall, z)),
        "back": box((width, height, wall), (x, y, z + (depth - wall) / 2)),
        "front": box((width, height, wall), (x, y, z - (depth - wall) / 2)),
    }
    return [board for name, board in boards.items() if name not in missing.split()]


def corners(width: float, depth: float, y: float = 0.0) -> list[tuple[float, float, float]]:
    """The four points (±width / 2, y, ±depth / 2): where legs go."""
    return [(x, y, z) for x in (-width / 2, width / 2) for z in (-depth / 2, depth / 2)]


def around(count: int, radius: float, y: float = 0.0, first: float = 0.0) -> list[tuple[float, float, float]]:
    """`count` points evenly on a circle about the y axis, the first at `first` degrees from x."""
    angles = np.radians(first) + 2 * np.pi * np.arange(count) / count
    return [(radius * np.cos(angle), y, radius * np.sin(angle)) for angle in angles]


def spread(count: int, width: float) -> np.ndarray:
    """The centres of `count` equal cells that fill [-width / 2, width / 2]."""
    return ((np.arange(count) + 0.5) / count - 0.5) * width


def flatten(parts: Parts) -> Iterator[Part]:
    """Every mesh of nested lists of parts."""
    if isinstance(parts, trimesh.Trimesh):
        yield parts
    else:
        for part in parts:
            yield from flatten(part)


def moved(parts: Parts, by: Point) -> list[Part]:
    """The parts shifted by (x, y, z)."""
    return [_part(part.vertices + by, part.faces) for part in flatten(parts)]


def stretched(parts: Parts, by: Point) -> list[Part]:
    """The parts scaled by (x, y, z) about the origin; a negative factor mirrors."""
    return [_part(part.vertices * by, part.faces) for part in flatten(parts)]


def turned(parts: Parts, axis: str, degrees: float, about: Point = ORIGIN) -> list[Part]:
    """The parts rotated about the line through `about` along the axis "x", "y" or "z"."""
    rotation = Rotation.from_euler(axis, degrees, degrees=True)
    return [_part(rotation.apply(part.vertices - about) + about, part.faces) for part in flatten(parts)]


def both_sides(parts: Parts) -> list[Part]:
    """The parts and their mirror image at the plane x = 0."""
    return [*flatten(parts), *stretched(parts, (-1, 1, 1))]


def draw(rng: np.random.Generator, *ranges: tuple[float, float]) -> list[float]:
    """One uniform draw from each range."""
    return [float(rng.uniform(low, high)) for low, high in ranges]


def happens(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)
