"""The fast renderer: draws what `reference.render_reference` draws, sooner.

One scene lives in a process, and its buffers are overwritten from cloud to cloud: no shape is built and no
kernel compiled. A picture is made in four steps:

1. `mask` finds the cells of a grid over the picture that can be darker than white, about a fifth of them;
2. these are traced: by a final gather (`gather`), or in Mitsuba's scalar variants, which have no arrays of
   rays, by its path tracer (`path`);
3. Open Image Denoise removes what noise is left, guided by albedo and normals;
4. what is brighter than white is clipped, and the grid reduced to the picture, as one reduces the
   reference's large picture.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.core.files import write_png
from pointspider.render.denoiser import denoise
from pointspider.render.mask import Mask
from pointspider.render.points import PointScene
from pointspider.render.scene import place, to_srgb

logger = logging.getLogger(__name__)

BORDER = 8  # white cells around the mask that the denoiser sees
BARE_FLOOR = np.float32([1.2] * 3 + [1] * 3 + [0, 0, 1])  # radiance, albedo, normal where nothing is traced


@dataclass(frozen=True)
class Quality:
    """How much work goes into a picture.

    Attributes:
        cells_per_pixel, cells_per_picture: per side, of the grid that is traced; at least.
        sphere_samples, floor_samples: of cells that show spheres and of those that show only the floor.
        cache_rays, near: see `gather.FinalGather`.
        denoiser: Open Image Denoise's quality.
        pixel_filter: whether pixels have the reference's Gaussian filter; reducing a picture hides it.
    """

    cells_per_pixel: int
    cells_per_picture: int
    sphere_samples: int
    floor_samples: int
    cache_rays: int
    near: float
    denoiser: str
    pixel_filter: bool


# "clip" equals the reference's picture of 800 x 800 pixels reduced to `resolution`, as an encoder takes it.
# "reference" equals the reference's picture at `resolution`, pixel by pixel, for people to look at.
QUALITIES = {
    "clip": Quality(
        cells_per_pixel=2,
        cells_per_picture=192,
        sphere_samples=16,
        floor_samples=8,
        cache_rays=32,
        near=1,
        denoiser="fast",
        pixel_filter=False,
    ),
    "reference": Quality(
        cells_per_pixel=1,
        cells_per_picture=1,
        sphere_samples=64,
        floor_samples=16,
        cache_rays=256,
        near=2,
        denoiser="high",
        pixel_filter=True,
    ),
}


@dataclass(frozen=True)
class RenderSettings:
    """What a picture depends on besides its cloud.

    Attributes:
        resolution: width and height H = W in pixels.
        quality: of QUALITIES.
        seed: of the Monte-Carlo samples; the same for every cloud.
    """

    resolution: int
    quality: str = "clip"
    seed: int = 0

    def __post_init__(self):
        if self.resolution < 1:
            raise InputError(f"render.resolution: is {self.resolution}, must be 1 or more.")
        if self.quality not in QUALITIES:
            raise InputError(f"render.quality: is '{self.quality}', must be one of {', '.join(QUALITIES)}.")

    @property
    def cells_per_pixel(self) -> int:
        """Per side, of the grid that is traced."""
        quality = QUALITIES[self.quality]
        return max(quality.cells_per_pixel, -(-quality.cells_per_picture // self.resolution))

    @property
    def samples_per_pixel(self) -> int:
        """Of pixels that show spheres."""
        return QUALITIES[self.quality].sphere_samples * self.cells_per_pixel**2


class Renderer:
    """Renders clouds in the variant that is active (`variants.activate`).

    The same cloud and settings give the same bytes in a given variant, whatever was rendered before and with
    any number of threads. The scene is built anew only when the number of points changes.
    """

    def __init__(self, settings: RenderSettings):
        import mitsuba as mi

        self.settings = settings
        quality = self._quality = QUALITIES[settings.quality]
        self._size = settings.cells_per_pixel * settings.resolution  # G
        self._mask = Mask(self._size)
        self._points = PointScene(self._size)
        self._gather = None
        if not mi.variant().startswith("scalar"):
            from pointspider.render.gather.gather import FinalGather

            self._gather = FinalGather(self._points, quality.near, quality.cache_rays, settings.seed)

    def render(self, points: np.ndarray, colours: np.ndarray | None = None) -> np.ndarray:
        """Render clouds.

        Args:
            points: (B, N, 3), y up; any real or integer type and any scale.
            colours: linear RGB from 0 to 1, (3,) of all points or (B, N, 3) of each; None: by position.

        Returns:
            (B, H, W, 3) uint8, sRGB.

        Raises:
            InputError: another shape, or a cloud cannot be drawn; see `scene.place`.
        """
        points = np.asarray(points)
        if points.ndim != 3 or len(points) == 0:
            raise InputError(f"clouds are (B, N, 3) numbers with B >= 1, not {points.shape}.")
        if colours is None or np.ndim(colours) == 1:
            colours = [colours] * len(points)
        if len(colours) != len(points):
            raise InputError(f"{len(points)} clouds need as many sets of colours, not {len(colours)}.")
        return np.stack([self._render_one(*cloud) for cloud in zip(points, colours, strict=True)])

    def _render_one(self, points: np.ndarray, colours: np.ndarray | None) -> np.ndarray:
        """Points (N, 3) and their colours to (H, W, 3) uint8."""
        centres, colours = place(points, colours)
        self._points.show(centres, colours)
        discs, shadows = self._mask(centres)  # (G, G)
        traced = discs | shadows
        window = _window(traced, BORDER)
        features = self._trace(discs, traced)[window]
        linear = self._denoise(np.where(traced[window][..., None], features, BARE_FLOOR))
        if self._quality.pixel_filter:
            linear = _filter(linear)
        picture = np.full((self._size, self._size, 3), 255, np.uint8)
        picture[window] = np.where(traced[window][..., None], to_srgb(linear), 255)
        side = self.settings.resolution
        return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))

    def _trace(self, discs: np.ndarray, traced: np.ndarray) -> np.ndarray:
        """Radiance, albedo and normal of cells, (G, G, 9) float32; only those that are `traced` count."""
        if self._gather is None:
            from pointspider.render.path_tracer import trace

            return trace(self._points, traced, self._quality.sphere_samples, self.settings.seed)
        spheres, floor = np.flatnonzero(discs), np.flatnonzero(traced & ~discs)
        cells = np.concatenate([spheres, floor])
        samples = np.repeat(
            [self._quality.sphere_samples, self._quality.floor_samples], [len(spheres), len(floor)]
        )
        self._gather.prepare(spheres)
        features = np.zeros((traced.size, 9), np.float32)
        features[cells] = self._gather.trace(cells, samples)
        return features.reshape(*traced.shape, 9)

    def _denoise(self, features: np.ndarray) -> np.ndarray:
        """(h, w, 9) radiance, albedo and normal to radiance (h, w, 3), float32."""
        radiance, albedo, normal = np.split(features, 3, axis=-1)
        return denoise(radiance, albedo.clip(0, 1), normal, self._quality.denoiser)


def render_class(
    renderer: Renderer, clouds: Mapping[object, tuple[list[str], list[np.ndarray]]], directory: str | Path
) -> None:
    """Render every cloud of one class to `<directory>/<variant>/<object>.png`.

    Args:
        renderer: renders them.
        clouds: variant to (cloud ids "<class>/<variant>/<object>", their points, (n, N, 3)).
        directory: that of the class.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    rows = [row for ids, points in clouds.values() for row in zip(ids, points, strict=True)]
    below = Path(directory)
    write_renders(
        renderer,
        [(cloud_id, points, below / f"{cloud_id.split('/', 1)[1]}.png") for cloud_id, points in rows],
        len(rows),
    )


