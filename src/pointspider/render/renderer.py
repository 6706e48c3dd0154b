"""The fast renderer: draws what `reference.render_reference` draws, in a fraction of the time.

A renderer has one scene, and its buffers are overwritten from cloud to cloud: no shape is built and no kernel
compiled. A picture takes four steps:

1. `mask` finds the cells of a grid over the picture that can be darker than white, about a fifth of them;
2. these are traced: by a final gather (`gather`), or in Mitsuba's scalar variants, which have no arrays of
   rays, by its path tracer (`path_tracer`), which also draws meshes as surfaces (`surfaces`);
3. Open Image Denoise removes the remaining noise, guided by albedo and normals;
4. values above white are clipped, and the grid is reduced to the picture, as the reference's large picture
   would be. With another camera, background or floor, spheres and shadows are composed first (`layers`).
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from PIL import Image
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.render.denoiser import denoise
from pointspider.render.layers import WHITE, bare_floor, compose, finish, pixel_filter, sees_floor
from pointspider.render.mask import HIDDEN, HIDDEN_IN_LAYERS, Mask
from pointspider.render.points import PointScene
from pointspider.render.scene import FLOOR_HEIGHT, Camera, Spheres, Surface, place, to_srgb

logger = logging.getLogger(__name__)

BORDER = 1  # white cells around the mask that the denoiser sees
# Radiance, albedo, normal, coverage and detail where nothing is traced.
BARE_FLOOR = np.array([1.2] * 3 + [1] * 3 + [0, 0, 1] + [0] * 4, np.float32)
NOTHING = np.zeros(13, np.float32)
CACHE_CELLS = 192
NEAR_CLIP = 0.1  # of the camera
PAPER_CAMERA = Camera()
FLOORS = ("on", "shadow", "off")
Traced = tuple[Bool[np.ndarray, "G G"], Bool[np.ndarray, "G G"], Float32[np.ndarray, "G G 13"]]


@dataclass(frozen=True)
class Quality:
    """How much work goes into a picture.

    Attributes:
        cells_per_pixel, cells_per_picture: per side, of the grid that is traced; at least.
        sphere_samples, floor_samples: of cells that show spheres and of those that show only the floor.
        light_rays, reflections, near: see `gather.tracer.FinalGather`.
        cache_rays: of the cache per sphere, for every CACHE_CELLS cells of the grid's side; finer cells show
            the noise of the cache.
        denoiser: Open Image Denoise's quality.
        pixel_filter: whether to apply the reference's Gaussian pixel filter; reducing a picture hides it.
    """

    cells_per_pixel: int
    cells_per_picture: int
    sphere_samples: int
    floor_samples: int
    light_rays: int
    reflections: int
    cache_rays: int
    near: float
    denoiser: str
    pixel_filter: bool

    @property
    def paths(self) -> int:
        """Of cells that show spheres or surfaces, where paths are traced."""
        return self.sphere_samples * self.light_rays


# "clip" equals the reference's picture of 800 x 800 pixels reduced to `resolution`, as an encoder takes it.
# "reference" equals the reference's picture at `resolution`, pixel by pixel, for people to look at.
QUALITIES = {
    "clip": Quality(
        cells_per_pixel=2,
        cells_per_picture=192,
        sphere_samples=8,
        floor_samples=4,
        light_rays=2,
        reflections=1,
        cache_rays=16,
        near=1,
        denoiser="fast",
        pixel_filter=False,
    ),
    "reference": Quality(
        cells_per_pixel=1,
        cells_per_picture=1,
        sphere_samples=32,
        floor_samples=16,
        light_rays=2,
        reflections=2,
        cache_rays=32,
        near=2,
        denoiser="high",
        pixel_filter=True,
    ),
}


@dataclass(frozen=True)
class RenderSettings:
    """What a picture depends on besides its cloud. The defaults of all but resolution are the paper's look.

    Attributes:
        resolution: width and height H = W in pixels.
        quality: of QUALITIES.
        seed: of the Monte-Carlo samples; the same for every cloud.
        camera: where the picture is taken from.
        background: sRGB from 0 to 1, or None for transparent. A floor that is "on" hides it.
        floor: "on" (opaque and white), "shadow" (only its shadows are seen) or "off".
        layers: compose the picture of layers even where the paper's look needs none, as for frames of a movie
            that must not differ.
    """

    resolution: int
    quality: str = "clip"
    seed: int = 0
    camera: Camera = PAPER_CAMERA
    background: tuple[float, float, float] | None = WHITE
    floor: str = "on"
    layers: bool = False

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise InputError(f"render.resolution: is {self.resolution}, must be 1 or more.")
        if self.quality not in QUALITIES:
            raise InputError(f"render.quality: is '{self.quality}', must be one of {', '.join(QUALITIES)}.")
        if self.floor not in FLOORS:
            raise InputError(f"floor: is '{self.floor}', must be one of {', '.join(FLOORS)}.")
        if self.floor != "off" and self.camera.origin[2] <= FLOOR_HEIGHT:
            raise InputError("camera: elevation: the floor hides the cloud from below; switch the floor off.")

    @property
    def in_layers(self) -> bool:
        """Whether spheres and shadows are composed; the paper's look is rendered as one."""
        default = RenderSettings(self.resolution)
        looks = [(each.camera, each.background, each.floor) for each in (self, default)]
        return self.layers or looks[0] != looks[1]

    @property
    def cells_per_pixel(self) -> int:
        """Per side, of the grid that is traced."""
        quality = QUALITIES[self.quality]
        return max(quality.cells_per_pixel, -(-quality.cells_per_picture // self.resolution))

    @property
    def samples_per_pixel(self) -> int:
        """Rays to the light from pixels that show spheres; as many paths in variants that trace paths."""
        return QUALITIES[self.quality].paths * self.cells_per_pixel**2


class Renderer:
    """Renders clouds in the active variant (`backends.activate`).

    The same cloud and settings give the same bytes in a given variant, whatever was rendered before and with
    any number of threads. The scene is rebuilt only when the number of points changes.
    """

    def __init__(self, settings: RenderSettings) -> None:
        import mitsuba as mi

        self.settings = settings
        quality = self._quality = QUALITIES[settings.quality]
        self._size = settings.cells_per_pixel * settings.resolution  # G
        floor = settings.floor != "off"
        hidden = HIDDEN_IN_LAYERS if settings.in_layers else HIDDEN
        self._mask = Mask(settings.camera, self._size, floor, hidden)
        self._points = PointScene(settings.camera, self._size, floor)
        self._gather = None
        if not mi.variant().startswith("scalar"):
            from pointspider.render.gather.tracer import FinalGather

            self._gather = FinalGather(
                self._points,
                quality.near,
                max(1, quality.cache_rays * self._size // CACHE_CELLS),
                settings.seed,
                quality.light_rays,
                quality.reflections,
            )

    def render(
        self, points: Shaped[np.ndarray, "..."], colours: Float[np.ndarray, "*B_N 3"] | None = None
    ) -> UInt8[np.ndarray, "B H W C"]:
        """Render clouds; see `scene.place`.

        Args:
            points: (B, N, 3), of any real or integer type and any scale.
            colours: linear RGB from 0 to 1, (3,) of all points or (B, N, 3) of each; by default by position.

        Returns:
            sRGB, or sRGB with straight alpha if the background is transparent.

        Raises:
            InputError: another shape, or a cloud cannot be drawn; see `scene.place`.
        """
        points = np.asarray(points)
        if points.ndim != 3 or len(points) == 0:
            raise InputError(f"clouds are (B, N, 3) numbers with B >= 1, not {points.shape}.")
        each = [None if colours is None else np.asarray(colours)] * len(points)
        if colours is not None and np.ndim(colours) == 3:
            each = list(colours)
        if len(each) != len(points):
            raise InputError(f"{len(points)} clouds need as many sets of colours, not {len(each)}.")
        return np.stack([self.draw(place(*cloud)) for cloud in zip(points, each, strict=True)])

    def draw(self, placed: Spheres | Surface) -> UInt8[np.ndarray, "H W C"]:
        """Render a placed cloud or mesh.

        Raises:
            InputError: the camera is inside the cloud.
        """
        if isinstance(placed, Surface):
            self._check_distance(placed.vertices, 0)
            shown, traced, features = self._trace_surface(placed)
        else:
            self._check_distance(placed.centres, placed.radius)
            shown, traced, features = self._trace_spheres(placed)
        if not shown.any():
            return self._empty()
        window = _window(traced, BORDER)
        features = features[window]
        bare = BARE_FLOOR if self._points.floor else NOTHING
        features = np.where(traced[window][..., None], features, bare)
        radiance, albedo, normal, coverage, detail = np.split(features, [3, 6, 9, 10], axis=-1)
        linear = denoise(radiance, albedo.clip(0, 1), normal, self._quality.denoiser)
        if self.settings.in_layers:
            return self._compose(linear, coverage, window)
        if self._quality.pixel_filter:
            linear, detail = pixel_filter(linear), np.zeros(3, np.float32)
        picture = np.full((self._size, self._size, 3), 255, np.uint8)
        picture[window] = np.where(traced[window][..., None], to_srgb(linear, detail), 255)
        side = self.settings.resolution
        return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))

    def _check_distance(self, positions: Float32[np.ndarray, "N 3"], radius: float) -> None:
        *_, depth = self.settings.camera.project(positions)
        if depth.min() < NEAR_CLIP + radius:
            raise InputError("camera: distance: the camera is inside the cloud; increase the distance.")

    def _trace_surface(self, surface: Surface) -> Traced:
        """See `_trace_spheres`."""
        from pointspider.render.surfaces import SurfaceScene, sample_surface

        scene = SurfaceScene(self.settings.camera, self._size, self._points.floor)
        scene.show(surface)
        guides = scene.guides(self.settings.seed)
        shown = _grown(guides[..., -1] > 0)
        traced = shown | self._mask.shadows(sample_surface(surface))
        radiance = scene.trace(traced, self._quality.paths, self.settings.seed)
        return shown, traced, np.concatenate([radiance, guides, np.zeros_like(radiance)], axis=-1)

    def _trace_spheres(self, spheres: Spheres) -> Traced:
        """The cells that show spheres, those that are traced, and the features of these.

        Features are radiance, albedo, normal, coverage and detail (see `gather.tracer`), (G, G, 13).
        """
        self._points.show(spheres)
        discs, shadows = self._mask(spheres)
        traced = discs | shadows
        features = np.zeros((*traced.shape, 13), np.float32)
        return discs, traced, self._trace(discs, traced) if discs.any() else features

    def _trace(
        self, discs: Bool[np.ndarray, "G G"], traced: Bool[np.ndarray, "G G"]
    ) -> Float32[np.ndarray, "G G 13"]:
        """Radiance, albedo, normal, coverage and detail of the traced cells; zero elsewhere."""
        if self._gather is None:
            from pointspider.render.path_tracer import trace

            count, layers = self._quality.paths, self.settings.in_layers
            features = trace(self._points, traced, count, self.settings.seed, layers)
            return np.pad(features, ((0, 0), (0, 0), (0, 3)))
        spheres, floor = np.flatnonzero(discs), np.flatnonzero(traced & ~discs)
        cells = np.concatenate([spheres, floor])
        samples = np.repeat(
            [self._quality.sphere_samples, self._quality.floor_samples], [len(spheres), len(floor)]
        )
        self._gather.prepare(spheres)
        features = np.zeros((traced.size, 13), np.float32)
        features[cells] = self._gather.trace(cells, samples, np.arange(len(cells)) < len(spheres))
        return features.reshape(*traced.shape, 13)

    def _compose(
        self,
        linear: Float32[np.ndarray, "h w 3"],
        coverage: Float32[np.ndarray, "h w 1"],
        window: tuple[slice, slice],
    ) -> UInt8[np.ndarray, "H W C"]:
        """Put spheres over shadows over the background."""
        settings = self.settings
        rows, columns = window
        layers = np.zeros((self._size, self._size, 4), np.float32)  # premultiplied sRGB and alpha
        floor = "off" if settings.floor == "off" else settings.floor
        if floor == "on":
            layers[sees_floor(settings.camera, self._size)] = 1
        bare = bare_floor(settings.camera, self._size, window) if floor != "off" else None
        layers[rows, columns] = compose(linear, coverage, bare, layers[rows, columns], floor == "on")
        if self._quality.pixel_filter:
            layers = pixel_filter(layers)
        return finish(layers, settings.resolution, settings.background)

    def _empty(self) -> UInt8[np.ndarray, "H W C"]:
        """The picture of what is outside of the camera's view."""
        side = self.settings.resolution
        layers = np.zeros((side, side, 4), np.float32)
        if self.settings.floor == "on":
            layers[sees_floor(self.settings.camera, side)] = 1
        return finish(layers, side, self.settings.background)


@runtime_checkable
class RendersClouds(Protocol):
    """Anything with the method `render` of `Renderer`."""

    def render(self, points: np.ndarray) -> np.ndarray:
        """Render clouds (B, N, 3) to pictures (B, H, W, 3) uint8."""


def write_renders(
    renderer: RendersClouds,
    clouds: Iterable[tuple[str, np.ndarray]],
    count: int,
    write: Callable[[str, UInt8[np.ndarray, "H W C"]], None],
) -> None:
    """Render clouds and write them one by one, with a progress bar.

    Each cloud is named in the log and on the bar before it is rendered: if the operating system kills the
    process, for its memory say, the last one named is the one it was on.

    Args:
        renderer: renders them.
        clouds: name and points (N, 3) of each.
        count: how many there are.
        write: writes the picture of a name.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    with tqdm(clouds, total=count, desc="render", unit="cloud", disable=None) as bar:
        for name, points in bar:
            bar.set_postfix_str(name)
            logger.info("rendering %s", name)
            try:
                image = renderer.render(points[None])[0]
            except InputError as error:
                raise InputError(f"cloud {name}: {error}") from error
            write(name, image)


def _grown(mask: Bool[np.ndarray, "G G"]) -> Bool[np.ndarray, "G G"]:
    """The cells of a mask and their neighbours."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _window(mask: np.ndarray, border: int) -> tuple[slice, slice]:
    """The rows and columns of `mask` that hold anything, and `border` more where there are."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)).tolist() for axis in (1, 0))
    row_span, column_span = (
        slice(max(0, filled[0] - border), min(filled[-1] + 1 + border, len(mask)))
        for filled in (rows, columns)
    )
    return row_span, column_span
