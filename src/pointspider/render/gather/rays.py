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
from pointspider.render.scene import FLOOR_HEIGHT, FLOOR_SCALE

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


class Rays:
    """Traces single rays; `update` must be called whenever the scene shows another cloud."""

    def __init__(self, points: PointScene, light: Light, floor: Floor) -> None:
        self._points, self._light, self._floor = points, light, floor

    def update(self) -> None:
        """Take over what the scene shows."""
        points = self._points
        self._scene = points.scene
        self._sensor = points.scene.sensors()[0]
        # Opaque: a literal would be compiled into the kernels, and each cloud would compile its own.
        self._sphere_shape = dr.opaque(mi.UInt32, _registered(points.shape("points")))
        self.radius = dr.opaque(mi.Float, points.spheres.radius)
        self._centres = padded(points.spheres.centres)
        self._colours = padded(points.spheres.colours)

    def look(self, position: "mi.Point2f", covered: Any = True) -> Surface:
        """Return what the camera sees at positions in units of cells; the floor where not `covered`."""
        ray, _ = self._sensor.sample_ray(0, 0, position / self._points.size, mi.Point2f(0.5))
        return self.meet(ray.o, ray.d, True, covered, coherent=True)

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
        if not self._points.floor:
            meets_floor = mi.Bool(False)
        ray = mi.Ray3f(origin, direction, dr.select(meets_floor, down, dr.largest(mi.Float)), 0, [])
        hit = self._scene.ray_intersect_preliminary(ray, coherent=coherent, active=active & covered)
        shape = dr.reinterpret_array(mi.UInt32, hit.shape)
        on_sphere = active & covered & hit.is_valid() & (shape == self._sphere_shape)
        on_floor = active & meets_floor & ~on_sphere
        sphere = dr.select(on_sphere, hit.prim_index, 0)
        centre = lookup(self._centres, sphere, on_sphere)
        normal = dr.select(on_sphere, dr.normalize(origin + hit.t * direction - centre), mi.Vector3f(0, 0, 1))
        position = dr.select(
            on_sphere, centre + self.radius * normal, mi.Point3f(floor.x, floor.y, FLOOR_HEIGHT)
        )
        distance = dr.select(on_sphere, hit.t, down)
        return Surface(position, normal, direction, sphere, on_sphere, on_floor, distance)

    def reflect(self, surface: Surface, direction: "mi.Vector3f", active: "mi.Bool") -> Surface:
        """Return what rays from surfaces meet."""
        return self.meet(surface.start(), direction, active)

    def colour(self, surface: Surface) -> "mi.Color3f":
        """Return the spheres' colours."""
        return mi.Color3f(lookup(self._colours, surface.sphere, surface.on_sphere))

    def irradiance(self, surface: Surface, us: list["mi.Point2f"], active: "mi.Bool") -> "mi.Float":
        """Return direct irradiance, E on spheres and E_T on the floor: the total less the estimated loss."""
        on_sphere = self._light.irradiance(surface.position, surface.normal)
        result = dr.select(surface.on_sphere, on_sphere, self._floor.bare_irradiance(surface.position))
        for u in us:
            part, direction, distance = self.from_light(surface, u)
            hidden = self.hidden(surface, direction, distance, active & (part > 0))
            result -= dr.select(hidden, part / len(us), 0)
        return result

    def from_light(self, surface: Surface, u: "mi.Point2f") -> Any:
        """Return the integrand of E or E_T at `u` over the density of `u`, direction and distance."""
        part, direction, distance = self._light.sample(surface.position, surface.normal, u)
        through = self._floor.transmittance(dr.dot(surface.normal, direction))
        return dr.select(surface.on_sphere, part, part * through), direction, distance

    def hidden(
        self, surface: Surface, direction: "mi.Vector3f", distance: "mi.Float", active: Any = True
    ) -> "mi.Bool":
        """Return whether something stands between surfaces and what is at `distance`."""
        ray = mi.Ray3f(surface.start(), direction, distance * (1 - OFFSET), 0, [])
        return self._scene.ray_test(ray, active=active)


def cosine_direction(normal: "mi.Normal3f", u: "mi.Point2f") -> "mi.Vector3f":
    """Return directions about normals, of density cos / pi."""
    return mi.Frame3f(normal).to_world(mi.warp.square_to_cosine_hemisphere(u))


def _registered(shape: Any) -> Any:
    """The number by which Dr.Jit's arrays of shapes name this one; 0, which no hit has, for None."""
    return dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape))[0] if shape is not None else 0