def write_renders(renderer: Renderer, clouds: Iterable[tuple[str, np.ndarray, Path]], count: int) -> None:
    """Render clouds to PNGs, with a progress bar; a file under its final name is whole.

    Each cloud is named in the log and on the bar before it is rendered: if the operating system kills the
    process, for its memory say, the last one named is the one it was on.

    Args:
        renderer: renders them.
        clouds: name, points (N, 3) and file of each.
        count: how many there are.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    with tqdm(clouds, total=count, desc="render", unit="cloud", disable=None) as bar:
        for name, points, path in bar:
            bar.set_postfix_str(name)
            logger.info("rendering %s", name)
            try:
                image = renderer.render(points[None])[0]
            except InputError as error:
                raise InputError(f"cloud {name}: {error}") from error
            write_png(path, image)


def _filter(cells: np.ndarray) -> np.ndarray:
    """Means over the squares of cells (h, w, 3) to means under the reference's Gaussian pixel filter.

    A square has variance 1/12 in cells and the filter 1/4: three taps with 1/12 at the sides add 1/6.
    """
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 10 * padded[1:-1] + padded[2:]) / 12
    return (rows[:, :-2] + 10 * rows[:, 1:-1] + rows[:, 2:]) / 12


def _window(mask: np.ndarray, border: int) -> tuple[slice, slice]:
    """The rows and columns of `mask` that hold anything, and `border` more where there are."""
    spans = []
    for axis in (1, 0):
        filled = np.flatnonzero(mask.any(axis=axis))
        spans.append(slice(max(0, int(filled[0]) - border), int(filled[-1]) + 1 + border))
    return tuple(slice(span.start, min(span.stop, len(mask))) for span in spans)
