"""The radiance cache: roughly how bright each sphere and each patch of the floor is.

It holds, for each sphere, irradiance as a linear function of the normal; for each tile of the floor, how much
of the light is visible and what the spheres add.

Imports Dr.Jit; see the package.
"""

from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np

from pointspider.render.gather.arrays import flat, interpolated
from pointspider.render.gather.floor import Floor, fresnel
from pointspider.render.gather.light import Light
from pointspider.render.gather.rays import Rays, Surface, cosine_direction
from pointspider.render.gather.sampler import Sampler
from pointspider.render.points import PointScene
from pointspider.render.scene import FLOOR_HEIGHT, LIGHT_RADIANCE

TILES = 48  # per side of the floor's cached square
REACH = 1.25  # half-width of that square: beyond it, spheres hide or add nothing that shows
TILE_SHARE = 2  # a tile of the floor has one ray for every so many rays of a sphere
REPEATS = 2  # points that are put at each place, of which each traces a ray to the light and a reflection
MAX_RAYS = 1 << 18  # through the picture
ROUNDS = 3  # reflections that are added up; those that follow are extrapolated
SLOPE_PRIOR, MEAN_PRIOR = 1.0, 0.03  # ridge of the fit, in points; see `_fit`
# Dimensions of the sampler; those of the tracer come before.
PIXEL, TILE, LIGHT, TILE_LIGHT, REFLECTION, TILE_REFLECTION, NEXT_REFLECTION = range(5, 12)


