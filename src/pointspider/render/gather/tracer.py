"""Light transport by a final gather: the radiance of chosen cells of the picture, in one kernel of Dr.Jit.

A path tracer follows light through as many reflections as it survives. Here a camera ray takes a few shadow
rays to the light and a reflected ray, and what that one meets is looked up in a cache that was filled
beforehand; the reflection averages over its errors. (Final gathering over a radiosity solution: Mark
Reichert, "A two-pass radiosity method driven by lights and viewer position", 1992; Henrik Wann Jensen,
"Global illumination using photon maps", 1996.)

    L(x -> camera)  =  reflected direct light  +  reflected gathered light
    sphere          =  albedo / pi * E(x)      +  albedo * mean of L over cosine-distributed directions
    floor           =  T(o) * E_T(x)           +  T(o) * integral of L T(i) cos  +  F(o) * L(mirror direction)

- E is the irradiance of the light, a rectangle A of constant radiance: the integral over A of
  L cos(n) cos(light) / distance^2 * visibility. Its part without visibility is smooth and computed by
  quadrature, of the floor beforehand; one random shadow ray estimates what is hidden, as a control variate.
- Reflected light that a sphere gathers has the floor without anything on it as a control variate.
- T, E_T and F are the floor's, see `floor`.
- A sphere close by, where the cache is too coarse, is not looked up but reflects once more (`near`).
- The picture is a mean of sRGB values, and a cell's radiance a mean of linear ones. sRGB is concave, so the
  sRGB value of the mean is too bright where radiance varies within a cell. The cache estimates by how much
  (`detail`).

Filling the cache and tracing are recorded once and replayed for other clouds of as many points and rays
(`drjit.freeze`): recording and generating code would take a seventh of a picture of 64 x 64 pixels.

What is approximate is small, and the tests compare it with the path tracer: the cache's coarseness, no
shadowing between the microfacets of the coat, a smooth mirror where only gathered light sees it.

Imports Dr.Jit; see the package.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np
from jaxtyping import Bool, Float, Int

from pointspider.render.gather.arrays import flat
from pointspider.render.gather.cache import Cache, Density
from pointspider.render.gather.floor import Floor, coat_direction
from pointspider.render.gather.light import Light
from pointspider.render.gather.rays import Rays, Shown, Surface, View, cosine_direction
from pointspider.render.gather.sampler import Sampler, morton
from pointspider.render.points import PointScene

MIRROR_SHARE = 0.4  # of the floor's reflected rays go to its coat, the others to its base
# Each random decision has a dimension of its own, so that all are independent; the cache's follow.
PIXEL, LIGHT, REFLECTION, NEAR_LIGHT, NEAR_REFLECTION = range(5)


SPLIT = 2  # parts of a cell per side, between which `detail` compares radiance
NEVER = 2**31 - 1  # after so many recordings Dr.Jit warns


class FinalGather:
    """Traces the cells of a picture of a `PointScene`."""

    def __init__(
        self,
        points: PointScene,
        near: float,
        seed: int,
        light_rays: int = 1,
        reflections: int = 1,
    ) -> None:
        """Prepare what no cloud changes.

        Args:
            points: the scene.
            near: surfaces within so many radii of a reflection reflect once more instead of being looked up.
            seed: of all random numbers.
            light_rays, reflections: rays to the light and reflected rays of each sample.
        """
        self._points, self._near = points, near
        self._light_rays, self._reflections = light_rays, reflections
        self._random = Sampler(seed)
        self.light = Light()
        self.floor = Floor.under(self.light)
        self._view = View.of(points.camera)
        # A recording is of one number of points and one density; the kernels are the same for all
        llvm = mi.variant().startswith("llvm")  # with cuda Dr.Jit 1.5.0 aborts when it replays
        self._replayed = dr.freeze(self._picture, limit=2, warn_after=NEVER, enabled=llvm)

    def rays(self) -> Rays:
        """Return what traces rays in what the scene shows now."""
        return self._rays(Shown.by(self._points), self._view, self.floor)

    def _rays(self, shown: Shown, view: View, floor: Floor) -> Rays:
        return Rays(self._points, shown, view, self.light, floor)

    def trace(
        self,
        cells: Int[np.ndarray, " n"],
        samples: Int[np.ndarray, " n"],
        cache_rays: int,
        covered: Bool[np.ndarray, " n"] | None = None,
    ) -> Float[np.ndarray, "n 13"]:
        """Compute radiance, albedo, normal, coverage and detail of cells: means over their squares.

        Coverage is the share of a cell that shows spheres. Detail is the mean of the sRGB values of the
        cell's parts less the sRGB value of their mean, by the radiance of the cache.

        Args:
            cells: indices into the picture's grid, row by row.
            samples: of each cell; detail is 0 unless a multiple of SPLIT ** 2.
            cache_rays: per sphere, from which the cache is filled.
            covered: which cells can show spheres; the others show the floor. By default all.
        """
        visible = np.ones_like(cells) if covered is None else covered
        # An odd number, since all other arrays of a recording are even: no other has the length of these.
        count, odd = len(cells), (0, 1 + len(cells) % 2)
        cells, *padded = (np.pad(array, odd) for array in (cells, samples, visible))
        row, column = np.divmod(cells, self._points.size)
        corner = mi.Point2f(flat(mi.Float, column), flat(mi.Float, row))
        numbers = [flat(mi.UInt32, array) for array in (morton(column, row), *padded)]
        shown = Shown.by(self._points)
        density = Density.of(cache_rays, shown.count)
        with no_garbage_collection():
            sums = self._replayed(shown, self._view, self.floor, density, corner, *numbers)
        *means, detail = (np.stack([np.array(each)[:count] for each in group], axis=1) for group in sums)
        detail = np.where((samples % SPLIT**2 == 0)[:, None], detail, 0)
        return np.concatenate([np.concatenate(means, axis=1) / samples[:, None], detail], axis=1)

    def _picture(
        self,
        shown: Shown,
        view: View,
        floor: Floor,
        density: Density,
        corner: "mi.Point2f",
        order: "mi.UInt32",
        samples: "mi.UInt32",
        covered: "mi.UInt32",
    ) -> Any:
        """Fill the cache for the cloud that the scene shows and trace cells; recorded once, then replayed."""
        rays = self._rays(shown, view, floor)
        cache = Cache(rays, self._random, density)
        cache.fill()
        cells = Cells(rays, cache, self._random, self._near, self._light_rays, self._reflections)
        return cells.trace(corner, order, samples, covered != 0)


class Cells:
    """Traces cells of a picture."""

    def __init__(
        self, rays: Rays, cache: Cache, random: Sampler, near: float, light_rays: int, reflections: int
    ) -> None:
        """See `FinalGather`; the cache is filled."""
        self.rays, self.cache, self.random = rays, cache, random
        self.near, self.light_rays, self.reflections = near, light_rays, reflections

    @dr.syntax
    def trace(
        self, corner: "mi.Point2f", order: "mi.UInt32", samples: "mi.UInt32", covered: "mi.Bool"
    ) -> Any:
        """Sums of radiance, albedo, normal and coverage over each cell's samples; detail."""
        radiance, albedo, normal = mi.Color3f(0), mi.Color3f(0), mi.Vector3f(0)
        coverage = mi.Float(0)
        cached, cached_part, encoded_parts = mi.Color3f(0), mi.Color3f(0), mi.Color3f(0)
        parts = SPLIT**2 / mi.Float(samples)  # per sample
        sample = mi.UInt32(0)
        while sample < samples:
            index = order * samples + sample
            part, next_part = (mi.UInt32((mi.Float(sample) + step) * parts) for step in (0.5, 1.5))
            place = mi.Point2f(part % SPLIT, part // SPLIT) + self.random(index, PIXEL)
            surface = self.rays.look(corner + place / SPLIT, covered)
            radiance += self._radiance(surface, index)
            albedo += dr.select(surface.on_sphere, self.rays.colour(surface), 1)
            normal += surface.normal
            coverage += dr.select(surface.on_sphere, 1, 0)
            cached_part += self.cache.radiance(surface)
            ends = part != next_part
            cached += dr.select(ends, cached_part, 0)
            encoded_parts += dr.select(ends, _encoded(cached_part * parts), 0)
            cached_part = dr.select(ends, 0, cached_part)
            sample += 1
        detail = encoded_parts / SPLIT**2 - _encoded(cached / mi.Float(samples))
        return radiance, albedo, normal, [coverage], detail

    def _radiance(self, surface: Surface, index: "mi.UInt32") -> "mi.Color3f":
        """What surfaces that the camera sees send to it."""
        reflects = surface.on_sphere | surface.on_floor
        light = self.rays.irradiance(surface, self._each(index, LIGHT, self.light_rays), reflects)
        seen = self.rays.floor.transmittance(-surface.direction.z)
        albedo = self.rays.colour(surface)
        sphere, floor = albedo / dr.pi * light, mi.Color3f(seen * light)
        for u in self._each(index, REFLECTION, self.reflections):
            mirror = surface.on_floor & (u.x < MIRROR_SHARE)
            base = dr.select(surface.on_floor, (u.x - MIRROR_SHARE) / (1 - MIRROR_SHARE), u.x)
            diffuse = cosine_direction(surface.normal, mi.Point2f(base, u.y))
            glossy, fresnel = coat_direction(surface.direction, mi.Point2f(u.x / MIRROR_SHARE, u.y))
            direction = dr.select(mirror, glossy, diffuse)
            gathered = self._gather(surface, direction, index)
            diffuse_weight = dr.pi * seen * self.rays.floor.transmittance(direction.z) / (1 - MIRROR_SHARE)
            sphere += albedo * self.rays.gathered(surface.normal, direction, gathered) / self.reflections
            floor += dr.select(mirror, fresnel / MIRROR_SHARE, diffuse_weight) * gathered / self.reflections
        return dr.select(surface.on_sphere, sphere, dr.select(surface.on_floor, floor, 0))

    def _each(self, index: "mi.UInt32", dimension: int, count: int) -> list["mi.Point2f"]:
        """The random numbers of `count` rays of a sample."""
        return [self.random(index * count + number, dimension) for number in range(count)]

    def _gather(self, surface: Surface, direction: "mi.Vector3f", index: "mi.UInt32") -> "mi.Color3f":
        """The radiance that arrives from `direction`: looked up or, from close by, reflected once more."""
        met = self.rays.reflect(surface, direction, surface.on_sphere | surface.on_floor)
        near = met.on_sphere & (met.distance < self.near * self.rays.shown.radius)
        light = self.rays.irradiance(met, [self.random(index, NEAR_LIGHT)], near)
        onward = cosine_direction(met.normal, self.random(index, NEAR_REFLECTION))
        gathered = self.cache.radiance(self.rays.reflect(met, onward, near))
        gathered = self.rays.gathered(met.normal, onward, gathered)
        reflected = self.rays.colour(met) * (light / dr.pi + gathered)
        return dr.select(near, reflected, self.cache.radiance(met))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage: Dr.Jit aborts if arrays of NumPy's memory are released while it records."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _encoded(linear: "mi.Color3f") -> "mi.Color3f":
    """Convert to sRGB as `scene.to_srgb` does, without rounding."""
    linear = dr.clip(linear, 0, 1)
    return dr.select(linear <= 0.0031308, 12.92 * linear, 1.055 * dr.power(linear, 1 / 2.4) - 0.055)
