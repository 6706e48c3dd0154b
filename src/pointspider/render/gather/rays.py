"""What rays meet in a scene of points, and how much of the light reaches it.

Imports Dr.Jit; see the package.
"""

from dataclasses import dataclass
from typing import Any

import drjit as dr
import mitsuba as mi

from pointspider.render.gather.arrays import lookup, padded
from pointspider.render.gather.floor import Floor
from pointspider.render.gather.light import Light
from pointspider.render.points import PointScene
from pointspider.render.scene import FLOOR_HEIGHT, FLOOR_SCALE, Camera

FLOOR_RADIANCE = 0.4  # of the control variate: least noise on test clouds; see `Rays.gathered`
OFFSET = 1e-4  # by which rays start above a surface, in scene units


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
        """Return where a ray that leaves the surface begins."""
        return self.position + self.normal * OFFSET


@dataclass(frozen=True)
class Shown:
    """What a scene shows: all that differs from cloud to cloud, as inputs of a frozen function.

    Attributes:
        count, opaque_count: of spheres. The second is for arithmetic: the first would be compiled into the
            kernels, and each number of points would compile its own.
        scene: Mitsuba's.
        shape: the number of the spheres' shape among those that rays can meet.
        radius: of all spheres.
        centres, colours: of spheres, as `arrays.lookup` reads them.
    """

    count: int
    opaque_count: "mi.Float"
    scene: Any
    shape: "mi.UInt32"
    radius: "mi.Float"
    centres: "mi.Float"
    colours: "mi.Float"

    @classmethod
    def by(cls, points: PointScene) -> "Shown":
        """Return what a scene shows now."""
        spheres = points.spheres
        return cls(
            len(spheres.centres),
            dr.opaque(mi.Float, len(spheres.centres)),
            points.scene,
            dr.opaque(mi.UInt32, _registered(points.shape("points"))),
            dr.opaque(mi.Float, spheres.radius),
            padded(spheres.centres),
            padded(spheres.colours),
        )


@dataclass(frozen=True)
class View:
    """A camera as an input of a frozen function; opaque, so that all cameras have the same kernels.

    Attributes:
        origin: where it is.
        right, up, forward: from the middle of the picture to its edges, at distance 1, and to the scene.
    """

    origin: "mi.Point3f"
    right: "mi.Vector3f"
    up: "mi.Vector3f"
    forward: "mi.Vector3f"

    @classmethod
    def of(cls, camera: Camera) -> "View":
        """Return the view of a camera."""
        right, up, forward = camera.axes()
        axes = (right * camera.half_width, up * camera.half_width, forward)
        return cls(
            dr.opaque(mi.Point3f, camera.origin.tolist()),
            *(dr.opaque(mi.Vector3f, axis.tolist()) for axis in axes),
        )


