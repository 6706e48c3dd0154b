"""Objects of a road as a lidar on a car sees them: an example of clouds unlike ModelNet40's.

The lidar scans a parametric mesh once. It sees one side of it, in rings, with noise along the rays, and fewer
points of a small or distant object. Its height, rings and noise are about those of KITTI's sensor (Geiger,
Lenz and Urtasun, CVPR 2012: 64 rings over 26.8 degrees, 0.02 m).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from pointspider.clouds.cloud import Cloud, Mesh
from pointspider.clouds.sources.generated import GeneratedSettings, GeneratedSource
from pointspider.clouds.sources.registry import SOURCES
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

#: Points of a cloud; points of a scan with fewer are repeated.
POINTS = 1024
#: Height of the lidar above the road in m, and its resolution in degrees.
HEIGHT, RING, AZIMUTH = 1.73, 0.42, 0.17
#: Standard deviation of a distance, in m.
NOISE = 0.02
#: Distance of an object from the lidar, in m.
DISTANCE = (6.0, 20.0)
#: Fewest points of a scan; an object with fewer is moved closer.
FEWEST = 24


class RoadSettings(GeneratedSettings):
    """Parameters of the road source."""

    source: Literal["road"] = "road"


@SOURCES.register("road")
class RoadSource(GeneratedSource):
    """Scans of objects of five classes."""

    Settings = RoadSettings

    def __str__(self) -> str:
        return "the road source"

    @classmethod
    def list_classes(cls, settings: RoadSettings) -> Sequence[str]:
        return sorted(RECIPES)

    def load(self, class_name: str, object_name: str) -> Cloud:
        """Return a scan of an object that stands in a random direction, and its mesh."""
        rng = generator(self._seed, class_name, object_name, "road")
        mesh = _mesh(RECIPES[class_name](rng), rng.uniform(0, 360))
        distance = rng.uniform(*DISTANCE)
        while len(points := scan(mesh, distance, rng)) < FEWEST:
            distance *= 0.8
            if distance < DISTANCE[0] / 4:
                raise InputError(f"{class_name}/{object_name}: the lidar does not hit it.")
        count = len(points)
        order = rng.permutation(count)[:POINTS] if count >= POINTS else rng.integers(count, size=POINTS)
        return Cloud(points[order], mesh).normalize(f"{class_name}/{object_name}")


def scan(mesh: Mesh, distance: float, rng: np.random.Generator) -> Float[np.ndarray, "M 3"]:
    """Return the points at which rays of the lidar first hit a mesh.

    Args:
        mesh: y up, in m, standing on the road around the origin.
        distance: horizontal, from the lidar to the origin, in m.
        rng: for the angles of the first ray and the noise.
    """
    lidar = np.array([0, HEIGHT, -distance])
    rays = mesh.vertices - lidar
    azimuths = np.degrees(np.arctan2(rays[:, 0], rays[:, 2]))
    elevations = np.degrees(np.arctan2(rays[:, 1], np.hypot(rays[:, 0], rays[:, 2])))
    grid = np.meshgrid(
        *(
            np.radians(np.arange(values.min() + rng.uniform(0, step), values.max(), step))
            for values, step in ((azimuths, AZIMUTH), (elevations, RING))
        )
    )
    azimuth, elevation = (angles.ravel() for angles in grid)
    directions = np.stack(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], axis=1
    )
    origins = np.broadcast_to(lidar, directions.shape)
    hits, rows, _ = mesh.surface.ray.intersects_location(origins, directions, multiple_hits=False)
    noise = rng.normal(scale=NOISE, size=(len(hits), 1))
    scanned: Float[np.ndarray, "M 3"] = hits + noise * directions[rows]
    return scanned


def _mesh(parts: Any, degrees: float) -> Mesh:
    """Join the parts of an object, turned about the vertical axis."""
    import trimesh

    from pointspider.clouds.sources.procedural.shapes import flatten, turned

    joined: Any = trimesh.util.concatenate(list(flatten(turned(parts, "y", degrees))))
    return Mesh(np.asarray(joined.vertices), np.asarray(joined.faces))


def _barrier(rng: np.random.Generator) -> Any:
    """A concrete barrier, wide at its foot, or boards between posts."""
    from pointspider.clouds.sources.procedural.shapes import box, draw, happens, pyramid

    length, height = draw(rng, (2.0, 3.5), (0.75, 1.1))
    if happens(rng, 0.6):
        foot = 0.3 * height
        return [
            pyramid((length, 0.6), (length, 0.3), foot),
            pyramid((length, 0.3), (length, 0.16), height - foot, (0, foot, 0)),
        ]
    posts = [box((0.1, height, 0.1), (side * 0.4 * length, 0, 0)) for side in (-1, 1)]
    feet = [box((0.15, 0.08, 0.7), (side * 0.4 * length, 0, 0)) for side in (-1, 1)]
    boards = [box((length, 0.2, 0.04), (0, share * height, 0)) for share in (0.45, 0.8)]
    return [posts, feet, boards]


def _car(rng: np.random.Generator) -> Any:
    """A body with a cabin of a saloon, an estate car or a van, on wheels."""
    from pointspider.clouds.sources.procedural.shapes import box, draw, moved, prism, pyramid, turned

    length, width, height = draw(rng, (3.7, 4.9), (1.65, 1.9), (1.4, 1.9))
    belt, clear = 0.55 * height, 0.2
    cabin = float(rng.uniform(0.45, 0.75)) * length
    top = float(rng.uniform(0.65, 0.85)) * cabin
    at = float(rng.uniform(-0.05, 0.12)) * length
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = 0.33 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    wheels = [
        prism(circle, 0.22, "x", (side * (width / 2 - 0.1), 0.33, end * 0.31 * length))
        for side in (-1, 1)
        for end in (-1, 1)
    ]
    bonnet = turned(box((0.95 * width, 0.08, 0.3 * length)), "x", float(rng.uniform(2, 6)))
    return [
        pyramid((width, 0.97 * length), (width, length), belt - clear, (0, clear, 0)),
        pyramid((0.96 * width, cabin), (0.78 * width, top), height - belt, (0, belt, at)),
        moved(bonnet, (0, belt, -0.34 * length)),
        wheels,
    ]


def _cone(rng: np.random.Generator) -> Any:
    """A traffic cone on a square plate."""
    from pointspider.clouds.sources.procedural.shapes import box, draw, frustum

    height, foot = draw(rng, (0.5, 0.9), (0.13, 0.19))
    return [box((2.4 * foot, 0.04, 2.4 * foot)), frustum(foot, 0.03, height, (0, 0.04, 0))]


def _pedestrian(rng: np.random.Generator) -> Any:
    """A person who walks."""
    from pointspider.clouds.sources.procedural.shapes import ball, draw, rod

    height, step, swing = draw(rng, (1.55, 1.95), (0.0, 0.35), (0.0, 0.3))
    hip, shoulder = 0.5 * height, 0.82 * height
    side, arm = 0.055 * height, 0.13 * height
    legs = [rod((s * side, 0, s * step), (s * side, hip, 0), 0.05, 0.09) for s in (-1, 1)]
    shoes = [ball((0.05, 0.05, 0.13), (s * side, 0.05, s * step - 0.05)) for s in (-1, 1)]
    arms = [rod((s * 1.15 * arm, hip, -s * swing), (s * arm, shoulder, 0), 0.035, 0.05) for s in (-1, 1)]
    body = ball((0.12 * height, 0.19 * height, 0.075 * height), (0, 0.66 * height, 0))
    neck = rod((0, shoulder - 0.05, 0), (0, 0.9 * height, 0), 0.05)
    return [legs, shoes, arms, body, neck, ball((0.07, 0.11, 0.09), (0, height - 0.11, 0))]


def _pole(rng: np.random.Generator) -> Any:
    """A lamp post, a post with a sign, or traffic lights."""
    from pointspider.clouds.sources.procedural.shapes import ball, box, cylinder, draw, frustum, prism, rod

    kind = int(rng.integers(3))
    height, radius = draw(rng, (2.3, 4.5), (0.05, 0.1))
    post = [frustum(1.3 * radius, radius, height), cylinder(2 * radius, 0.15)]
    if kind == 0:
        arm = float(rng.uniform(0.6, 1.4))
        lamp = ball((0.12, 0.07, 0.3), (0, height + 0.1, -arm))
        return [post, rod((0, height, 0), (0, height + 0.1, -arm), 0.04), lamp]
    if kind == 1:
        count = int(rng.choice([3, 4, 8, 24]))
        angle = 2 * np.pi * (np.arange(count) + 0.5) / count
        outline = float(rng.uniform(0.3, 0.45)) * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        return [post, prism(outline, 0.03, "z", (0, height - 0.4, -1.5 * radius))]
    lights = [ball(0.1, (0, height - 0.25 - 0.28 * row, -0.3)) for row in range(3)]
    return [post, box((0.3, 0.95, 0.22), (0, height - 1.0, -0.18)), lights]


RECIPES: dict[str, Callable[[np.random.Generator], Any]] = {
    "barrier": _barrier,
    "car": _car,
    "cone": _cone,
    "pedestrian": _pedestrian,
    "pole": _pole,
}
