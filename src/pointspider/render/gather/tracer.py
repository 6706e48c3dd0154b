"""Light transport by a final gather: the radiance of chosen cells of the picture, in one kernel of Dr.Jit.

A path tracer follows light through as many reflections as it survives. Here a camera ray takes one shadow ray
to the light and one reflected ray, and what that one meets is looked up in a cache that was filled
beforehand; the reflection averages over its errors. (Final gathering over a radiosity solution: Mark
Reichert, "A two-pass radiosity method driven by lights and viewer position", 1992; Henrik Wann Jensen,
"Global illumination using photon maps", 1996.)

    L(x -> camera)  =  reflected direct light  +  reflected gathered light
    sphere          =  albedo / pi * E(x)      +  albedo * mean of L over cosine-distributed directions
    floor           =  T(o) * E_T(x)           +  T(o) * integral of L T(i) cos  +  F(o) * L(mirror direction)

- E is the irradiance of the light, a rectangle A of constant radiance: the integral over A of
  L cos(n) cos(light) / distance^2 * visibility. Its part without visibility is smooth and computed by
  quadrature, of the floor beforehand; one random shadow ray estimates what is hidden, as a control variate.
- T, E_T and F are the floor's, see `floor`.
- A sphere close by, where the cache is too coarse, is not looked up but reflects once more (`near`).

What is approximate is small, and the tests compare it with the path tracer: the cache's coarseness, no
shadowing between the microfacets of the coat, a smooth mirror where only gathered light sees it.

Imports Dr.Jit; see the package.
"""

from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np
from jaxtyping import Float, Int

from pointspider.render.gather.arrays import flat
from pointspider.render.gather.cache import Cache
from pointspider.render.gather.floor import Floor, coat_direction
from pointspider.render.gather.light import Light
from pointspider.render.gather.rays import Rays, Surface, cosine_direction
from pointspider.render.gather.sampler import Sampler, morton
from pointspider.render.points import PointScene

MIRROR_SHARE = 0.4  # of the floor's reflected rays go to its coat, the others to its base
# Each random decision has a dimension of its own, so that all are independent; the cache's follow.
PIXEL, LIGHT, REFLECTION, NEAR_LIGHT, NEAR_REFLECTION = range(5)


class FinalGather:
    """Traces the cells of a picture of a `PointScene`."""

    def __init__(self, points: PointScene, near: float, cache_rays: int, seed: int) -> None:
        """Prepare what no cloud changes.

        Args:
            points: the scene; `prepare` must be called whenever it changes.
            near: surfaces within so many radii of a reflection reflect once more instead of being looked up.
            cache_rays: per sphere, from which the cache is filled.
            seed: of all random numbers.
        """
        self._points, self._near = points, near
        self._random = Sampler(seed)
        self.light = Light()
        self.floor = Floor(self.light)
        self.rays = Rays(points, self.light, self.floor)
        self._cache = Cache(points, self.rays, self.light, self.floor, self._random, cache_rays)

    def prepare(self, cells: Int[np.ndarray, " n"]) -> None:
        """Fill the cache for the cloud that the scene shows.

        Args:
            cells: indices of those that show its spheres, through which the cache's rays go.
        """
        self.rays.update()
        self._cache.fill(flat(mi.UInt32, cells))

    def trace(
        self, cells: Int[np.ndarray, " n"], samples: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n 10"]:
        """Compute radiance, albedo, normal and coverage of cells: means over their squares.

        Coverage is the share of a cell that shows spheres.

        Args:
            cells: indices into the picture's grid, row by row.
            samples: of each cell.
        """
        row, column = np.divmod(cells, self._points.size)
        corner = mi.Point2f(flat(mi.Float, column), flat(mi.Float, row))
        sums = self._trace(corner, flat(mi.UInt32, morton(column, row)), flat(mi.UInt32, samples))
        dr.eval(sums)
        channels = [np.array(channel) for group in sums[:3] for channel in group] + [np.array(sums[3])]
        return np.stack(channels, axis=1) / samples[:, None]

    @dr.syntax
    def _trace(self, corner: "mi.Point2f", order: "mi.UInt32", samples: "mi.UInt32") -> Any:
        """Sums of radiance, albedo, normal and coverage over each cell's samples."""
        radiance, albedo, normal = mi.Color3f(0), mi.Color3f(0), mi.Vector3f(0)
        coverage = mi.Float(0)
        sample = mi.UInt32(0)
        while sample < samples:
            index = order * samples + sample
            surface = self.rays.look(corner + self._random(index, PIXEL))
            radiance += self._radiance(surface, index)
            albedo += dr.select(surface.on_sphere, self.rays.colour(surface), 1)
            normal += surface.normal
            coverage += dr.select(surface.on_sphere, 1, 0)
            sample += 1
        return radiance, albedo, normal, coverage

    def _radiance(self, surface: Surface, index: "mi.UInt32") -> "mi.Color3f":
        """What surfaces that the camera sees send to it."""
        on_floor = surface.on_floor
        light = self.rays.irradiance(surface, self._random(index, LIGHT), surface.on_sphere | on_floor)
        seen = self.floor.transmittance(-surface.direction.z)

        u = self._random(index, REFLECTION)
        mirror = on_floor & (u.x < MIRROR_SHARE)
        base = dr.select(on_floor, (u.x - MIRROR_SHARE) / (1 - MIRROR_SHARE), u.x)
        diffuse = cosine_direction(surface.normal, mi.Point2f(base, u.y))
        glossy, fresnel = coat_direction(surface.direction, mi.Point2f(u.x / MIRROR_SHARE, u.y))
        direction = dr.select(mirror, glossy, diffuse)
        gathered = self._gather(surface, direction, index)

        diffuse_weight = dr.pi * seen * self.floor.transmittance(direction.z) / (1 - MIRROR_SHARE)
        floor_weight = dr.select(mirror, fresnel / MIRROR_SHARE, diffuse_weight)
        sphere = self.rays.colour(surface) * (light / dr.pi + gathered)
        floor = seen * light + floor_weight * gathered
        return dr.select(surface.on_sphere, sphere, dr.select(on_floor, floor, 0))

    def _gather(self, surface: Surface, direction: "mi.Vector3f", index: "mi.UInt32") -> "mi.Color3f":
        """The radiance that arrives from `direction`: looked up or, from close by, reflected once more."""
        met = self.rays.reflect(surface, direction, surface.on_sphere | surface.on_floor)
        near = met.on_sphere & (met.distance < self._near * self.rays.radius)
        light = self.rays.irradiance(met, self._random(index, NEAR_LIGHT), near)
        onward = cosine_direction(met.normal, self._random(index, NEAR_REFLECTION))
        gathered = self._cache.radiance(self.rays.reflect(met, onward, near))
        reflected = self.rays.colour(met) * (light / dr.pi + gathered)
        return dr.select(near, reflected, self._cache.radiance(met))
