"""Composition of spheres, shadows and background, for cameras and backgrounds other than the paper's.

The paper's look is one picture: the floor is so bright that it is white wherever it is lit. Seen from other
directions the bare floor can be darker than white, so its radiance is divided by that of the bare floor: only
shadows remain. Layers are premultiplied sRGB, as programs blend pictures; every value is from 0 to 1.
"""

from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image

from pointspider.render.scene import (
    AIR_IOR,
    FLOOR_HEIGHT,
    FLOOR_IOR,
    FLOOR_SCALE,
    LIGHT_HALF_WIDTH,
    LIGHT_ORIGIN,
    LIGHT_RADIANCE,
    Camera,
    axes_towards_scene,
    to_srgb,
)

WHITE = (1.0, 1.0, 1.0)
HEADROOM = 1.05  # by which the paper's bare floor exceeds white at least; other floors are scaled to it
REACH = 12  # cells from a sphere's edge in which the floor behind it is estimated


def compose(
    linear: Float32[np.ndarray, "h w 3"],
    coverage: Float32[np.ndarray, "h w 1"],
    bare: Float[np.ndarray, "h w"] | None,
    behind: Float32[np.ndarray, "h w 4"],
    opaque: bool,
) -> Float32[np.ndarray, "h w 4"]:
    """Separate spheres from the floor, and put them over the layers behind.

    Args:
        linear: radiance of cells.
        coverage: share of each cell that shows spheres.
        bare: radiance of the floor without anything on it, at most 1; None without a floor.
        behind: layers without spheres and shadows.
        opaque: whether the floor is, or only its shadows are seen.
    """
    floor = np.zeros_like(linear) if bare is None else _behind_spheres(linear, coverage)
    share = np.maximum(coverage, 1e-3)
    spheres = np.where(coverage > 0, (linear - (1 - coverage) * floor) / share, 0)
    result = np.concatenate([_encoded(spheres), np.ones_like(coverage)], axis=-1) * coverage
    if bare is None:
        return result
    lit = _encoded(floor / bare[..., None])
    shadow = 1 - lit.min(axis=-1, keepdims=True)
    layer = np.concatenate([lit - (1 - shadow), shadow], axis=-1)  # over white it is `lit`
    if opaque:
        layer = np.concatenate([lit, np.ones_like(shadow)], axis=-1) * behind[..., 3:]
    return result + (1 - coverage) * layer


def finish(
    layers: Float32[np.ndarray, "G G 4"], side: int, background: tuple[float, float, float] | None
) -> UInt8[np.ndarray, "H W C"]:
    """Reduce layers to the picture and put them over the background.

    Returns:
        sRGB; with straight alpha if the background is None.
    """
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(layers, -1, 0)]
    size = (side, side)
    reduced = np.stack([np.asarray(band.resize(size, Image.Resampling.BICUBIC)) for band in bands], axis=-1)
    alpha = reduced[..., 3:].clip(0, 1)
    colour = reduced[..., :3].clip(0, alpha)
    if background is None:
        straight = np.where(alpha > 0.5 / 255, colour / np.maximum(alpha, 0.5 / 255), 0)
        picture = np.concatenate([straight, alpha], axis=-1)
    else:
        picture = colour + (1 - alpha) * np.array(background)
    return (picture * 255 + 0.5).astype(np.uint8)


def pixel_filter(cells: Float32[np.ndarray, "h w c"]) -> Float32[np.ndarray, "h w c"]:
    """Turn means over the squares of cells into means under the reference's Gaussian pixel filter.

    A square has variance 1/12 in cells and the filter 1/4: three taps with 1/12 at the sides add 1/6.
    """
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 10 * padded[1:-1] + padded[2:]) / 12
    return (rows[:, :-2] + 10 * rows[:, 1:-1] + rows[:, 2:]) / 12


def sees_floor(camera: Camera, size: int) -> Bool[np.ndarray, "G G"]:
    """Return whether the centres of cells show the floor, if nothing stood on it."""
    positions, _ = _on_floor(camera, size)
    return np.abs(positions).max(axis=-1) < FLOOR_SCALE[0]


