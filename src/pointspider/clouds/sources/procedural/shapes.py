"""Primitives of the procedural recipes, and functions that place them.

Frame: x to the right, y up, z to the back; an object's front faces -z. Lengths are in any unit, because a
cloud is scaled after sampling. Standing parts are placed by the centre of their base, `at`. A part is an
unprocessed mesh: parts overlap and their windings are not consistent, because area-weighted sampling and ray
casting need neither a union nor outward normals.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int, Num
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation
from shapely import Polygon

Part = trimesh.Trimesh
Parts = Part | Sequence[Any]  # a part, or nested lists of parts
Point = Sequence[float] | Num[np.ndarray, "3"]  # (x, y, z)
Outline = Sequence[tuple[float, float]] | Num[np.ndarray, "_ 2"]

ORIGIN = (0.0, 0.0, 0.0)
SECTIONS = 20  # facets around a round part

_BOX = trimesh.creation.box(bounds=[(-0.5, 0, -0.5), (0.5, 1, 0.5)])
_BALL = trimesh.creation.uv_sphere(radius=1, count=(10, 16))
_CYLINDER = trimesh.creation.cylinder(radius=1, height=1, sections=SECTIONS)
_PLANES = {"x": [2, 1, 0], "y": [0, 2, 1], "z": [0, 1, 2]}  # normal → where (u, v, thickness) go


def _part(vertices: Num[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Part:
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
    along = np.subtract(end, start)
    height = float(np.linalg.norm(along))
    part = frustum(radius, radius if end_radius is None else end_radius, height)
    rotation, _ = Rotation.align_vectors([along / height], [[0, 1, 0]])
    return _part(rotation.apply(part.vertices) + np.asarray(start, float), part.faces)


def tube(path: Sequence[Point], radius: float) -> list[Part]:
    """A round bar along a polyline, such as a handle, a tap or a wire."""
    return [rod(start, end, radius) for start, end in pairwise(path)]


def lathe(profile: Sequence[tuple[float, float]], at: Point = ORIGIN, smooth: bool = False) -> Part:
    """The surface of revolution about y of a profile of (radius, height) points.

    A vessel is an open profile; a profile that goes up outside and down inside has a wall. `smooth` draws a
    curve through the points; their heights must increase.
    """
    line = np.asarray(profile, float)
    if smooth:
        heights = np.linspace(line[0, 1], line[-1, 1], 16)
        line = np.stack([PchipInterpolator(line[:, 1], line[:, 0])(heights), heights], axis=1)
    part = trimesh.creation.revolve(line, sections=SECTIONS)
    return _part(part.vertices[:, [0, 2, 1]] + at, part.faces)


def prism(
    outline: Outline, thickness: float, normal: str, at: Point = ORIGIN, hole: Outline | None = None
) -> Part:
    """An outline extruded by `thickness`, half to either side of its plane through `at`.

    Args:
        outline: corners, (x, z) for the normal "y", (x, y) for "z", (z, y) for "x".
        thickness: length along the normal.
        normal: "x", "y" or "z".
        at: place of the outline's origin.
        hole: corners of an opening.
    """
    polygon = Polygon(outline, None if hole is None else [hole])
    part = trimesh.creation.extrude_polygon(polygon, thickness, mid_plane=True)
    return _part(part.vertices[:, _PLANES[normal]] + at, part.faces)


def ribbon(path: Float[np.ndarray, "n 3"], widths: Float[np.ndarray, " n"], across: Point) -> Part:
    """A flat strip along `path`, `widths` wide in the direction `across`, such as a leaf."""
    half = np.outer(widths, across) / 2
    rows = np.arange(len(path) - 1)
    faces = [[rows, rows + 1, rows + len(path)], [rows + 1, rows + len(path) + 1, rows + len(path)]]
    return _part(np.concatenate([path - half, path + half]), np.concatenate(faces, axis=1).T)


# --------------------------------------------------------------------------------------------- outlines


def rectangle(width: float, depth: float) -> Float[np.ndarray, "4 2"]:
    """Corners of a rectangle around the origin."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, depth / 2]


def ellipse(width: float, depth: float) -> Float[np.ndarray, "24 2"]:
    """Corners of an ellipse around the origin."""
    return arc(width / 2, depth / 2, 0, 345, 24)


def arc(a: float, b: float, first: float, last: float, count: int = 9) -> Float[np.ndarray, "count 2"]:
    """Points of an ellipse with half axes a and b between two angles in degrees."""
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
    """The four points (±width / 2, y, ±depth / 2), for legs."""
    return [(x, y, z) for x in (-width / 2, width / 2) for z in (-depth / 2, depth / 2)]


def around(count: int, radius: float, y: float = 0.0, first: float = 0.0) -> list[tuple[float, float, float]]:
    """`count` points evenly on a circle about the y axis, the first at `first` degrees from x."""
    angles = np.radians(first) + 2 * np.pi * np.arange(count) / count
    return [(radius * np.cos(angle), y, radius * np.sin(angle)) for angle in angles]


def spread(count: int, width: float) -> Float[np.ndarray, " count"]:
    """The centres of `count` equal intervals that fill [-width / 2, width / 2]."""
    return ((np.arange(count) + 0.5) / count - 0.5) * width


def flatten(parts: Parts) -> Iterator[Part]:
    """Yield every mesh of nested lists of parts."""
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
    """Draw uniformly from each range."""
    return [float(rng.uniform(low, high)) for low, high in ranges]


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)
