"""Light transport by a final gather: the radiance of chosen cells of the picture, in one kernel of Dr.Jit.

A path tracer follows light through as many reflections as it survives. Here a camera ray takes one shadow ray
to the light and one reflected ray, and what that one meets is looked up: how bright each sphere and each
patch of the floor is was found beforehand, roughly, and the reflection averages over many of them. (Final
gathering over a radiosity solution: Mark Reichert, "A two-pass radiosity method driven by lights and viewer
position", 1992; Henrik Wann Jensen, "Global illumination using photon maps", 1996.)

    L(x -> camera)  =  reflected direct light  +  reflected gathered light
    sphere          =  albedo / pi * E(x)      +  albedo * mean of L over cosine-distributed directions
    floor           =  T(o) * E_T(x)           +  T(o) * integral of L T(i) cos  +  F(o) * L(mirror direction)

- E is the irradiance of the light, a rectangle A of constant radiance: the integral over A of
  L cos(n) cos(light) / distance^2 * visibility. Its part without visibility is smooth and taken by
  quadrature, of the floor beforehand; one random shadow ray estimates what is hidden, as a control variate.
- The floor is Mitsuba's roughplastic: a diffuse base under a coat. The base's lobe is a product,
  f(i, o) = T(i) T(o), tabulated from the BSDF itself; E_T is the irradiance with T(i) in its integrand. The
  coat reflects like a slightly rough mirror, with Fresnel's share F.
- The cache holds, for each sphere, irradiance as a linear function of the normal; for each tile of the floor,
  how much of the light is visible and what the spheres add. A sphere close by, where the cache is too coarse,
  is not looked up but reflects once more (`near`).

What is approximate is small, and the tests hold it against the path tracer: the cache's coarseness, no
shadowing between the microfacets of the coat, a smooth mirror where only gathered light sees it.

Imports Dr.Jit; see the package.
"""

from collections.abc import Callable
from dataclasses import dataclass

import drjit as dr
import mitsuba as mi
import numpy as np

from pointspider.render.gather.sampler import Sampler, morton
from pointspider.render.points import PointScene
from pointspider.render.scene import (
    AIR_IOR,
    FLOOR_HEIGHT,
    FLOOR_IOR,
    FLOOR_ROUGHNESS,
    FLOOR_SCALE,
    LIGHT_HALF_WIDTH,
    LIGHT_ORIGIN,
    LIGHT_RADIANCE,
    RADIUS,
    axes_towards_scene,
)

VECTOR_BYTES = 64  # of the widest vectors that LLVM makes kernels of, AVX-512's
OFFSET = 1e-4  # by which rays start above a surface, in scene units
MIRROR_SHARE = 0.4  # of the floor's reflected rays go to its coat, the others to its base
TABLE = 256  # intervals of T over the cosine
# Of Gauss and Legendre's quadrature on [0, 1], per side of the light: places and weights.
NODES = [((x + 1) / 2, weight / 2) for x, weight in np.transpose(np.polynomial.legendre.leggauss(4)).tolist()]
FLOOR_TABLE = 256  # per side, of the floor's unhidden light
TILES = 48  # per side of the floor's cached square
REACH = 1.25  # half-width of that square: beyond it, spheres hide or add nothing that shows
TILE_RAYS = 16  # per tile of the floor
MAX_CACHE_RAYS = 1 << 18  # through the picture
ROUNDS = 5  # reflections that the cache adds up; after 3, dense clouds of bright spheres are too dark
SLOPE_PRIOR, MEAN_PRIOR = 1.0, 0.03  # ridge of the cache's fit, in points; see `_fit`
# Each random decision has a dimension of its own, so that all are independent.
PIXEL, LIGHT, REFLECTION, NEAR_LIGHT, NEAR_REFLECTION = range(5)
CACHE_PIXEL, CACHE_TILE, CACHE_LIGHT, TILE_LIGHT = range(5, 9)
CACHE_REFLECTION, CACHE_TILE_REFLECTION, CACHE_NEXT_REFLECTION = range(9, 12)