def bare_floor(camera: Camera, size: int, window: tuple[slice, slice]) -> Float[np.ndarray, "h w"]:
    """Compute the radiance of the bare floor over HEADROOM, at most 1; 1 where there is no floor.

    Under the coat the base is Lambertian; both ways through, the coat transmits 1 - F (Fresnel), and the base
    sends what the coat reflects back inside up again (Mitsuba's `roughplastic`).
    """
    positions, cosine = (array[window] for array in _on_floor(camera, size))
    seen = np.isfinite(positions).all(axis=-1) & (cosine > 0)
    positions = np.where(seen[..., None], positions, 0)
    ior = FLOOR_IOR / AIR_IOR
    albedo = (1 - _inner_reflectance(ior)) ** -1 / ior**2 / np.pi
    right, up, forward = axes_towards_scene(LIGHT_ORIGIN)
    total = np.zeros(positions.shape[:-1])
    place = np.concatenate([positions, np.full((*positions.shape[:-1], 1), FLOOR_HEIGHT)], axis=-1)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    for (x, weight_x), (y, weight_y) in product(zip(nodes, weights, strict=True), repeat=2):
        towards = np.array(LIGHT_ORIGIN) + LIGHT_HALF_WIDTH * (x * right + y * up) - place
        distance = np.linalg.norm(towards, axis=-1)
        incoming = towards[..., 2] / distance
        cosines = incoming * np.maximum(-(towards @ forward) / distance, 0)
        total += weight_x * weight_y * (1 - _fresnel(incoming, ior)) * cosines / distance**2
    irradiance = LIGHT_RADIANCE * LIGHT_HALF_WIDTH**2 * total
    radiance = albedo * (1 - _fresnel(cosine, ior)) * irradiance / HEADROOM
    return np.where(seen, radiance, 1).clip(1e-3, 1)


def _on_floor(camera: Camera, size: int) -> tuple[Float[np.ndarray, "G G 2"], Float[np.ndarray, "G G"]]:
    """Where cells see the floor (inf where they do not), and the cosine to its normal."""
    origins, rays = camera.rays(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (FLOOR_HEIGHT - origins[..., 2]) / rays[..., 2]
        positions = origins[..., :2] + distance[..., None] * rays[..., :2]
    positions[distance <= 0] = np.inf
    return positions, -rays[..., 2] / np.linalg.norm(rays, axis=-1)


def _fresnel(cosine: Float[np.ndarray, "*n"], ior: float) -> Float[np.ndarray, "*n"]:
    """Unpolarised Fresnel reflectance of a dielectric, from outside."""
    cosine = np.clip(cosine, 0, 1)
    inner = np.sqrt(1 - (1 - cosine**2) / ior**2)
    across = (cosine - ior * inner) / (cosine + ior * inner)
    along = (ior * cosine - inner) / (ior * cosine + inner)
    return (across**2 + along**2) / 2


def _inner_reflectance(ior: float) -> float:
    """The share of diffuse light that the coat reflects back inside: 1 - (1 - F_outside) / ior^2."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    cosine = (nodes + 1) / 2
    outside = float((weights * cosine * _fresnel(cosine, ior)).sum())
    return 1 - (1 - outside) / ior**2


def _behind_spheres(
    linear: Float32[np.ndarray, "h w 3"], coverage: Float32[np.ndarray, "h w 1"]
) -> Float32[np.ndarray, "h w 3"]:
    """The floor's radiance: as seen where nothing covers it, elsewhere the mean of what is seen nearby."""
    seen = np.concatenate([linear, np.ones_like(coverage)], axis=-1) * (coverage == 0)
    floor = linear
    todo = (coverage > 0)[..., 0]
    for reach in (1, 3, REACH):
        means = _box_mean(seen, reach)
        found = todo & (means[..., 3] > 0)
        floor = np.where(found[..., None], means[..., :3] / np.maximum(means[..., 3:], 1e-6), floor)
        todo &= ~found
    return floor


def smoothed(
    values: Float32[np.ndarray, "h w 3"], where: Bool[np.ndarray, "h w"], reach: int
) -> Float32[np.ndarray, "h w 3"]:
    """Replace values `where` by means over squares of 2 `reach` + 1 cells, of values `where`."""
    sums = np.concatenate([values, np.ones_like(values[..., :1])], axis=-1) * where[..., None]
    for _ in range(2):  # along rows, then along columns
        padded = np.pad(sums, ((reach, reach), (0, 0), (0, 0)))
        total = padded[: len(sums)].copy()
        for step in range(1, 2 * reach + 1):
            total += padded[step : step + len(sums)]
        sums = total.swapaxes(0, 1)
    return np.where(where[..., None], sums[..., :3] / np.maximum(sums[..., 3:], 1), values)


def _box_mean(values: Float32[np.ndarray, "h w c"], reach: int) -> Float32[np.ndarray, "h w c"]:
    """Means over squares of 2 `reach` + 1 cells."""
    side = 2 * reach + 1
    padded = np.pad(values.astype(np.float64), ((reach + 1, reach), (reach + 1, reach), (0, 0)))
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    box = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return (box / side**2).astype(np.float32)


def _encoded(linear: Float[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    return to_srgb(linear).astype(np.float32) / 255
