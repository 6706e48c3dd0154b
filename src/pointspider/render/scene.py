"""The scene that POINTSPIDER renders: the only definition of its geometry, for every renderer.

The paper renders with PointVisualizaiton (https://github.com/qizekun/PointVisualizaiton, MIT; its spelling).
Its `main.py`, `utils.py` and `render.py` define how points are placed and coloured, and the floor, light and
camera around them. All of it is the default here; camera, radius, colours and orientation can be changed.

Scene coordinates have z up, and the camera looks at the origin. "Cells" are the squares of a grid over the
picture: its pixels, or subdivisions of them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Num, Shaped, UInt8

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
CAMERA_ORIGIN = (2.75, 2.75, 2.75)
FIELD_OF_VIEW = 25  # degrees
RESOLUTION = 800  # pixels, width = height
SAMPLES_PER_PIXEL = 256

REFERENCE_POINTS = 1024  # points for which RADIUS was chosen
LARGEST_RADIUS = 0.05  # that `auto_radius` returns: spheres of 256 points
MARGIN = 1.0  # cells around the disc of a sphere, see `sphere_cells`
BATCH = 1024  # spheres at a time

#: Scene axes (x, y, z) from the cloud's, by the direction that is up: index and sign of each. None is
#: PointVisualizaiton's way, y up and mirrored in depth; the others are rotations.
ORIENTATIONS: dict[str | None, tuple[tuple[int, int], ...]] = {
    None: ((2, -1), (0, 1), (1, 1)),
    "x": ((1, 1), (2, 1), (0, 1)),
    "y": ((2, 1), (0, 1), (1, 1)),
    "z": ((0, 1), (1, 1), (2, 1)),
    "-x": ((1, 1), (2, -1), (0, -1)),
    "-y": ((2, 1), (0, -1), (1, -1)),
    "-z": ((0, 1), (1, -1), (2, -1)),
}


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from. The default is PointVisualizaiton's camera.

    Attributes:
        azimuth: degrees around the up axis; 0 looks along the negative first scene axis.
        elevation: degrees above the horizon, -90 to 90.
        distance: from the scene's origin; the cloud's longest side is 1.
        fov: field of view in degrees, of width and height.
        orthographic: project in parallel. What is at `distance` has the same size as in perspective.
    """

    azimuth: float = 45.0
    elevation: float = float(np.degrees(np.arcsin(3**-0.5)))
    distance: float = float(np.linalg.norm(CAMERA_ORIGIN))
    fov: float = FIELD_OF_VIEW
    orthographic: bool = False

    def __post_init__(self) -> None:
        for name in ("azimuth", "elevation", "distance", "fov"):
            if not abs(value := getattr(self, name)) < 1e9:
                raise InputError(f"camera: {name} is {value!r}, must be a number.")
        if not -90 <= self.elevation <= 90:
            raise InputError(f"camera: elevation is {self.elevation:g}, must be from -90 to 90 degrees.")
        if not 0 < self.distance <= 50:
            raise InputError(f"camera: distance is {self.distance:g}, must be above 0 and at most 50.")
        if not 0 < self.fov < 170:
            raise InputError(f"camera: fov is {self.fov:g}, must be between 0 and 170 degrees.")

    @classmethod
    def from_dict(cls, values: Any) -> "Camera":
        """Return the camera of a JSON object; absent keys take their defaults.

        Raises:
            InputError: an unknown key or a bad value.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, dict) or (unknown := set(values) - set(known)):
            what = f"unknown keys {sorted(unknown)}" if isinstance(values, dict) else "not an object"
            raise InputError(f"camera: {what}; the keys are {', '.join(known)}.")
        for name, value in values.items():
            if name == "orthographic":
                if not isinstance(value, bool):
                    raise InputError(f"camera: orthographic is {value!r}, must be true or false.")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"camera: {name} is {value!r}, must be a number.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return asdict(self)

    @property
    def origin(self) -> Float[np.ndarray, "3"]:
        """The camera's position; nine decimals, so that the default's is exactly CAMERA_ORIGIN."""
        azimuth, elevation = np.radians([self.azimuth, self.elevation])
        flat = np.cos(elevation)
        direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
        return np.round(self.distance * direction, 9)

    @property
    def half_width(self) -> float:
        """Of the picture, at distance 1 in perspective."""
        return float(np.tan(np.radians(self.fov / 2)))

    def axes(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Return the unit vectors right, up and forward."""
        if abs(self.elevation) < 89.99:
            return axes_towards_scene(self.origin)
        azimuth = np.radians(self.azimuth)
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
        forward = np.array([0.0, 0.0, -np.sign(self.elevation)])
        return right, np.cross(right, forward), forward

    def sensor(
        self, resolution: int, samples_per_pixel: int, sampler: str, pixel_filter: str
    ) -> dict[str, Any]:
        """Return a Mitsuba sensor dictionary.

        Args:
            resolution: width and height in pixels.
            samples_per_pixel: samples of each pixel.
            sampler: a Mitsuba sampler's name.
            pixel_filter: a Mitsuba reconstruction filter's name.
        """
        return {
            **({"type": "orthographic"} if self.orthographic else {"type": "perspective", "fov": self.fov}),
            "near_clip": 0.1,
            "far_clip": 100.0,
            "to_world": self.to_world(),
            "sampler": {"type": sampler, "sample_count": samples_per_pixel},
            "film": {
                "type": "hdrfilm",
                "width": resolution,
                "height": resolution,
                "pixel_format": "rgb",
                "rfilter": {"type": pixel_filter},
            },
        }

    def to_world(self) -> Any:
        """Return Mitsuba's transform from the sensor's coordinates to the scene's."""
        from mitsuba import ScalarTransform4f as Transform

        up = [0, 0, 1] if abs(self.elevation) < 89.99 else self.axes()[1].tolist()
        transform = Transform().look_at(self.origin.tolist(), [0, 0, 0], up)
        if self.orthographic:  # Mitsuba's shows what is between -1 and 1
            half = self.distance * self.half_width
            transform = transform @ Transform().scale([half, half, 1])
        return transform

    def project(
        self, positions: Float[np.ndarray, "N 3"]
    ) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Compute where the camera sees positions.

        Returns:
            Places in the picture, column and row from 0 (left, top) to 1; half the picture's width at the
            depth of each; depths along the view.
        """
        right, up, forward = self.axes()
        offsets = positions - self.origin
        depth = offsets @ forward
        half_width = depth * self.half_width
        if self.orthographic:
            half_width = np.full_like(depth, self.distance * self.half_width)
        across = np.stack([offsets @ right, -offsets @ up], axis=1)
        return 0.5 + 0.5 * across / half_width[:, None], half_width, depth

    def rays(
        self, size: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[Float[np.ndarray, "*G 3"], Float[np.ndarray, "G G 3"]]:
        """Compute the rays through the cells of a `size` x `size` grid over the picture, rows from the top.

        Args:
            size: cells per side.
            shift: across and down from a cell's centre, in cells.

        Returns:
            Origins, (3,) in perspective or (size, size, 3), and directions, one unit long along the view.
        """
        right, up, forward = self.axes()
        across, down = (((np.arange(size) + 0.5 + step) / size * 2 - 1) * self.half_width for step in shift)
        if self.orthographic:
            offsets = across[None, :, None] * right - down[:, None, None] * up
            return self.origin + self.distance * offsets, np.broadcast_to(forward, offsets.shape)
        return self.origin, forward + across[None, :, None] * right - down[:, None, None] * up


@dataclass(frozen=True)
class Spheres:
    """A placed cloud: a sphere for each point.

    Attributes:
        centres: in scene coordinates.
        colours: linear RGB reflectance.
        radius: of all spheres.
    """

    centres: Float32[np.ndarray, "N 3"]
    colours: Float32[np.ndarray, "N 3"]
    radius: float = RADIUS


@dataclass(frozen=True)
class Surface:
    """A placed mesh.

    Attributes:
        vertices: in scene coordinates.
        faces: rows of `vertices`.
        colours: linear RGB reflectance of the vertices, interpolated between them.
        normals: of the vertices, for smooth shading; None for flat faces.
    """

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    colours: Float32[np.ndarray, "V 3"]
    normals: Float32[np.ndarray, "V 3"] | None = None


def auto_radius(count: int) -> float:
    """Return the radius with which spheres of `count` points cover about as much as 1,024 of RADIUS do."""
    return min(RADIUS * (REFERENCE_POINTS / count) ** 0.5, LARGEST_RADIUS)


def bounding_box(points: Shaped[np.ndarray, "..."]) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Return the least and the greatest coordinates of a cloud.

    Raises:
        InputError: another shape, no points, or NaN or inf.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(f"a cloud is (N, 3) numbers, not {points.shape} {points.dtype}.")
    if len(points) == 0:
        raise InputError("the cloud has no points.")
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points)).any(axis=1).sum())
        raise InputError(f"{bad} of {len(points)} points hold NaN or inf. Remove them from the cloud.")
    return points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)


def place(
    points: Shaped[np.ndarray, "..."],
    colours: Float[np.ndarray, "*N 3"] | None = None,
    radius: float = RADIUS,
    up: str | None = None,
    box: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]] | None = None,
) -> Spheres:
    """Standardise and colour a cloud as the reference does.

    The bounding box is centred and its longest side scaled to 1; a point's colour is its position in that
    box; the cloud is turned so that z is up, and set above the floor.

    Args:
        points: (N, 3), of any real or integer type and any scale.
        colours: linear RGB from 0 to 1 of all points, (3,), or of each, (N, 3); by default by position, of
            unit length.
        radius: of the spheres, where the longest side is 1.
        up: the axis that is up, a key of ORIENTATIONS. By default y, mirrored in depth, as in the reference.
        box: a bounding box to be used instead of the cloud's, so that several clouds are placed alike.

    Raises:
        InputError: another shape, no points, NaN or inf, all points the same, or invalid colours.
    """
    low, high = bounding_box(points) if box is None else box
    largest = max(np.abs(low).max(), np.abs(high).max(), np.finfo(float).tiny)  # no difference overflows
    low, high = low / largest, high / largest
    side = (high - low).max()
    if side == 0:
        count = f"all {len(points)} points are the same" if len(points) > 1 else "has only one point"
        raise InputError(f"{count}; a picture needs two that differ.")

    standard = (np.asarray(points, np.float64) / largest - (low + high) / 2) / side  # within [-0.5, 0.5]
    if colours is None:
        colours = np.clip(standard + 0.5, CONTRAST, 1)
        colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    colours = np.asarray(colours)
    if colours.shape not in ((3,), standard.shape) or not ((colours >= 0) & (colours <= 1)).all():
        raise InputError(
            f"colours are linear RGB from 0 to 1, (3,) for all points or {standard.shape} for each, "
            f"not {colours.shape} from {colours.min():g} to {colours.max():g}."
        )

    axes = ORIENTATIONS[up]
    centres = np.stack([sign * standard[:, axis] for axis, sign in axes], axis=1)
    axis, sign = axes[2]
    extent = (np.stack([low, high])[:, axis] - (low + high)[axis] / 2) / side
    bottom = max(BOTTOM, FLOOR_HEIGHT + radius)
    centres[:, 2] = centres[:, 2] - (sign * extent).min() + bottom
    return Spheres(
        centres.astype(np.float32), np.broadcast_to(colours, standard.shape).astype(np.float32), radius
    )


def place_normals(normals: Float[np.ndarray, "V 3"], up: str | None) -> Float32[np.ndarray, "V 3"]:
    """Return unit normals in scene coordinates, for `up` as in `place`."""
    turned = np.stack([sign * normals[:, axis] for axis, sign in ORIENTATIONS[up]], axis=1)
    return (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)


def surroundings(floor: bool = True) -> dict[str, Any]:
    """Return the light, and the floor if asked for, as entries of a Mitsuba scene dictionary."""
    from mitsuba import ScalarTransform4f as Transform

    light = {
        "type": "rectangle",
        "to_world": Transform().look_at(LIGHT_ORIGIN, [0, 0, 0], [0, 0, 1])
        @ Transform().scale([LIGHT_HALF_WIDTH, LIGHT_HALF_WIDTH, 1]),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": LIGHT_RADIANCE}},
    }
    rectangle = {
        "type": "rectangle",
        "to_world": Transform().translate([0, 0, FLOOR_HEIGHT]) @ Transform().scale(FLOOR_SCALE),
        "bsdf": floor_material(),
    }
    return ({"floor": rectangle} if floor else {}) | {"light": light}


def floor_material() -> dict[str, Any]:
    """Return the floor's BSDF as a Mitsuba dictionary."""
    return {
        "type": "roughplastic",
        "distribution": "ggx",
        "alpha": FLOOR_ROUGHNESS,
        "int_ior": FLOOR_IOR,
        "diffuse_reflectance": {"type": "rgb", "value": 1.0},
    }


