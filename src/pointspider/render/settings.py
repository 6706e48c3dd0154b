"""What a picture depends on besides its cloud, and how much work goes into it."""

from dataclasses import dataclass

import numpy as np

from pointspider.core.errors import InputError
from pointspider.render.layers import WHITE
from pointspider.render.scene import FLOOR_HEIGHT, Camera

PAPER_CAMERA = Camera()
FLOORS = ("on", "shadow", "off")
CACHE_CELLS = 192
FEW_CELLS = 2
SPARSE, DENSE = 0.08, 0.22  # shares of the picture that spheres cover; most clouds are between


@dataclass(frozen=True)
class Quality:
    """How much work goes into a picture.

    Attributes:
        cells_per_pixel, cells_per_picture: per side, of the grid that is traced; at least.
        sphere_samples, floor_samples: of cells that show spheres, doubled where a pixel has more than one and
            less than FEW_CELLS cells per side, and of cells that show only the floor. Multiples of 4, as
            `gather.tracer.SPLIT` needs; powers of 2 fill a cell evenly.
        adapts: whether pictures with few spheres have half the samples of spheres, and pictures with many
            twice as many samples and cache rays. Where samples of spheres are doubled, pictures with many
            have 2.5 times these, four times those of the floor and three times the cache rays.
        light_rays, reflections, near: see `gather.tracer.FinalGather`.
        cache_rays: of the cache per sphere, for every CACHE_CELLS cells of the grid's side; finer cells show
            the noise of the cache.
        denoiser: Open Image Denoise's quality.
        smoothing: of shadows away from spheres, over so much of the picture's width to each side; 0 leaves
            them to the denoiser, too.
        pixel_filter: whether to apply the reference's Gaussian pixel filter; reducing a picture hides it.
    """

    cells_per_pixel: float
    cells_per_picture: int
    sphere_samples: int
    floor_samples: int
    adapts: bool
    light_rays: int
    reflections: int
    cache_rays: int
    near: float
    denoiser: str
    smoothing: float
    pixel_filter: bool


@dataclass(frozen=True)
class Effort:
    """How much work goes into one picture; attributes as of `Quality`, `cache_rays` per sphere."""

    sphere_samples: int
    floor_samples: int
    cache_rays: int


# "clip" equals the reference's picture of 800 x 800 pixels reduced to `resolution`, as an encoder takes it.
# "reference" equals the reference's picture at `resolution`, pixel by pixel, for people to look at.
QUALITIES = {
    "clip": Quality(
        cells_per_pixel=1.5,
        cells_per_picture=192,
        sphere_samples=8,
        floor_samples=4,
        adapts=True,
        light_rays=2,
        reflections=1,
        cache_rays=16,
        near=1,
        denoiser="fast",
        smoothing=0.0133,  # 3 cells at 64 x 64 pixels, 4 at 224 x 224
        pixel_filter=False,
    ),
    "reference": Quality(
        cells_per_pixel=1,
        cells_per_picture=1,
        sphere_samples=32,
        floor_samples=16,
        adapts=False,
        light_rays=2,
        reflections=2,
        cache_rays=32,
        near=2,
        denoiser="high",
        smoothing=0,
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
    def cells(self) -> int:
        """Per side, of the grid that is traced."""
        quality = QUALITIES[self.quality]
        return max(int(np.ceil(quality.cells_per_pixel * self.resolution)), quality.cells_per_picture)

    def effort(self, share: float) -> "Effort":
        """Return the work for a picture, a share of which shows spheres.

        The squared error of a picture is that of its sphere cells times their share.
        """
        quality = QUALITIES[self.quality]
        few = 1 < self.cells / self.resolution < FEW_CELLS
        spheres, floor = quality.sphere_samples * (1 + few), quality.floor_samples
        cache_rays = max(1, quality.cache_rays * self.cells // CACHE_CELLS)
        if quality.adapts and share < SPARSE:
            return Effort(spheres // 2, floor, cache_rays)
        if quality.adapts and share > DENSE:
            times = (2.5, 4, 3) if few else (2, 2, 2)  # of spheres' samples, the floor's and cache rays
            return Effort(int(times[0] * spheres), times[1] * floor, times[2] * cache_rays)
        return Effort(spheres, floor, cache_rays)

    @property
    def paths(self) -> int:
        """Of cells that show spheres or surfaces, where paths are traced."""
        return self.effort(SPARSE).sphere_samples * QUALITIES[self.quality].light_rays

    @property
    def samples_per_pixel(self) -> int:
        """Rays to the light from pixels that show spheres; as many paths in variants that trace paths."""
        return round(self.paths * (self.cells / self.resolution) ** 2)
