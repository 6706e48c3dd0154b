"""The rectangle that lights the scene.

Imports Dr.Jit; see the package.
"""

from collections.abc import Callable
from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np

from pointspider.render.scene import LIGHT_HALF_WIDTH, LIGHT_ORIGIN, LIGHT_RADIANCE, axes_towards_scene

# Gauss-Legendre quadrature on [0, 1], per side of the light: places and weights.
NODES = [((x + 1) / 2, weight / 2) for x, weight in np.transpose(np.polynomial.legendre.leggauss(4)).tolist()]

#: Of the angle between the light's middle and its edge, as a disc of the same area.
SINE = float((np.sum(np.square(LIGHT_ORIGIN)) / (4 * LIGHT_HALF_WIDTH**2 / np.pi) + 1) ** -0.5)


class Light:
    """Irradiance of surfaces by the light."""

    def __init__(self) -> None:
        right, up, forward = axes_towards_scene(LIGHT_ORIGIN)
        self._centre = mi.ScalarPoint3f(LIGHT_ORIGIN)
        self._right, self._up = (
            mi.ScalarVector3f((axis * LIGHT_HALF_WIDTH).tolist()) for axis in (right, up)
        )
        self._normal = mi.ScalarVector3f(forward.tolist())
        self._power = LIGHT_RADIANCE * (2 * LIGHT_HALF_WIDTH) ** 2

    def sample(self, position: "mi.Point3f", normal: "mi.Normal3f", u: "mi.Point2f") -> Any:
        """Return the integrand of the irradiance at `u` over the density of `u`, direction and distance."""
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
        through: Callable[["mi.Float"], Any] = lambda cosine: 1,
    ) -> "mi.Float":
        """Return E without occluders, by quadrature; E_T with T as `through`."""
        total = mi.Float(0)
        for x, weight_x in NODES:
            for y, weight_y in NODES:
                part, direction, _ = self.sample(position, normal, mi.Point2f(x, y))
                total += weight_x * weight_y * part * through(dr.dot(normal, direction))
        return total

    def cosine(self, normal: "mi.Normal3f") -> "mi.Float":
        """Return about the share of its greatest irradiance that the light gives by its angle to a normal.

        That of a disc of the same area, whose edge the horizon crosses gradually.
        """
        cosine = -dr.dot(normal, self._normal)
        partly = dr.square(dr.clip(cosine + SINE, 0, 2 * SINE)) / (4 * SINE)
        return dr.select(cosine > SINE, cosine, partly)

    def met_by(self, origin: "mi.Point3f", direction: "mi.Vector3f") -> "mi.Bool":
        """Return whether rays would meet the rectangle without occluders."""
        distance = dr.dot(self._centre - origin, self._normal) / dr.dot(direction, self._normal)
        place = origin + distance * direction - self._centre
        across, along = dr.dot(place, self._right), dr.dot(place, self._up)
        return (distance > 0) & (dr.maximum(dr.abs(across), dr.abs(along)) < LIGHT_HALF_WIDTH**2)