def sphere_cells(
    spheres: Spheres, camera: Camera, size: int
) -> Iterator[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
    """Yield which cells of a `size` x `size` grid may show which spheres, some spheres at a time.

    Yields:
        Index of the sphere, row and column of the cell, if its centre is within MARGIN of the sphere's disc.
    """
    corner = np.arctan(2**0.5 * camera.half_width)
    # Away from the middle, spheres are seen as ellipses; up to 25 degrees MARGIN covers them.
    stretch = 1.0 if camera.orthographic or camera.fov <= FIELD_OF_VIEW else np.cos(corner) ** -2
    for index in np.array_split(np.arange(len(spheres.centres)), -(-len(spheres.centres) // BATCH)):
        places, half_width, _ = camera.project(spheres.centres[index])
        column, row = places.T * size
        radius = size * spheres.radius / (2 * half_width) * stretch + MARGIN
        reach = np.ceil(radius.max())
        window = np.arange(-reach, reach + 1)
        columns = (np.floor(column)[:, None] + window)[:, None, :]  # (n, 1, W)
        rows = (np.floor(row)[:, None] + window)[:, :, None]  # (n, W, 1)
        across, along = columns + 0.5 - column[:, None, None], rows + 0.5 - row[:, None, None]
        inside = across**2 + along**2 < radius[:, None, None] ** 2
        inside &= within(rows, size) & within(columns, size)
        which, rows, columns = np.broadcast_arrays(
            index[:, None, None], rows.astype(int), columns.astype(int)
        )
        yield which[inside], rows[inside], columns[inside]


def within(index: Num[np.ndarray, "..."], size: int) -> Bool[np.ndarray, "..."]:
    """Return where an index is from 0 to `size` - 1."""
    return (index >= 0) & (index < size)


def to_srgb(
    linear: Float[np.ndarray, "*shape"], detail: Float[np.ndarray, "..."] | float = 0
) -> UInt8[np.ndarray, "*shape"]:
    """Convert linear values to 8-bit sRGB (IEC 61966-2-1) without dither; values beyond 1 become white.

    Args:
        linear: values; those beyond 1 become white.
        detail: is added to the sRGB values, from 0 to 1, before they are rounded.
    """
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (np.clip(encoded + detail, 0, 1) * 255 + 0.5).astype(np.uint8)


def to_linear(srgb: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Convert sRGB values from 0 to 1 to linear ones (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def axes_towards_scene(
    origin: Any,
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Return right, up and forward unit vectors of something at `origin` that faces the scene's origin."""
    forward = -np.array(origin) / np.linalg.norm(origin)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    return right, np.cross(right, forward), forward