class Cache:
    """Filled for each cloud by `fill`, then looked up by `radiance`."""

    def __init__(
        self,
        points: PointScene,
        rays: Rays,
        light: Light,
        floor: Floor,
        random: Sampler,
        rays_per_sphere: int,
    ) -> None:
        self._points, self._rays, self._light, self._floor = points, rays, light, floor
        self._random, self._rays_per_sphere = random, rays_per_sphere
        self._rays_per_tile = -(-rays_per_sphere // TILE_SHARE)

    def radiance(self, met: Surface) -> "mi.Color3f":
        """Return what surfaces send back along the rays that met them."""
        sphere = self._rays.colour(met) / dr.pi * self._irradiance(met)

        visible, from_spheres = self._tile(met)
        cosine = -met.direction.z
        base = visible * self._floor.bare_irradiance(met.position) + from_spheres
        mirrored = mi.Vector3f(met.direction.x, met.direction.y, cosine)
        light = dr.select(self._light.met_by(met.position, mirrored), LIGHT_RADIANCE * visible, 0)
        floor = self._floor.transmittance(cosine) * base + fresnel(cosine) * light
        return dr.select(met.on_sphere, sphere, dr.select(met.on_floor, floor, 0))

    def fill(self, cells: "mi.UInt32") -> None:
        """Put points where reflections of the picture and the floor end, and exchange light among them.

        Args:
            cells: indices of those that show spheres.
        """
        tiles = self._tiles()
        from_tiles = self._scatter(tiles, TILE_REFLECTION)
        from_seen = self._scatter(self._seen(cells), REFLECTION)
        visible = self._visible_light(tiles)
        dr.eval(from_seen, from_tiles, visible)
        points, first = self._points_of([from_seen, from_tiles] * REPEATS)
        index = dr.arange(mi.UInt32, dr.width(points.sphere))
        light = self._rays.irradiance(points, [self._random(index, LIGHT)], True)
        onward = self._scatter(points, NEXT_REFLECTION)
        dr.eval(light, onward)
        inverse = self._inverse_moments(points.normal, first)

        self._sphere_light = [dr.zeros(mi.Float, 4 * len(self._points.spheres.centres))] * 3
        self._tile_light = dr.ravel(mi.Vector4f(visible, 0, 0, 0))
        through = self._floor.transmittance(from_tiles.direction.z)
        totals, fits, means = [], [], []  # of every round
        for _ in range(ROUNDS):
            irradiance = light + dr.pi * self.radiance(onward)
            dr.eval(irradiance)
            totals.append(dr.sum(irradiance, axis=1))
            fits.append(self._fit(irradiance, points.normal, first, inverse, totals[-1]))
            self._sphere_light = fits[-1]
            dr.eval(self._sphere_light)
            from_spheres = dr.pi * through * self.radiance(from_tiles)
            dr.eval(from_spheres)
            count = self._rays_per_tile
            means.append([dr.block_sum(channel, count) / count for channel in from_spheres])
            self._tile_light = dr.ravel(mi.Vector4f(visible, *means[-1]))
        # Each round adds about the same share of what the round before added: the rest is a geometric series.
        first_gain, last_gain = totals[-2] - totals[-3], totals[-1] - totals[-2]
        share = dr.clip(last_gain / dr.maximum(first_gain, 1e-6), 0, 0.9)
        rest = share / (1 - share)
        fit, mean = (
            [new + more * (new - old) for old, new, more in zip(*rounds[-2:], rest, strict=True)]
            for rounds in (fits, means)
        )
        self._sphere_light, self._tile_light = fit, dr.ravel(mi.Vector4f(visible, *mean))
        dr.eval(self._sphere_light, self._tile_light)

    # ------------------------------------------------------------------------------------------ lookups

    def _irradiance(self, met: Surface) -> "mi.Color3f":
        """The irradiance of spheres at their normals."""
        fits = [dr.gather(mi.Vector4f, light, met.sphere, met.on_sphere) for light in self._sphere_light]
        return mi.Color3f([dr.maximum(dr.dot(fit.xyz, met.normal) + fit.w, 0) for fit in fits])

    def _tile(self, met: Surface) -> tuple["mi.Float", "mi.Color3f"]:
        """The floor's visible share of the light and the irradiance E_T from spheres, interpolated."""
        place = (mi.Point2f(met.position.x, met.position.y) / REACH + 1) * (TILES / 2) - 0.5
        inside = met.on_floor & dr.all((place > 0) & (place < TILES - 1))
        light = interpolated(mi.Vector4f, self._tile_light, TILES, place)
        return dr.select(inside, light.x, 1), dr.select(inside, mi.Color3f(light.y, light.z, light.w), 0)

    # ------------------------------------------------------------------------------------------ filling

    def _seen(self, cells: "mi.UInt32") -> Surface:
        """What the camera sees at random places in cells."""
        count = min(self._rays_per_sphere * len(self._points.spheres.centres), MAX_RAYS)
        index = dr.arange(mi.UInt32, count)
        among = dr.opaque(mi.Float, dr.width(cells) / count)
        cell = dr.gather(mi.UInt32, cells, mi.UInt32((mi.Float(index) + 0.5) * among))
        corner = mi.Point2f(cell % self._points.size, cell // self._points.size)
        return self._rays.look(corner + self._random(index, PIXEL))

    def _tiles(self) -> Surface:
        """Random places on the floor, `_rays_per_tile` in each tile, tile by tile."""
        index = dr.arange(mi.UInt32, TILES**2 * self._rays_per_tile)
        tile = index // self._rays_per_tile
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
        return dr.block_sum(reaching, self._rays_per_tile) / dr.block_sum(part, self._rays_per_tile)

    def _points_of(self, batches: list[Surface]) -> tuple[Surface, "mi.UInt32"]:
        """Those surfaces that are on spheres, sphere by sphere, and where each sphere's begin, (N + 1,)."""
        spheres = self._points.spheres
        on_sphere = np.concatenate([np.array(batch.on_sphere) for batch in batches])
        sphere = np.concatenate([np.array(batch.sphere) for batch in batches])[on_sphere]
        normal = np.concatenate([np.array(batch.normal) for batch in batches], axis=1)[:, on_sphere]
        numbers = np.uint16 if len(spheres.centres) <= 1 << 16 else np.uint32
        order = np.argsort(sphere.astype(numbers), kind="stable")  # a radix sort of 16 bits
        sphere, normal = sphere[order], normal[:, order]
        first = np.searchsorted(sphere, np.arange(len(spheres.centres) + 1))
        position = spheres.centres[sphere].T + spheres.radius * normal
        positions, normals = ([flat(mi.Float, row) for row in rows] for rows in (position, normal))
        surface = Surface(
            mi.Point3f(positions), mi.Normal3f(normals), -mi.Vector3f(normals),
            flat(mi.UInt32, sphere), mi.Bool(True), mi.Bool(False), 0,
        )  # fmt: skip
        return surface, flat(mi.UInt32, first)

    @dr.syntax
    def _inverse_moments(self, normal: "mi.Normal3f", first: "mi.UInt32") -> "mi.Matrix4f":
        """The ridge's inverse normal matrix of each sphere's points, for x = (normal, 1)."""
        sphere = dr.arange(mi.UInt32, len(self._points.spheres.centres))
        row, end = dr.gather(mi.UInt32, first, sphere), dr.gather(mi.UInt32, first, sphere + 1)
        moments = mi.Matrix4f(np.diag([SLOPE_PRIOR] * 3 + [MEAN_PRIOR]))
        while row < end:
            x = _homogeneous(dr.gather(mi.Normal3f, normal, row))
            moments += _outer(x, x)
            row += 1
        inverse = dr.rcp(moments)
        dr.eval(inverse)
        return inverse

    @dr.syntax
    def _fit(
        self,
        irradiance: "mi.Color3f",
        normal: "mi.Normal3f",
        first: "mi.UInt32",
        inverse: "mi.Matrix4f",
        total: "mi.Color3f",
    ) -> Any:
        """Per channel and sphere, slope and mean of the irradiance over the normal, by ridge regression.

        A sphere without points is as bright as the others are on average, by the `total` irradiance.
        """
        count = dr.opaque(mi.Float, dr.width(irradiance))  # a literal would be compiled into the kernel
        prior = MEAN_PRIOR * total / count
        sphere = dr.arange(mi.UInt32, len(self._points.spheres.centres))
        row, end = dr.gather(mi.UInt32, first, sphere), dr.gather(mi.UInt32, first, sphere + 1)
        sums = [mi.Vector4f(0, 0, 0, channel) for channel in prior]
        while row < end:
            x = _homogeneous(dr.gather(mi.Normal3f, normal, row))
            value = dr.gather(mi.Color3f, irradiance, row)
            sums = [sums[0] + x * value.x, sums[1] + x * value.y, sums[2] + x * value.z]
            row += 1
        return [dr.ravel(inverse @ sums[0]), dr.ravel(inverse @ sums[1]), dr.ravel(inverse @ sums[2])]


def _homogeneous(vector: "mi.Normal3f") -> "mi.Vector4f":
    return mi.Vector4f(vector.x, vector.y, vector.z, 1)


def _outer(left: "mi.Vector4f", right: "mi.Vector4f") -> "mi.Matrix4f":
    return mi.Matrix4f([[a * b for b in right] for a in left])
