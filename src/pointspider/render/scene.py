"""The picture that POINTSPIDER renders of a point cloud: one source of its geometry for every renderer.

The paper renders with PointVisualizaiton (https://github.com/qizekun/PointVisualizaiton, MIT; its spelling),
whose `main.py`, `utils.py` and `render.py` define what this module states: how points are placed and
coloured, and the floor, light and camera around them.
"""

import numpy as np

from pointspider.core.errors import InputError

# Every number is PointVisualizaiton's: the scene in `utils.py` (`get_xml`), the defaults in `main.py`.
RADIUS = 0.025  # of a point's sphere; the cloud's longest side is 1
CONTRAST = 0.0004  # least colour component before normalisation
BOTTOM = -0.25  # height of the lowest point
FLOOR_HEIGHT = -0.3
FLOOR_SCALE = (100, 100, 2)  # half-widths of the rectangle
FLOOR_ROUGHNESS = 0.05  # GGX alpha
FLOOR_IOR = 1.46
AIR_IOR = 1.000277  # Mitsuba's default outside
LIGHT_ORIGIN = (-4, 4, 20)  # it faces the scene's origin
LIGHT_HALF_WIDTH = 10
LIGHT_RADIANCE = 6
CAMERA_ORIGIN = (2.75, 2.75, 2.75)  # it looks at the scene's origin, z up
FIELD_OF_VIEW = 25  # degrees
HALF_WIDTH = np.tan(np.radians(FIELD_OF_VIEW / 2))  # of the picture at distance 1
RESOLUTION = 800  # pixels, width = height
SAMPLES_PER_PIXEL = 256


def place(points: np.ndarray, colours: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Standardise and colour a cloud as the reference does.

    The bounding box is centred and its longest side scaled to 1; a point's colour is its position in that
    box; then the depth is mirrored, the cloud is set above the floor, and y up becomes z up.

    Args:
        points: (N, 3), y up; any real or integer type and any scale.
        colours: linear RGB from 0 to 1 of all points, (3,), or of each, (N, 3), instead of those by position.

    Returns:
        Sphere centres (N, 3) float32 in scene coordinates (z up), and linear RGB colours (N, 3) float32;
        those by position have unit length.

    Raises:
        InputError: another shape, no points, NaN or inf, all points the same, or colours that are none.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(f"a cloud is (N, 3) numbers, not {points.shape} {points.dtype}.")
    if len(points) == 0:
        raise InputError("the cloud has no points.")
    points = points.astype(np.float64)
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points)).any(axis=1).sum())
        raise InputError(f"{bad} of {len(points)} points hold NaN or inf. Remove them from the cloud.")
    points = points / max(np.abs(points).max(), np.finfo(float).tiny)  # so that no difference overflows
    low, high = points.min(axis=0), points.max(axis=0)
    side = (high - low).max()
    if side == 0:
        raise InputError(f"all {len(points)} points are the same; a picture needs two that differ.")

    standard = (points - (low + high) / 2) / side  # within [-0.5, 0.5]
    if colours is None:
        colours = np.clip(standard + 0.5, CONTRAST, 1)
        colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    colours = np.asarray(colours)
    if colours.shape not in ((3,), points.shape) or not ((colours >= 0) & (colours <= 1)).all():
        raise InputError(
            f"colours are linear RGB from 0 to 1, (3,) for all points or {points.shape} for each, "
            f"not {colours.shape} from {colours.min():g} to {colours.max():g}."
        )

    x, y, z = standard.T
    centres = np.stack([-z, x, y - y.min() + BOTTOM], axis=1)
    return centres.astype(np.float32), np.broadcast_to(colours, points.shape).astype(np.float32)


def surroundings() -> dict:
    """The floor and the light, as entries of a Mitsuba scene dictionary."""
    from mitsuba import ScalarTransform4f as Transform

    return {
        "floor": {
            "type": "rectangle",
            "to_world": Transform().translate([0, 0, FLOOR_HEIGHT]) @ Transform().scale(FLOOR_SCALE),
            "bsdf": {
                "type": "roughplastic",
                "distribution": "ggx",
                "alpha": FLOOR_ROUGHNESS,
                "int_ior": FLOOR_IOR,
                "diffuse_reflectance": {"type": "rgb", "value": 1.0},
            },
        },
        "light": {
            "type": "rectangle",
            "to_world": Transform().look_at(LIGHT_ORIGIN, [0, 0, 0], [0, 0, 1])
            @ Transform().scale([LIGHT_HALF_WIDTH, LIGHT_HALF_WIDTH, 1]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": LIGHT_RADIANCE}},
        },
    }


def camera(resolution: int, samples_per_pixel: int, sampler: str, pixel_filter: str) -> dict:
    """The camera as a Mitsuba sensor dictionary.

    Args:
        resolution: width and height in pixels.
        samples_per_pixel: samples of each pixel.
        sampler: a Mitsuba sampler's name.
        pixel_filter: a Mitsuba reconstruction filter's name.
    """
    from mitsuba import ScalarTransform4f as Transform

    return {
        "type": "perspective",
        "fov": FIELD_OF_VIEW,
        "near_clip": 0.1,
        "far_clip": 100.0,
        "to_world": Transform().look_at(CAMERA_ORIGIN, [0, 0, 0], [0, 0, 1]),
        "sampler": {"type": sampler, "sample_count": samples_per_pixel},
        "film": {
            "type": "hdrfilm",
            "width": resolution,
            "height": resolution,
            "pixel_format": "rgb",
            "rfilter": {"type": pixel_filter},
        },
    }


def project(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera sees positions.

    Args:
        positions: (N, 3) in scene coordinates.

    Returns:
        Places in the picture (N, 2), column and row from 0 (left, top) to 1, and depths (N,) along the view.
    """
    right, up, forward = axes_towards_scene(CAMERA_ORIGIN)
    offsets = positions - np.array(CAMERA_ORIGIN)
    depth = offsets @ forward
    half_width = depth * HALF_WIDTH
    return 0.5 + 0.5 * np.stack([offsets @ right, -offsets @ up], axis=1) / half_width[:, None], depth


def view_rays(size: int) -> np.ndarray:
    """From the camera through the centres of a size x size grid over the picture, rows from the top.

    Returns:
        (size, size, 3), each one unit long along the view.
    """
    right, up, forward = axes_towards_scene(CAMERA_ORIGIN)
    across = ((np.arange(size) + 0.5) / size * 2 - 1) * HALF_WIDTH
    return forward + across[None, :, None] * right - across[:, None, None] * up


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear RGB to 8-bit sRGB (IEC 61966-2-1) without dither, values beyond 1 clipped to white.

    Args:
        linear: (H, W, 3) float.

    Returns:
        (H, W, 3) uint8.
    """
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)


def axes_towards_scene(origin: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and forward unit vectors of something at `origin` that faces the scene's origin, z up."""
    forward = -np.array(origin) / np.linalg.norm(origin)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    return right, np.cross(right, forward), forward
