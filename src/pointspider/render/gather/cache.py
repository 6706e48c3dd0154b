"""The radiance cache: roughly how bright each sphere and each patch of the floor is.

It holds, for each sphere, irradiance by its normal n: direct light as what an unhidden light would give,
times a linear function of n; reflected light as a linear function of n. For each tile of the floor it holds
how much of the light is visible and what the spheres add.

All are fitted to random points on whole spheres, also where a point is inside of another sphere. Rays do not
meet spheres from inside, so such a point is about as bright as the surface around it.

Imports Dr.Jit; see the package.
"""

from dataclasses import dataclass

import drjit as dr
import mitsuba as mi
import numpy as np

from pointspider.render.gather.arrays import interpolated
from pointspider.render.gather.floor import fresnel
from pointspider.render.gather.rays import Rays, Surface, cosine_direction
from pointspider.render.gather.sampler import Sampler
from pointspider.render.scene import FLOOR_HEIGHT, LIGHT_RADIANCE

TILES = 48  # per side of the floor's cached square
REACH = 1.25  # half-width of that square: beyond it, spheres hide or add nothing that shows
TILE_SHARE = 4  # a tile of the floor has one point for every so many rays per sphere
MAX_POINTS = 1 << 18  # on all spheres
ROUNDS = 3  # reflections that are added up; those that follow are extrapolated
SLOPE_PRIOR, MEAN_PRIOR = 1.0, 0.03  # ridge of the fits, in points; see `_fit`
# Dimensions of the sampler; those of the tracer come before.
POINT, TILE, LIGHT, TILE_LIGHT, TILE_REFLECTION, NEXT_REFLECTION = range(5, 11)