@dataclass(frozen=True)
class Surface:
    """Where rays ended: on a sphere, on the floor, or nowhere (neither).

    Attributes:
        position, normal: of the surface; direction: of the ray that met it.
        sphere: the sphere's index where `on_sphere`, else 0.
        distance: along the ray.
    """

    position: "mi.Point3f"
    normal: "mi.Normal3f"
    direction: "mi.Vector3f"
    sphere: "mi.UInt32"
    on_sphere: "mi.Bool"
    on_floor: "mi.Bool"
    distance: "mi.Float"

    def start(self) -> "mi.Point3f":
        """Where a ray that leaves the surface begins."""
        return self.position + self.normal * OFFSET


class FinalGather:
    """Traces the cells of a picture of a `PointScene`."""

    def __init__(self, points: PointScene, near: float, cache_rays: int, seed: int):
        """Prepare what no cloud changes.

        Args:
            points: the scene; `prepare` must be called whenever it shows another cloud.
            near: surfaces within so many radii of a reflection reflect once more instead of being looked up.
            cache_rays: per sphere, from which the cache is made.
            seed: of all random numbers.
        """
        self._points, self._near, self._cache_rays = points, near, cache_rays
        self._random = Sampler(seed)
        self._light = _Light()
        self._coat = None

    def prepare(self, cells: np.ndarray) -> None:
        """Make the cache for the cloud that the scene shows.

        Args:
            cells: (n,) indices of those that show its spheres, through which the cache's rays go.
        """
        points = self._points
        self._scene = points.scene
        self._sensor = points.scene.sensors()[0]
        if self._coat is None:
            self._coat = _coat_transmittance(points.shape("floor").bsdf())
            self._floor_light = self._tabulate_floor()
            dr.eval(self._coat, self._floor_light)
        # Opaque: a literal would be compiled into the kernels, and each cloud would compile its own.
        self._sphere_shape = dr.opaque(mi.UInt32, _registered(points.shape("points")))
        self._floor_shape = dr.opaque(mi.UInt32, _registered(points.shape("floor")))
        self._centres, self._colours = (_padded(array) for array in (points.centres, points.colours))
        self._fill_cache(_flat(mi.UInt32, cells))

    def trace(self, cells: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Radiance, albedo and normal of cells.

        Args:
            cells: (n,) indices into the picture's grid, row by row.
            samples: (n,) of each cell.

        Returns:
            (n, 9) float32, means over the cells' squares.
        """
        row, column = np.divmod(cells, self._points.size)
        corner = mi.Point2f(_flat(mi.Float, column), _flat(mi.Float, row))
        sums = self._trace(corner, _flat(mi.UInt32, morton(column, row)), _flat(mi.UInt32, samples))
        dr.eval(sums)
        return np.stack([np.array(channel) for group in sums for channel in group], axis=1) / samples[:, None]

    @dr.syntax
    def _trace(self, corner: "mi.Point2f", order: "mi.UInt32", samples: "mi.UInt32"):
        """Sums of radiance, albedo and normal over each cell's samples."""
        radiance, albedo, normal = mi.Color3f(0), mi.Color3f(0), mi.Vector3f(0)
        sample = mi.UInt32(0)
        while sample < samples:
            index = order * samples + sample
            surface = self._look(corner + self._random(index, PIXEL))
            radiance += self._radiance(surface, index)
            albedo += dr.select(surface.on_sphere, self._colour(surface), 1)
            normal += surface.normal
            sample += 1
        return radiance, albedo, normal

    # ------------------------------------------------------------------------------------------ rays

    def _look(self, position: "mi.Point2f") -> Surface:
        """What the camera sees at positions in units of cells."""
        ray, _ = self._sensor.sample_ray(0, 0, position / self._points.size, mi.Point2f(0.5))
        return self._meet(ray.o, ray.d, True, coherent=True)

    def _meet(
        self, origin: "mi.Point3f", direction: "mi.Vector3f", active: "mi.Bool", coherent: bool = False
    ) -> Surface:
        """What rays meet first. The light itself counts as nothing: it is sampled, never met."""
        ray = mi.Ray3f(origin, direction)
        hit = self._scene.ray_intersect_preliminary(ray, coherent=coherent, active=active)
        shape = dr.reinterpret_array(mi.UInt32, hit.shape)
        on_sphere = active & hit.is_valid() & (shape == self._sphere_shape)
        on_floor = active & hit.is_valid() & (shape == self._floor_shape)
        sphere = dr.select(on_sphere, hit.prim_index, 0)
        centre = _lookup(self._centres, sphere, on_sphere)
        met = origin + hit.t * direction
        normal = dr.select(on_sphere, dr.normalize(met - centre), mi.Vector3f(0, 0, 1))
        position = dr.select(on_sphere, centre + RADIUS * normal, mi.Point3f(met.x, met.y, FLOOR_HEIGHT))
        return Surface(position, normal, direction, sphere, on_sphere, on_floor, hit.t)

    def _reflect(self, surface: Surface, direction: "mi.Vector3f", active: "mi.Bool") -> Surface:
        return self._meet(surface.start(), direction, active)

    def _colour(self, surface: Surface) -> "mi.Color3f":
        return mi.Color3f(_lookup(self._colours, surface.sphere, surface.on_sphere))

    # ------------------------------------------------------------------------------- reflected radiance

    def _radiance(self, surface: Surface, index: "mi.UInt32") -> "mi.Color3f":
        """What surfaces that the camera sees send to it."""
        on_floor = surface.on_floor
        light = self._irradiance(surface, self._random(index, LIGHT), surface.on_sphere | on_floor)
        seen = self._transmittance(-surface.direction.z)

        u = self._random(index, REFLECTION)
        mirror = on_floor & (u.x < MIRROR_SHARE)
        base = dr.select(on_floor, (u.x - MIRROR_SHARE) / (1 - MIRROR_SHARE), u.x)
        diffuse = _cosine_direction(surface.normal, mi.Point2f(base, u.y))
        glossy, fresnel = _coat_direction(surface.direction, mi.Point2f(u.x / MIRROR_SHARE, u.y))
        direction = dr.select(mirror, glossy, diffuse)
        gathered = self._gather(surface, direction, index)

        diffuse_weight = dr.pi * seen * self._transmittance(direction.z) / (1 - MIRROR_SHARE)
        floor_weight = dr.select(mirror, fresnel / MIRROR_SHARE, diffuse_weight)
        sphere = self._colour(surface) * (light / dr.pi + gathered)
        floor = seen * light + floor_weight * gathered
        return dr.select(surface.on_sphere, sphere, dr.select(on_floor, floor, 0))

    def _gather(self, surface: Surface, direction: "mi.Vector3f", index: "mi.UInt32") -> "mi.Color3f":
        """The radiance that arrives from `direction`: looked up or, from close by, reflected once more."""
        met = self._reflect(surface, direction, surface.on_sphere | surface.on_floor)
        near = met.on_sphere & (met.distance < self._near * RADIUS)
        light = self._irradiance(met, self._random(index, NEAR_LIGHT), near)
        onward = _cosine_direction(met.normal, self._random(index, NEAR_REFLECTION))
        gathered = self._cached_radiance(self._reflect(met, onward, near))
        reflected = self._colour(met) * (light / dr.pi + gathered)
        return dr.select(near, reflected, self._cached_radiance(met))

    def _irradiance(self, surface: Surface, u: "mi.Point2f", active: "mi.Bool") -> "mi.Float":
        """Irradiance: E on spheres, E_T on the floor: the whole less an estimate of the hidden."""
        part, direction, distance = self._from_light(surface, u)
        ray = mi.Ray3f(surface.start(), direction, distance * (1 - OFFSET), 0, [])
        hidden = self._scene.ray_test(ray, active=active & (part > 0))
        return self._unhidden_irradiance(surface) - dr.select(hidden, part, 0)

    def _unhidden_irradiance(self, surface: Surface) -> "mi.Float":
        """E or E_T if nothing stood in the way: on the floor it depends on the place alone."""
        on_sphere = self._light.irradiance(surface.position, surface.normal)
        return dr.select(surface.on_sphere, on_sphere, self._unhidden_on_floor(surface.position))

    def _unhidden_on_floor(self, position: "mi.Point3f") -> "mi.Float":
        """E_T of the floor if nothing stood on it, looked up."""
        x, y = (dr.copysign(dr.sqrt(dr.abs(c) / FLOOR_SCALE[0]), c) for c in (position.x, position.y))
        place = (mi.Point2f(x, y) + 1) / 2 * (FLOOR_TABLE - 1)
        return _interpolated(mi.Float, self._floor_light, FLOOR_TABLE, place)

    def _tabulate_floor(self) -> "mi.Float":
        """E_T of the bare floor, (FLOOR_TABLE ** 2,), on a grid that is finer in the middle."""
        u = dr.linspace(mi.Float, -1, 1, FLOOR_TABLE)
        side = FLOOR_SCALE[0] * u * dr.abs(u)
        y, x = dr.meshgrid(side, side, indexing="ij")
        position, up = mi.Point3f(x, y, FLOOR_HEIGHT), mi.Normal3f(0, 0, 1)
        return self._light.irradiance(position, up, self._transmittance)

    def _from_light(self, surface: Surface, u: "mi.Point2f"):
        """The integrand of E or E_T at `u` on the light, over the density of `u`; direction and distance."""
        part, direction, distance = self._light.sample(surface.position, surface.normal, u)
        through = self._transmittance(dr.dot(surface.normal, direction))
        return dr.select(surface.on_sphere, part, part * through), direction, distance

    def _transmittance(self, cosine: "mi.Float") -> "mi.Float":
        """T of the floor's coat, linear between the table's entries."""
        place = dr.clip(cosine, 0, 1) * TABLE
        below = dr.minimum(mi.UInt32(place), TABLE - 1)
        low, high = dr.gather(mi.Float, self._coat, below), dr.gather(mi.Float, self._coat, below + 1)
        return dr.lerp(low, high, place - mi.Float(below))

    # ------------------------------------------------------------------------------------------- cache

    def _cached_radiance(self, met: Surface) -> "mi.Color3f":
        """What surfaces send back along the rays that met them, looked up."""
        sphere = self._colour(met) / dr.pi * self._cached_irradiance(met)

        visible, from_spheres = self._cached_tile(met)
        cosine = -met.direction.z
        base = visible * self._unhidden_on_floor(met.position) + from_spheres
        mirrored = mi.Vector3f(met.direction.x, met.direction.y, cosine)
        light = dr.select(self._light.met_by(met.position, mirrored), LIGHT_RADIANCE * visible, 0)
        floor = self._transmittance(cosine) * base + _fresnel(cosine) * light
        return dr.select(met.on_sphere, sphere, dr.select(met.on_floor, floor, 0))

    def _cached_irradiance(self, met: Surface) -> "mi.Color3f":
        """The irradiance of spheres at their normals."""
        fits = [dr.gather(mi.Vector4f, light, met.sphere, met.on_sphere) for light in self._sphere_light]
        return mi.Color3f([dr.maximum(dr.dot(fit.xyz, met.normal) + fit.w, 0) for fit in fits])

    def _cached_tile(self, met: Surface) -> tuple["mi.Float", "mi.Color3f"]:
        """The floor's visible share of the light and the irradiance E_T from spheres, interpolated."""
        place = (mi.Point2f(met.position.x, met.position.y) / REACH + 1) * (TILES / 2) - 0.5
        inside = met.on_floor & dr.all((place > 0) & (place < TILES - 1))
        light = _interpolated(mi.Vector4f, self._tile_light, TILES, place)
        return dr.select(inside, light.x, 1), dr.select(inside, mi.Color3f(light.y, light.z, light.w), 0)

    def _fill_cache(self, cells: "mi.UInt32") -> None:
        """Put points where reflections end that the picture and the floor send; let light go among them."""
        tiles = self._tiles()
        from_tiles = self._scatter(tiles, CACHE_TILE_REFLECTION)
        from_seen = self._scatter(self._seen(cells), CACHE_REFLECTION)
        visible = self._visible_light(tiles)
        dr.eval(from_seen, from_tiles, visible)
        points, first = self._cache_points([from_seen, from_tiles])
        index = dr.arange(mi.UInt32, dr.width(points.sphere))
        light = self._irradiance(points, self._random(index, CACHE_LIGHT), True)
        onward = self._scatter(points, CACHE_NEXT_REFLECTION)
        dr.eval(light, onward)
        inverse = self._inverse_moments(points.normal, first)

        self._sphere_light = [dr.zeros(mi.Float, 4 * len(self._points.centres))] * 3
        self._tile_light = dr.ravel(mi.Vector4f(visible, 0, 0, 0))
        for _ in range(ROUNDS):
            irradiance = light + dr.pi * self._cached_radiance(onward)
            through = self._transmittance(from_tiles.direction.z)
            from_spheres = dr.pi * through * self._cached_radiance(from_tiles)
            dr.eval(irradiance, from_spheres)
            self._sphere_light = self._fit(irradiance, points.normal, first, inverse)
            means = [dr.block_sum(channel, TILE_RAYS) / TILE_RAYS for channel in from_spheres]
            self._tile_light = dr.ravel(mi.Vector4f(visible, *means))
            dr.eval(self._sphere_light, self._tile_light)

    def _seen(self, cells: "mi.UInt32") -> Surface:
        """What the camera sees at random places in cells."""
        count = min(self._cache_rays * len(self._points.centres), MAX_CACHE_RAYS)
        index = dr.arange(mi.UInt32, count)
        among = dr.opaque(mi.Float, dr.width(cells) / count)
        cell = dr.gather(mi.UInt32, cells, mi.UInt32((mi.Float(index) + 0.5) * among))
        corner = mi.Point2f(cell % self._points.size, cell // self._points.size)
        return self._look(corner + self._random(index, CACHE_PIXEL))

    def _tiles(self) -> Surface:
        """Random places on the floor, `TILE_RAYS` in each tile, tile by tile."""
        index = dr.arange(mi.UInt32, TILES**2 * TILE_RAYS)
        tile = index // TILE_RAYS
        place = mi.Point2f(tile % TILES, tile // TILES) + self._random(index, CACHE_TILE)
        x, y = (place / (TILES / 2) - 1) * REACH
        up = mi.Vector3f(0, 0, 1)
        return Surface(
            mi.Point3f(x, y, FLOOR_HEIGHT), up, -up, mi.UInt32(0), mi.Bool(False), mi.Bool(True), 0
        )

    def _scatter(self, surface: Surface, dimension: int) -> Surface:
        """What reflections of cosine-distributed directions meet."""
        index = dr.arange(mi.UInt32, dr.width(surface.position))
        direction = _cosine_direction(surface.normal, self._random(index, dimension))
        return self._reflect(surface, direction, surface.on_sphere | surface.on_floor)

    def _visible_light(self, tiles: Surface) -> "mi.Float":
        """The share of the light's E_T that reaches each tile."""
        index = dr.arange(mi.UInt32, dr.width(tiles.position))
        part, direction, distance = self._from_light(tiles, self._random(index, TILE_LIGHT))
        hidden = self._scene.ray_test(mi.Ray3f(tiles.start(), direction, distance * (1 - OFFSET), 0, []))
        reaching = dr.select(hidden, 0, part)
        dr.eval(part, reaching)
        return dr.block_sum(reaching, TILE_RAYS) / dr.block_sum(part, TILE_RAYS)

    def _cache_points(self, batches: list[Surface]) -> tuple[Surface, "mi.UInt32"]:
        """Those surfaces that are on spheres, sphere by sphere, and where each sphere's begin, (N + 1,)."""
        on_sphere = np.concatenate([np.array(batch.on_sphere) for batch in batches])
        sphere = np.concatenate([np.array(batch.sphere) for batch in batches])[on_sphere]
        normal = np.concatenate([np.array(batch.normal) for batch in batches], axis=1)[:, on_sphere]
        order = np.argsort(sphere, kind="stable")
        sphere, normal = sphere[order], normal[:, order]
        first = np.searchsorted(sphere, np.arange(len(self._points.centres) + 1))
        position = self._points.centres[sphere].T + RADIUS * normal
        position, normal = ([_flat(mi.Float, row) for row in rows] for rows in (position, normal))
        surface = Surface(
            mi.Point3f(position), mi.Normal3f(normal), -mi.Vector3f(normal),
            _flat(mi.UInt32, sphere), mi.Bool(True), mi.Bool(False), 0,
        )  # fmt: skip
        return surface, _flat(mi.UInt32, first)

    @dr.syntax
    def _inverse_moments(self, normal: "mi.Normal3f", first: "mi.UInt32") -> "mi.Matrix4f":
        """The ridge's inverse normal matrix of each sphere's points, for x = (normal, 1)."""
        sphere = dr.arange(mi.UInt32, len(self._points.centres))
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
        self, irradiance: "mi.Color3f", normal: "mi.Normal3f", first: "mi.UInt32", inverse: "mi.Matrix4f"
    ):
        """Per channel and sphere, slope and mean of the irradiance over the normal, by ridge regression.

        A sphere without points is as bright as the others are on average.
        """
        count = dr.opaque(mi.Float, dr.width(irradiance))  # a literal would be compiled into the kernel
        prior = MEAN_PRIOR * dr.sum(irradiance, axis=1) / count
        sphere = dr.arange(mi.UInt32, len(self._points.centres))
        row, end = dr.gather(mi.UInt32, first, sphere), dr.gather(mi.UInt32, first, sphere + 1)
        sums = [mi.Vector4f(0, 0, 0, channel) for channel in prior]
        while row < end:
            x = _homogeneous(dr.gather(mi.Normal3f, normal, row))
            value = dr.gather(mi.Color3f, irradiance, row)
            sums = [sums[0] + x * value.x, sums[1] + x * value.y, sums[2] + x * value.z]
            row += 1
        return [dr.ravel(inverse @ sums[0]), dr.ravel(inverse @ sums[1]), dr.ravel(inverse @ sums[2])]


class _Light:
    """The rectangle that lights the scene."""

    def __init__(self):
        right, up, forward = axes_towards_scene(LIGHT_ORIGIN)
        self._centre = mi.Point3f(LIGHT_ORIGIN)
        self._right, self._up = (mi.Vector3f(axis * LIGHT_HALF_WIDTH) for axis in (right, up))
        self._normal = mi.Vector3f(forward)
        self._power = LIGHT_RADIANCE * (2 * LIGHT_HALF_WIDTH) ** 2

    def sample(self, position: "mi.Point3f", normal: "mi.Normal3f", u: "mi.Point2f"):
        """The integrand of the irradiance at `u`, over the density of `u`; the direction; the distance."""
        across, along = 2 * u - 1
        towards = self._centre + across * self._right + along * self._up - position
        distance = dr.norm(towards)
        direction = towards / distance
        cosines = dr.maximum(dr.dot(normal, direction), 0) * dr.maximum(-dr.dot(self._normal, direction), 0)
        return self._power * cosines / dr.square(distance), direction, distance

    def irradiance(
        self,
        position: "mi.Point3f",
        normal: "mi.Normal3f",
        through: Callable[["mi.Float"], "mi.Float"] = lambda cosine: 1,
    ) -> "mi.Float":
        """E if nothing stood in the way, by quadrature; E_T with T as `through`."""
        total = mi.Float(0)
        for x, weight_x in NODES:
            for y, weight_y in NODES:
                part, direction, _ = self.sample(position, normal, mi.Point2f(x, y))
                total += weight_x * weight_y * part * through(dr.dot(normal, direction))
        return total

    def met_by(self, origin: "mi.Point3f", direction: "mi.Vector3f") -> "mi.Bool":
        """Whether rays would meet the rectangle if nothing stood in the way."""
        distance = dr.dot(self._centre - origin, self._normal) / dr.dot(direction, self._normal)
        place = origin + distance * direction - self._centre
        across, along = dr.dot(place, self._right), dr.dot(place, self._up)
        return (distance > 0) & (dr.maximum(dr.abs(across), dr.abs(along)) < LIGHT_HALF_WIDTH**2)


def _coat_transmittance(bsdf: "mi.BSDF") -> "mi.Float":
    """T of the floor at TABLE + 1 cosines from 0 to 1: its diffuse lobe is f(i, o) = T(i) T(o)."""
    cosine = mi.Float(np.linspace(0, 1, TABLE + 1, dtype=np.float32).clip(1e-3))
    surface = dr.zeros(mi.SurfaceInteraction3f, TABLE + 1)
    surface.n = surface.sh_frame.n = mi.Normal3f(0, 0, 1)
    surface.wi = mi.Vector3f(dr.sqrt(1 - dr.square(cosine)), 0, cosine)
    context = mi.BSDFContext()
    context.type_mask = mi.BSDFFlags.DiffuseReflection
    value = bsdf.eval(context, surface, surface.wi)  # f(wi, wi) * cosine
    return dr.sqrt(value.x / cosine)


def _coat_direction(incoming: "mi.Vector3f", u: "mi.Point2f") -> tuple["mi.Vector3f", "mi.Float"]:
    """A mirror direction of the floor's coat, and Fresnel's share of it.

    A microfacet's slope follows GGX: tan(theta)^2 = alpha^2 u / (1 - u) (Bruce Walter et al., "Microfacet
    models for refraction through rough surfaces", 2007, eq. 35). At this alpha, shadowing is left out and
    directions below the floor are turned up.
    """
    slope = FLOOR_ROUGHNESS * dr.sqrt(u.x / dr.maximum(1 - u.x, 1e-6))
    sine, cosine = dr.sincos(2 * dr.pi * u.y)
    facet = dr.normalize(mi.Vector3f(slope * cosine, slope * sine, 1))
    along = dr.dot(incoming, facet)
    mirrored = incoming - 2 * along * facet
    mirrored.z = dr.abs(mirrored.z)
    return mirrored, _fresnel(dr.abs(along))


def _fresnel(cosine: "mi.Float") -> "mi.Float":
    """The share of light that the floor's coat reflects."""
    return mi.fresnel(cosine, FLOOR_IOR / AIR_IOR)[0]


def _cosine_direction(normal: "mi.Normal3f", u: "mi.Point2f") -> "mi.Vector3f":
    """Directions about normals, of density cos / pi."""
    return mi.Frame3f(normal).to_world(mi.warp.square_to_cosine_hemisphere(u))


def _interpolated(kind: type, table: "mi.Float", size: int, place: "mi.Point2f"):
    """Values of `kind` at places, in units of nodes, between the nodes of a `size` x `size` table."""
    corner = mi.Point2u(dr.clip(place, 0, size - 2))
    first = corner.y * size + corner.x
    low_left, low_right, high_left, high_right = (
        dr.gather(kind, table, first + step) for step in (0, 1, size, size + 1)
    )
    across, along = place - mi.Point2f(corner)
    return dr.lerp(dr.lerp(low_left, low_right, across), dr.lerp(high_left, high_right, across), along)


def _homogeneous(vector: "mi.Normal3f") -> "mi.Vector4f":
    return mi.Vector4f(vector.x, vector.y, vector.z, 1)


def _outer(left: "mi.Vector4f", right: "mi.Vector4f") -> "mi.Matrix4f":
    return mi.Matrix4f([[a * b for b in right] for a in left])


def _flat(kind: type, array: np.ndarray):
    """(n,) numbers as Dr.Jit's.

    They begin at a multiple of VECTOR_BYTES. Dr.Jit shares NumPy's memory and compiles a kernel for each
    combination of inputs that do and do not: taken as it comes, memory would have kernels compiled for ever.
    """
    numbers = np.float32 if kind is mi.Float else np.uint32
    room = np.empty(array.size + VECTOR_BYTES // 4, numbers)
    start = -room.ctypes.data % VECTOR_BYTES // 4
    room[start : start + array.size] = array
    return kind(room[start : start + array.size])


def _padded(array: np.ndarray) -> "mi.Float":
    """(N, 3) as one flat array of N groups of 4, which are looked up together faster."""
    return _flat(mi.Float, np.pad(array, ((0, 0), (0, 1))).ravel())


def _lookup(padded: "mi.Float", index: "mi.UInt32", active: "mi.Bool") -> "mi.Vector3f":
    """Rows of what `_padded` made."""
    return dr.gather(mi.Vector4f, padded, index, active).xyz


def _registered(shape: "mi.Shape") -> int:
    """The number by which Dr.Jit's arrays of shapes name this one."""
    return dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape))[0]
