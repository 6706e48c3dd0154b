"""The fast renderer: one scene per process, whose points move and change colour from cloud to cloud.

It draws what `reference.render_reference` draws, sooner, because it
- keeps one scene, whose buffers are overwritten: no kernel is compiled and no shape built per cloud;
- holds all points in one shape of round line segments, which Embree intersects as spheres natively;
- traces only the cells that can be darker than white (`mask`), with stratified samples;
- traces a grid finer than the picture, removes its noise (Open Image Denoise, guided by albedo and
  normals) and only then reduces it, after clipping to white, as one reduces the reference's large picture.
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from pointspider.errors import InputError
from pointspider.render.mask import Mask
from pointspider.render.scene import RADIUS, camera, place, surroundings, to_srgb
from pointspider.storage import write_png

# pyoidn imports torch wherever it is installed, for tensors that are not used here. That would take longer
# than ten pictures, in every process: a module that is None is one that cannot be imported.
sys.modules.setdefault("torch", None)
import pyoidn  # noqa: E402

if sys.modules["torch"] is None:
    del sys.modules["torch"]

LEAST_GRID = (
    256  # cells per side; coarser grids lose the fine edges that are clipped to white (39.9 dB at 128)
)
PASS_SAMPLES = 1 << 23  # traced at a time; about 1 GB
BORDER = 8  # white cells around the mask that the denoiser sees
BARE_FLOOR = np.float32([1.2] * 3 + [1] * 3 + [0, 0, 1])  # radiance, albedo, normal where nothing is traced
# A point is a segment whose far end is a smaller sphere inside the near one, so that only one sphere is seen
# and the shape's second texture coordinate tells which.
FAR_END = np.float32([0, 0, -0.4 * RADIUS, 0.2 * RADIUS])  # offset and radius


@dataclass(frozen=True)
class RenderSettings:
    """What a picture depends on besides its cloud.

    Attributes:
        resolution: width and height H = W in pixels.
        samples_per_pixel: samples of each pixel; rounded up, since each grid cell takes the same number and
            Mitsuba stratifies products such as 4, 6 or 9.
        seed: of the Monte-Carlo samples; the same for every cloud.
    """

    resolution: int
    samples_per_pixel: int
    seed: int = 0

    def __post_init__(self):
        for key in ("resolution", "samples_per_pixel"):
            if getattr(self, key) < 1:
                raise InputError(f"render.{key}: is {getattr(self, key)}, must be 1 or more.")


class Renderer:
    """Renders clouds in the variant that is active (`variants.activate`).

    The same cloud and settings give the same bytes in a given variant, whatever was rendered before and with
    any number of threads. The scene is built anew only when the number of points changes.
    """

    def __init__(self, settings: RenderSettings):
        self.settings = settings
        cells_per_pixel = max(2, -(-LEAST_GRID // settings.resolution))  # per side
        self._size = cells_per_pixel * settings.resolution  # G
        self._samples = -(-settings.samples_per_pixel // cells_per_pixel**2)  # per cell
        self._mask = Mask(self._size)
        self._scene = None
        self._count = 0

    def render(self, points: np.ndarray) -> np.ndarray:
        """Render clouds.

        Args:
            points: (B, N, 3), y up; any real or integer type and any scale.

        Returns:
            (B, H, W, 3) uint8, sRGB.

        Raises:
            InputError: `points` has another shape, or a cloud cannot be drawn; see `scene.place`.
        """
        points = np.asarray(points)
        if points.ndim != 3 or len(points) == 0:
            raise InputError(f"clouds are (B, N, 3) numbers with B >= 1, not {points.shape}.")
        return np.stack([self._render_one(cloud) for cloud in points])

    def _render_one(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) to (H, W, 3) uint8."""
        centres, colours = place(points)
        self._show(centres, colours)
        mask = self._mask(centres)  # (G, G)
        window = _window(mask, BORDER)
        traced = mask[window]
        features = np.where(traced[..., None], self._trace(mask, window), BARE_FLOOR)
        radiance, albedo, normal = np.split(features, 3, axis=-1)
        denoised = pyoidn.denoise(
            np.ascontiguousarray(radiance),
            albedo=np.ascontiguousarray(albedo.clip(0, 1)),
            normal=np.ascontiguousarray(normal),
            hdr=True,
            quality="fast",
        )
        picture = np.full((self._size, self._size, 3), 255, np.uint8)
        picture[window] = np.where(traced[..., None], to_srgb(denoised), 255)
        side = self.settings.resolution
        return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))

    def _show(self, centres: np.ndarray, colours: np.ndarray) -> None:
        """Make the scene's points those at `centres`, (N, 3), in `colours`, (N, 3)."""
        import mitsuba as mi

        if len(centres) != self._count:
            self._count = len(centres)
            self._scene = self._build_scene(self._count)
        near = np.pad(centres, ((0, 0), (0, 1)), constant_values=RADIUS)  # (N, 4)
        far = near + FAR_END
        far[:, 3] = FAR_END[3]
        parameters = mi.traverse(self._scene)
        parameters["points.control_points"] = np.stack([near, far], axis=1).ravel()
        parameters["points.bsdf.reflectance.data"] = _texture(colours)
        parameters.update()

    def _build_scene(self, count: int):
        """The scene with `count` points, whose places and colours `_show` sets."""
        import mitsuba as mi

        colours = {
            "type": "bitmap",
            "bitmap": mi.Bitmap(_texture(np.ones((count, 3), np.float32))),
            "filter_type": "nearest",
            "wrap_mode": "clamp",
            "raw": True,
            "accel": False,  # graphics hardware bounds a texture's height
            "to_uv": mi.ScalarTransform3f().translate([0, 0.5 / count]),  # to the middle of a point's texel
        }
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:  # the shape's only way in
            file.write("0 0 0 1\n0 0 1 1\n\n" * count)
            file.flush()
            return mi.load_dict(
                {
                    "type": "scene",
                    "integrator": {
                        "type": "aov",
                        "aovs": "albedo:albedo,normal:sh_normal",
                        "radiance": {"type": "path", "max_depth": -1},
                    },
                    "sensor": camera(self._size, self._samples, "multijitter", "box"),
                    **surroundings(),
                    "points": {
                        "type": "linearcurve",
                        "filename": file.name,
                        "bsdf": {"type": "diffuse", "reflectance": colours},
                    },
                }
            )

    def _trace(self, mask: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """Radiance, albedo and normal of the cells in `window`, (h, w, 9) float32; only `mask` counts."""
        import mitsuba as mi

        if mi.variant().startswith("scalar"):  # no arrays of rays: the whole window
            rows, columns = window
            parameters = mi.traverse(self._scene)
            parameters["sensor.film.crop_offset"] = [columns.start, rows.start]
            parameters["sensor.film.crop_size"] = [columns.stop - columns.start, rows.stop - rows.start]
            parameters.update()
            return np.array(mi.render(self._scene, seed=self.settings.seed))
        features = np.zeros((*mask.shape, 9), np.float32)
        cells = np.flatnonzero(mask).astype(np.uint32)
        passes = np.array_split(cells, -(-len(cells) * self._samples // PASS_SAMPLES))
        features[mask] = np.concatenate(
            [self._trace_cells(part, self.settings.seed + index) for index, part in enumerate(passes)]
        )
        return features[window]

    def _trace_cells(self, cells: np.ndarray, seed: int) -> np.ndarray:
        """Radiance, albedo and normal of `cells`, (n,) indices into the grid, as (n, 9) float32."""
        import drjit as dr
        import mitsuba as mi

        sensor = self._scene.sensors()[0]
        sampler = sensor.sampler()
        samples = sampler.sample_count()  # what was asked for or a few more, to stratify
        count = len(cells) * samples
        sampler.set_samples_per_wavefront(samples)
        sampler.seed(dr.opaque(mi.UInt32, seed), count)  # a literal seed would compile a kernel per pass
        cell = dr.gather(mi.UInt32, mi.UInt32(cells), dr.arange(mi.UInt32, count) // samples)
        corner = mi.Point2f(cell % self._size, cell // self._size)
        position = (corner + sampler.next_2d()) / self._size
        ray, _ = sensor.sample_ray_differential(0, 0, position, mi.Point2f(0.5))
        radiance, _, features = self._scene.integrator().sample(self._scene, sampler, ray)
        channels = [*radiance, *features[-6:]]  # the aovs before are the radiance again
        dr.eval(channels)
        sums = [np.array(dr.block_sum(channel, samples)) for channel in channels]
        return np.stack(sums, axis=1) / samples


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
    for cloud_id, points in tqdm(rows, desc=str(directory), unit="cloud", disable=None):
        try:
            image = renderer.render(points[None])[0]
        except InputError as error:
            raise InputError(f"cloud {cloud_id}: {error}") from error
        _, variant, object_name = cloud_id.split("/")
        write_png(Path(directory) / variant / f"{object_name}.png", image)


def _texture(colours: np.ndarray) -> np.ndarray:
    """Colours (N, 3) as the rows of a texture (N, 2, 3); Mitsuba wants it two wide."""
    return np.repeat(colours[:, None], 2, axis=1)


def _window(mask: np.ndarray, border: int) -> tuple[slice, slice]:
    """The rows and columns of `mask` that hold anything, and `border` more where there are."""
    spans = []
    for axis in (1, 0):
        filled = np.flatnonzero(mask.any(axis=axis))
        spans.append(slice(max(0, int(filled[0]) - border), int(filled[-1]) + 1 + border))
    return tuple(slice(span.start, min(span.stop, len(mask))) for span in spans)
