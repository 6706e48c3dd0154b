"""`pointspider.draw`: a picture of an array of points."""

import threading
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Integer, Num, Shaped, UInt8

from pointspider.core.cpus import available_cpus
from pointspider.core.errors import InputError
from pointspider.render import backends, colours
from pointspider.render.renderer import Renderer
from pointspider.render.scene import ORIENTATIONS, Camera, Spheres, Surface, auto_radius, place
from pointspider.render.settings import PAPER_CAMERA, RenderSettings

_lock = threading.Lock()  # a renderer has one scene


def draw(
    points: Num[np.ndarray, "N 3"],
    colors: Num[np.ndarray, "*N 3"] | str | None = None,
    *,
    faces: Integer[np.ndarray, "F 3"] | None = None,
    labels: Shaped[np.ndarray, " L"] | None = None,
    scalars: Num[np.ndarray, " S"] | None = None,
    colormap: str = "viridis",
    limits: tuple[float, float] | None = None,
    radius: float | None = None,
    up: str | None = None,
    camera: Camera = PAPER_CAMERA,
    background: str | None = "white",
    floor: str | None = None,
    resolution: int = 800,
    quality: str = "reference",
    seed: int = 0,
    variant: str = backends.AUTO,
) -> UInt8[np.ndarray, "H W 4"]:
    """Draw a point cloud as spheres, or a mesh, on a white floor; in the paper's look unless asked otherwise.

    The first picture of a process takes a second more, for loading Mitsuba.

    Args:
        points: in any unit; the longest side of their bounding box is scaled to 1.
        colors: sRGB of all points, (3,) or "#rrggbb" or a CSS name, or of each: bytes, or floats from 0 to 1.
            By default by position, as in the paper.
        faces: rows of `points`, to draw a mesh as a surface; colours are interpolated between the points.
        labels: whole numbers; colours by value, from a palette that colour-blind people can distinguish.
        scalars: colours from `colormap`, between `limits` (by default the least and the greatest value).
        colormap: see `scalars`: viridis, magma, cividis, coolwarm or gray.
        limits: see `scalars`.
        radius: of the spheres, where the longest side is 1; by default `auto_radius`, 0.025 for 1,024 points
            and smaller for more.
        up: the axis that is up: x, y, z, -x, -y or -z. By default y, mirrored in depth, as in the paper.
        camera: where the picture is taken from; `Camera()` is the paper's.
        background: a colour, or "transparent" (or None) for straight alpha.
        floor: "on" (opaque and white), "shadow" (only its shadows are seen) or "off". By default "on" with a
            white background, "shadow" with others.
        resolution: width and height in pixels.
        quality: "reference", for people to look at, or "clip", faster and noisier, for encoders.
        seed: of the Monte-Carlo noise.
        variant: Mitsuba's; "auto" chooses the fastest that works here. A process has one.

    Returns:
        sRGB and straight alpha.

    Raises:
        InputError: a cloud that cannot be drawn, or a bad option.
    """
    points = np.asarray(points)
    given = [each is not None for each in (colors, labels, scalars)]
    if sum(given) > 1:
        raise InputError("give one of colors, labels and scalars.")
    linear: Any = None
    if colors is not None:
        linear = colours.by_colour(
            np.array(colours.parse_colour(colors)) if isinstance(colors, str) else colors
        )
    elif labels is not None:
        linear = colours.by_label(_checked(labels, points, "labels"))
    elif scalars is not None:
        linear, _ = colours.by_scalar(_checked(scalars, points, "scalars"), colormap, limits)
    spheres = place_cloud(points, linear, radius, up)
    placed = spheres if faces is None else to_surface(spheres, np.asarray(faces))
    settings = RenderSettings(resolution, quality, seed, camera, *look(background, floor))
    return draw_placed(placed, settings, variant)


def look(background: str | None, floor: str | None) -> tuple[colours.Rgb | None, str]:
    """Return the background and the floor of `RenderSettings`, with the default floor of each background."""
    rgb = None if background in (None, "transparent") else colours.parse_colour(background)
    return rgb, floor or ("on" if rgb == (1.0, 1.0, 1.0) else "shadow")


def place_cloud(
    points: Num[np.ndarray, "N 3"],
    linear: Float[np.ndarray, "*N 3"] | None = None,
    radius: float | None = None,
    up: str | None = None,
    box: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]] | None = None,
) -> Spheres:
    """Place a cloud as `scene.place` does, with the automatic radius by default.

    Raises:
        InputError: see `scene.place`; or a bad radius or up.
    """
    if up not in ORIENTATIONS:
        raise InputError(f"up: is '{up}', must be one of {', '.join(filter(None, ORIENTATIONS))}.")
    if radius is not None and not 0 < radius <= 1:
        raise InputError(f"radius: is {radius:g}, must be above 0 and at most 1.")
    radius = auto_radius(max(len(points), 1)) if radius is None else radius
    return place(points, linear, radius, up, box)


def to_surface(
    spheres: Spheres, faces: Integer[np.ndarray, "F 3"], normals: Float32[np.ndarray, "V 3"] | None = None
) -> Surface:
    """Join the centres of spheres to a surface.

    Args:
        spheres: of the vertices.
        faces: rows of the vertices.
        normals: of the vertices, from `place_normals`.

    Raises:
        InputError: a face has a vertex that does not exist, or there are no faces.
    """
    if faces.size == 0 or faces.min() < 0 or faces.max() >= len(spheres.centres):
        raise InputError(f"faces: must be rows of the {len(spheres.centres)} points, at least one.")
    return Surface(spheres.centres, faces.astype(np.int64), spheres.colours, normals)


def draw_placed(
    placed: Spheres | Surface, settings: RenderSettings, variant: str = backends.AUTO
) -> UInt8[np.ndarray, "H W 4"]:
    """Render a placed cloud or mesh, and keep the renderer for the next with the same settings."""
    with _lock:
        backends.ensure_active(variant, available_cpus())
        picture = _renderer(settings).draw(placed)
    if picture.shape[-1] == 3:
        picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    return picture


@lru_cache(maxsize=4)
def _renderer(settings: RenderSettings) -> Renderer:
    return Renderer(settings)


def _checked(values: Any, points: Any, name: str) -> Any:
    values = np.asarray(values)
    if values.shape != (len(points),):
        raise InputError(f"{name}: {values.shape} values for {len(points)} points; one of each is needed.")
    return values
