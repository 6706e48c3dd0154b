"""The fast renderer: draws what `reference.render_reference` draws, in a fraction of the time.

A renderer has one scene, and its buffers are overwritten from cloud to cloud: no shape is built and no kernel
compiled. A picture takes four steps:

1. `mask` finds the cells of a grid over the picture that can be darker than white, about a fifth of them;
2. these are traced: by a final gather (`gather`), or in Mitsuba's scalar variants, which have no arrays of
   rays, by its path tracer (`path_tracer`), which also draws meshes as surfaces (`surfaces`);
3. Open Image Denoise removes the remaining noise, guided by albedo and normals; shadows away from spheres
   are smooth and only averaged;
4. values above white are clipped, and the grid is reduced to the picture, as the reference's large picture
   would be. With another camera, background or floor, spheres and shadows are composed first (`layers`).
"""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped, UInt8
from PIL import Image
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.render.denoiser import denoise
from pointspider.render.layers import bare_floor, compose, finish, pixel_filter, sees_floor, smoothed
from pointspider.render.mask import HIDDEN, HIDDEN_IN_LAYERS, Mask
from pointspider.render.points import PointScene
from pointspider.render.scene import Spheres, Surface, place, to_srgb
from pointspider.render.settings import QUALITIES, RenderSettings

logger = logging.getLogger(__name__)

BORDER = 1  # white cells around the mask that the denoiser sees
CONTEXT = 8  # cells around what is shown that it sees too
# Radiance, albedo, normal, coverage and detail where nothing is traced.
BARE_FLOOR = np.array([1.2] * 3 + [1] * 3 + [0, 0, 1] + [0] * 4, np.float32)
NOTHING = np.zeros(13, np.float32)
NEAR_CLIP = 0.1  # of the camera
Traced = tuple[Bool[np.ndarray, "G G"], Bool[np.ndarray, "G G"], Float32[np.ndarray, "G G 13"]]


class Renderer:
    """Renders clouds in the active variant (`backends.activate`).

    The same cloud and settings give the same bytes in a given variant, whatever was rendered before and with
    any number of threads. The scene is rebuilt only when the number of points changes.
    """

    def __init__(self, settings: RenderSettings) -> None:
        import mitsuba as mi

        self.settings = settings
        quality = self._quality = QUALITIES[settings.quality]
        self._size = settings.cells  # G
        floor = settings.floor != "off"
        hidden = HIDDEN_IN_LAYERS if settings.in_layers else HIDDEN
        self._mask = Mask(settings.camera, self._size, floor, hidden)
        self._points = PointScene(settings.camera, self._size, floor)
        self._gather = None
        if not mi.variant().startswith("scalar"):
            from pointspider.render.gather.tracer import FinalGather

            self._gather = FinalGather(
                self._points, quality.near, settings.seed, quality.light_rays, quality.reflections
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
        linear = self._denoise(radiance, albedo.clip(0, 1), normal, shown[window], traced[window])
        if self.settings.in_layers:
            return self._compose(linear, coverage, window)
        if self._quality.pixel_filter:
            linear, detail = pixel_filter(linear), np.zeros(3, np.float32)
        picture = np.full((self._size, self._size, 3), 255, np.uint8)
        picture[window] = np.where(traced[window][..., None], to_srgb(linear, detail), 255)
        side = self.settings.resolution
        return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))

    def _denoise(
        self,
        radiance: Float32[np.ndarray, "h w 3"],
        albedo: Float32[np.ndarray, "h w 3"],
        normal: Float32[np.ndarray, "h w 3"],
        shown: Bool[np.ndarray, "h w"],
        traced: Bool[np.ndarray, "h w"],
    ) -> Float32[np.ndarray, "h w 3"]:
        """Remove noise: around what is shown by Open Image Denoise; shadows further away are smooth."""
        if self._quality.smoothing == 0 or self.settings.in_layers:  # seen from low, shadows are narrow
            return denoise(radiance, albedo, normal, self._quality.denoiser)
        result = smoothed(radiance, traced & ~shown, max(1, round(self._quality.smoothing * self._size)))
        near, nearest = _window(shown, CONTEXT), _window(shown, CONTEXT // 2)  # its outermost cells are poor
        denoised = result.copy()
        denoised[near] = denoise(radiance[near], albedo[near], normal[near], self._quality.denoiser)
        result[nearest] = denoised[nearest]
        return result

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
        radiance = scene.trace(traced, self.settings.paths, self.settings.seed)
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

            count, layers = self.settings.paths, self.settings.in_layers
            features = trace(self._points, traced, count, self.settings.seed, layers)
            return np.pad(features, ((0, 0), (0, 0), (0, 3)))
        spheres, floor = (_along_curve(mask) for mask in (discs, traced & ~discs))
        cells = np.concatenate([spheres, floor])
        effort = self.settings.effort(float(discs.mean()))
        samples = np.repeat([effort.sphere_samples, effort.floor_samples], [len(spheres), len(floor)])
        features = np.zeros((traced.size, 13), np.float32)
        covered = np.arange(len(cells)) < len(spheres)
        features[cells] = self._gather.trace(cells, samples, effort.cache_rays, covered)
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


def _along_curve(mask: Bool[np.ndarray, "G G"]) -> Int[np.ndarray, " n"]:
    """Indices of the cells of a mask along Morton's curve: rays of one packet begin close to each other."""
    from pointspider.render.gather.sampler import morton

    row, column = np.nonzero(mask)
    order = np.argsort(morton(column, row), kind="stable")
    return row[order] * mask.shape[1] + column[order]


def _grown(mask: Bool[np.ndarray, "G G"]) -> Bool[np.ndarray, "G G"]:
    """The cells of a mask and their neighbours."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _window(mask: np.ndarray, border: int) -> tuple[slice, slice]:
    """The rows and columns of `mask` that hold anything, and `border` more where there are."""
    spans = []
    for axis, size in enumerate(mask.shape):
        filled = np.flatnonzero(mask.any(axis=1 - axis)).tolist()
        spans.append(slice(max(0, filled[0] - border), min(filled[-1] + 1 + border, size)))
    return spans[0], spans[1]
