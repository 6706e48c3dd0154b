"""The floor, Mitsuba's roughplastic: a diffuse base under a coat.

The base's lobe is a product, f(i, o) = T(i) T(o), tabulated from the BSDF itself; E_T is the irradiance with
T(i) in its integrand. The coat reflects like a slightly rough mirror, with Fresnel's share F.

Imports Dr.Jit; see the package.
"""

from dataclasses import dataclass
from functools import partial

import drjit as dr
import mitsuba as mi
import numpy as np

from pointspider.render.gather.arrays import interpolated
from pointspider.render.gather.light import Light
from pointspider.render.scene import (
    AIR_IOR,
    FLOOR_HEIGHT,
    FLOOR_IOR,
    FLOOR_ROUGHNESS,
    FLOOR_SCALE,
    floor_material,
)

TABLE = 255  # intervals of T over the cosine
FLOOR_TABLE = 256  # per side, of the bare floor's light


@dataclass(frozen=True)
class Floor:
    """Tables of the floor's coat, T of TABLE + 1 cosines, and of its light without occluders.

    A dataclass, so that frozen functions take it as an input.
    """

    coat: "mi.Float"
    light: "mi.Float"

    @classmethod
    def under(cls, light: Light) -> "Floor":
        """Return the floor that a light shines on."""
        coat = _coat_transmittance(mi.load_dict(floor_material()))
        u = dr.linspace(mi.Float, -1, 1, FLOOR_TABLE)  # a grid that is finer in the middle
        side = FLOOR_SCALE[0] * u * dr.abs(u)
        y, x = dr.meshgrid(side, side, indexing="ij")
        position, up = mi.Point3f(x, y, FLOOR_HEIGHT), mi.Normal3f(0, 0, 1)
        bare = light.irradiance(position, up, partial(_at_cosine, coat))
        dr.eval(coat, bare)
        return cls(coat, bare)

    def transmittance(self, cosine: "mi.Float") -> "mi.Float":
        """Return T of the coat."""
        return _at_cosine(self.coat, cosine)

    def bare_irradiance(self, position: "mi.Point3f") -> "mi.Float":
        """Return E_T of the floor without anything on it."""
        x, y = (dr.copysign(dr.sqrt(dr.abs(c) / FLOOR_SCALE[0]), c) for c in (position.x, position.y))
        place = (mi.Point2f(x, y) + 1) / 2 * (FLOOR_TABLE - 1)
        return interpolated(mi.Float, self.light, FLOOR_TABLE, place)


def _at_cosine(table: "mi.Float", cosine: "mi.Float") -> "mi.Float":
    """T of the coat at a cosine, linear between the table's entries."""
    place = dr.clip(cosine, 0, 1) * TABLE
    below = dr.minimum(mi.UInt32(place), TABLE - 1)
    low, high = dr.gather(mi.Float, table, below), dr.gather(mi.Float, table, below + 1)
    return dr.lerp(low, high, place - mi.Float(below))


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


def coat_direction(incoming: "mi.Vector3f", u: "mi.Point2f") -> tuple["mi.Vector3f", "mi.Float"]:
    """Return a mirror direction of the floor's coat, and Fresnel's share of it.

    A microfacet's slope follows GGX: tan(theta)^2 = alpha^2 u / (1 - u) (Bruce Walter et al., "Microfacet
    models for refraction through rough surfaces", 2007, eq. 35). At this alpha, shadowing is neglected and
    directions below the floor are turned up.
    """
    slope = FLOOR_ROUGHNESS * dr.sqrt(u.x / dr.maximum(1 - u.x, 1e-6))
    sine, cosine = dr.sincos(2 * dr.pi * u.y)
    facet = dr.normalize(mi.Vector3f(slope * cosine, slope * sine, 1))
    along = dr.dot(incoming, facet)
    mirrored = incoming - 2 * along * facet
    mirrored.z = dr.abs(mirrored.z)
    return mirrored, fresnel(dr.abs(along))


def fresnel(cosine: "mi.Float") -> "mi.Float":
    """Return the share of light that the floor's coat reflects."""
    return mi.fresnel(cosine, FLOOR_IOR / AIR_IOR)[0]