class Rays:
    """Traces single rays."""

    def __init__(self, points: PointScene, shown: Shown, view: View, light: Light, floor: Floor) -> None:
        """Trace in what a scene shows.

        Args:
            points: the scene; only what does not differ from cloud to cloud is read.
            shown, view: what does.
            light, floor: what lights it, and what is under it.
        """
        self.shown, self.size, self.light, self.floor = shown, points.size, light, floor
        self._view, self._orthographic, self._distance = (
            view,
            points.camera.orthographic,
            points.camera.distance,
        )
        self._has_floor = points.floor

    def look(self, position: "mi.Point2f", covered: Any = True) -> Surface:
        """Return what the camera sees at positions in units of cells; the floor where not `covered`."""
        view, place = self._view, position * (2 / self.size) - 1
        offset = place.x * view.right - place.y * view.up
        origin, direction = view.origin, view.forward
        if self._orthographic:
            origin = origin + self._distance * offset
        else:
            direction = dr.normalize(direction + offset)
        return self.meet(origin, direction, True, covered, coherent=True)

    def meet(
        self,
        origin: "mi.Point3f",
        direction: "mi.Vector3f",
        active: Any,
        covered: Any = True,
        coherent: bool = False,
    ) -> Surface:
        """Return what rays meet first: spheres, where `covered`, or the floor.

        The floor is a plane, so only spheres need to be searched. The light itself counts as nothing: it is
        sampled, never met.
        """
        down = (FLOOR_HEIGHT - origin.z) / direction.z
        floor = origin + down * direction
        meets_floor = (down > 0) & (dr.maximum(dr.abs(floor.x), dr.abs(floor.y)) < FLOOR_SCALE[0])
        if not self._has_floor:
            meets_floor = mi.Bool(False)
        ray = mi.Ray3f(origin, direction, dr.select(meets_floor, down, dr.largest(mi.Float)), 0, [])
        hit = self.shown.scene.ray_intersect_preliminary(ray, coherent=coherent, active=active & covered)
        shape = dr.reinterpret_array(mi.UInt32, hit.shape)
        on_sphere = active & covered & hit.is_valid() & (shape == self.shown.shape)
        on_floor = active & meets_floor & ~on_sphere
        sphere = dr.select(on_sphere, hit.prim_index, 0)
        centre = lookup(self.shown.centres, sphere, on_sphere)
        normal = dr.select(on_sphere, dr.normalize(origin + hit.t * direction - centre), mi.Vector3f(0, 0, 1))
        position = dr.select(
            on_sphere, centre + self.shown.radius * normal, mi.Point3f(floor.x, floor.y, FLOOR_HEIGHT)
        )
        distance = dr.select(on_sphere, hit.t, down)
        return Surface(position, normal, direction, sphere, on_sphere, on_floor, distance)

    def reflect(self, surface: Surface, direction: "mi.Vector3f", active: "mi.Bool") -> Surface:
        """Return what rays from surfaces meet."""
        return self.meet(surface.start(), direction, active)

    def centre(self, sphere: "mi.UInt32") -> "mi.Point3f":
        """Return the centres of spheres."""
        return mi.Point3f(lookup(self.shown.centres, sphere, mi.Bool(True)))

    def colour(self, surface: Surface) -> "mi.Color3f":
        """Return the spheres' colours."""
        return mi.Color3f(lookup(self.shown.colours, surface.sphere, surface.on_sphere))

    def irradiance(self, surface: Surface, us: list["mi.Point2f"], active: "mi.Bool") -> "mi.Float":
        """Return direct irradiance, E on spheres and E_T on the floor: the total less the estimated loss."""
        on_sphere = self.light.irradiance(surface.position, surface.normal)
        result = dr.select(surface.on_sphere, on_sphere, self.floor.bare_irradiance(surface.position))
        for u in us:
            part, direction, distance = self.from_light(surface, u)
            hidden = self.hidden(surface, direction, distance, active & (part > 0))
            result -= dr.select(hidden, part / len(us), 0)
        return result

    def from_light(self, surface: Surface, u: "mi.Point2f") -> Any:
        """Return the integrand of E or E_T at `u` over the density of `u`, direction and distance."""
        part, direction, distance = self.light.sample(surface.position, surface.normal, u)
        through = self.floor.transmittance(dr.dot(surface.normal, direction))
        return dr.select(surface.on_sphere, part, part * through), direction, distance

    def gathered(
        self, normal: "mi.Normal3f", direction: "mi.Vector3f", radiance: "mi.Color3f"
    ) -> "mi.Color3f":
        """Return the mean of arriving radiance over cosine-distributed directions about a normal, by one.

        The floor without anything on it, of constant radiance, is a control variate: its mean is known, and
        rays that see it, or nothing above it, add little noise.
        """
        if not self._has_floor:
            return radiance
        return radiance + FLOOR_RADIANCE * ((1 - normal.z) / 2 - dr.select(direction.z < 0, 1, 0))

    def hidden(
        self, surface: Surface, direction: "mi.Vector3f", distance: "mi.Float", active: Any = True
    ) -> "mi.Bool":
        """Return whether something stands between surfaces and what is at `distance`."""
        ray = mi.Ray3f(surface.start(), direction, distance * (1 - OFFSET), 0, [])
        return self.shown.scene.ray_test(ray, active=active)


def cosine_direction(normal: "mi.Normal3f", u: "mi.Point2f") -> "mi.Vector3f":
    """Return directions about normals, of density cos / pi."""
    return mi.Frame3f(normal).to_world(mi.warp.square_to_cosine_hemisphere(u))


def _registered(shape: Any) -> Any:
    """The number by which Dr.Jit's arrays of shapes name this one; 0, which no hit has, for None."""
    return dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape))[0] if shape is not None else 0