@dataclass(frozen=True)
class Density:
    """From how many random points the cache is filled, an input of a frozen function.

    Attributes:
        per_sphere, per_tile: points on each sphere and on each tile of the floor; the lengths of arrays.
        opaque_per_sphere, opaque_per_tile: the same for arithmetic, so that all densities share kernels; see
            `rays.Shown`.
    """

    per_sphere: int
    per_tile: int
    opaque_per_sphere: "mi.UInt32"
    opaque_per_tile: "mi.UInt32"

    @classmethod
    def of(cls, rays_per_sphere: int, spheres: int) -> "Density":
        """Return the density for so many rays per sphere; all spheres have at most MAX_POINTS points."""
        counts = max(1, min(rays_per_sphere, MAX_POINTS // spheres)), -(-rays_per_sphere // TILE_SHARE)
        return cls(*counts, *(dr.opaque(mi.UInt32, count) for count in counts))


class Cache:
    """Filled by `fill`, then looked up by `radiance`."""

    def __init__(self, rays: Rays, random: Sampler, density: Density) -> None:
        """Prepare an empty cache.

        Args:
            rays: trace what a scene shows.
            random: the random numbers.
            density: from how many points the cache is filled.
        """
        self._rays, self._random, self._density = rays, random, density
        self._direct = dr.zeros(mi.Float, 4 * rays.shown.count)
        self._indirect = [self._direct] * 3

    def radiance(self, met: Surface) -> "mi.Color3f":
        """Return what surfaces send back along the rays that met them."""
        sphere = self._rays.colour(met) / dr.pi * self._irradiance(met)

        visible, from_spheres = self._tile(met)
        cosine = -met.direction.z
        base = visible * self._rays.floor.bare_irradiance(met.position) + from_spheres
        mirrored = mi.Vector3f(met.direction.x, met.direction.y, cosine)
        light = dr.select(self._rays.light.met_by(met.position, mirrored), LIGHT_RADIANCE * visible, 0)
        floor = self._rays.floor.transmittance(cosine) * base + fresnel(cosine) * light
        return dr.select(met.on_sphere, sphere, dr.select(met.on_floor, floor, 0))

    def fill(self) -> None:
        """Exchange light among points on the spheres and the floor."""
        tiles = self._tiles()
        from_tiles = self._scatter(tiles, TILE_REFLECTION)
        visible = self._visible_light(tiles)
        points = self._points_on_spheres()
        index = dr.arange(mi.UInt32, dr.width(points.sphere))
        onward = self._scatter(points, NEXT_REFLECTION)
        light = self._rays.irradiance(points, [self._random(index, LIGHT)], True)
        basis, direct_basis = _homogeneous(points.normal), self._lit(points.normal)
        dr.eval(from_tiles, visible, onward, light, basis, direct_basis)
        lit = dr.maximum(dr.sum(direct_basis.w), 1e-6)
        self._direct = self._fit([light], direct_basis, self._inverse_moments(direct_basis), lit)[0]
        self._tile_light = dr.ravel(mi.Vector4f(visible, 0, 0, 0))
        dr.eval(self._direct)
        inverse = self._inverse_moments(basis)
        count = self._rays.shown.opaque_count * self._density.opaque_per_sphere
        through = self._rays.floor.transmittance(from_tiles.direction.z)
        totals, fits, means = [], [], []  # of every round
        for _ in range(ROUNDS):
            gathered = dr.pi * self._rays.gathered(points.normal, onward.direction, self.radiance(onward))
            dr.eval(gathered)
            totals.append(dr.sum(gathered, axis=1))
            fits.append(self._fit(list(gathered), basis, inverse, count))
            self._indirect = fits[-1]
            dr.eval(self._indirect)
            from_spheres = dr.pi * through * self.radiance(from_tiles)
            dr.eval(from_spheres)
            sums = [dr.block_sum(channel, self._density.per_tile) for channel in from_spheres]
            means.append([each / self._density.opaque_per_tile for each in sums])
            self._tile_light = dr.ravel(mi.Vector4f(visible, *means[-1]))
        # Each round adds about the same share of what the round before added: the rest is a geometric series.
        first_gain, last_gain = totals[-2] - totals[-3], totals[-1] - totals[-2]
        share = dr.clip(last_gain / dr.maximum(first_gain, 1e-6), 0, 0.9)
        rest = share / (1 - share)
        fit, mean = (
            [new + more * (new - old) for old, new, more in zip(*rounds[-2:], rest, strict=True)]
            for rounds in (fits, means)
        )
        self._indirect, self._tile_light = fit, dr.ravel(mi.Vector4f(visible, *mean))
        dr.eval(self._indirect, self._tile_light)

    # ------------------------------------------------------------------------------------------ lookups

    def _irradiance(self, met: Surface) -> "mi.Color3f":
        """The irradiance of spheres at their normals."""
        direct, *indirect = (
            dr.gather(mi.Vector4f, fit, met.sphere, met.on_sphere) for fit in (self._direct, *self._indirect)
        )
        light = dr.maximum(dr.dot(direct, self._lit(met.normal)), 0)
        basis = _homogeneous(met.normal)
        return mi.Color3f([light + dr.maximum(dr.dot(fit, basis), 0) for fit in indirect])

    def _tile(self, met: Surface) -> tuple["mi.Float", "mi.Color3f"]:
        """The floor's visible share of the light and the irradiance E_T from spheres, interpolated."""
        place = (mi.Point2f(met.position.x, met.position.y) / REACH + 1) * (TILES / 2) - 0.5
        inside = met.on_floor & dr.all((place > 0) & (place < TILES - 1))
        light = interpolated(mi.Vector4f, self._tile_light, TILES, place)
        return dr.select(inside, light.x, 1), dr.select(inside, mi.Color3f(light.y, light.z, light.w), 0)

    # ------------------------------------------------------------------------------------------ filling

    def _tiles(self) -> Surface:
        """Random places on the floor, tile by tile."""
        index = dr.arange(mi.UInt32, TILES**2 * self._density.per_tile)
        tile = index // self._density.opaque_per_tile
        place = mi.Point2f(tile % TILES, tile // TILES) + self._random(index, TILE)
        x, y = (place / (TILES / 2) - 1) * REACH
        up = mi.Vector3f(0, 0, 1)
        return Surface(
            mi.Point3f(x, y, FLOOR_HEIGHT), up, -up, mi.UInt32(0), mi.Bool(False), mi.Bool(True), 0
        )

    def _scatter(self, surface: Surface, dimension: int) -> Surface:
        """What reflections of cosine-distributed directions meet."""
        index = dr.arange(mi.UInt32, dr.width(surface.position))
        direction = cosine_direction(surface.normal, self._random(index, dimension))
        return self._rays.reflect(surface, direction, surface.on_sphere | surface.on_floor)

    def _visible_light(self, tiles: Surface) -> "mi.Float":
        """The share of the light's E_T that reaches each tile."""
        index = dr.arange(mi.UInt32, dr.width(tiles.position))
        part, direction, distance = self._rays.from_light(tiles, self._random(index, TILE_LIGHT))
        reaching = dr.select(self._rays.hidden(tiles, direction, distance), 0, part)
        dr.eval(part, reaching)
        reaching, part = (dr.block_sum(each, self._density.per_tile) for each in (reaching, part))
        return reaching / part

    def _points_on_spheres(self) -> Surface:
        """Random points on every sphere, sphere by sphere."""
        index = dr.arange(mi.UInt32, self._rays.shown.count * self._density.per_sphere)
        sphere = index // self._density.opaque_per_sphere
        normal = mi.Normal3f(mi.warp.square_to_uniform_sphere(self._random(index, POINT)))
        position = self._rays.centre(sphere) + self._rays.shown.radius * normal
        return Surface(position, normal, -mi.Vector3f(normal), sphere, mi.Bool(True), mi.Bool(False), 0)

    def _lit(self, normal: "mi.Normal3f") -> "mi.Vector4f":
        """The basis of direct light: what an unhidden light gives, times a linear function of the normal."""
        return self._rays.light.cosine(normal) * _homogeneous(normal)

    @dr.syntax
    def _inverse_moments(self, basis: "mi.Vector4f") -> "mi.Matrix4f":
        """The ridge's inverse normal matrix of each sphere's points."""
        row = dr.arange(mi.UInt32, self._rays.shown.count) * self._density.opaque_per_sphere
        end = row + self._density.opaque_per_sphere
        moments = mi.Matrix4f(np.diag([SLOPE_PRIOR] * 3 + [MEAN_PRIOR]).tolist())
        while row < end:
            x = dr.gather(mi.Vector4f, basis, row)
            moments += _outer(x, x)
            row += 1
        inverse = dr.rcp(moments)
        dr.eval(inverse)
        return inverse

    def _fit(
        self, channels: list["mi.Float"], basis: "mi.Vector4f", inverse: "mi.Matrix4f", total: "mi.Float"
    ) -> list["mi.Float"]:
        """Coefficients of each sphere for each channel, 4 in turn, by ridge regression to the mean sphere.

        Args:
            channels: at the points of all spheres.
            basis: the functions that are fitted, at the points.
            inverse: see `_inverse_moments`.
            total: the last function's sum over the points.
        """
        priors = [MEAN_PRIOR * dr.sum(channel) / total for channel in channels]
        return [
            self._fit_one(channel, basis, inverse, prior)
            for channel, prior in zip(channels, priors, strict=True)
        ]

    @dr.syntax
    def _fit_one(
        self, channel: "mi.Float", basis: "mi.Vector4f", inverse: "mi.Matrix4f", prior: "mi.Float"
    ) -> "mi.Float":
        row = dr.arange(mi.UInt32, self._rays.shown.count) * self._density.opaque_per_sphere
        end = row + self._density.opaque_per_sphere
        total = mi.Vector4f(0, 0, 0, prior)
        while row < end:
            total += dr.gather(mi.Vector4f, basis, row) * dr.gather(mi.Float, channel, row)
            row += 1
        return dr.ravel(inverse @ total)


def _homogeneous(vector: "mi.Normal3f") -> "mi.Vector4f":
    return mi.Vector4f(vector.x, vector.y, vector.z, 1)


def _outer(left: "mi.Vector4f", right: "mi.Vector4f") -> "mi.Matrix4f":
    return mi.Matrix4f([[a * b for b in right] for a in left])
