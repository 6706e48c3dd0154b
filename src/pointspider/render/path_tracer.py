"""Light transport by Mitsuba's path tracer: for its scalar variants, which lack the arrays of `gather`, and
for surfaces.

Imports Mitsuba; see the package.
"""

from typing import Any

import mitsuba as mi
import numpy as np
from jaxtyping import Bool, Float, Float32

from pointspider.render.points import PointScene
from pointspider.render.scene import Camera, Spheres, sphere_cells

STRIP = 8  # rows that are rendered together, from their first traced cell to their last
WIDE_STRIP = 64  # in variants that trace many rays at once
FINER = 4  # cells per side of a cell, for the share of it that shows spheres


def trace(
    points: PointScene, traced: Bool[np.ndarray, "G G"], samples: int, seed: int, coverage: bool = False
) -> Float[np.ndarray, "G G 10"]:
    """Compute radiance, albedo, normal and coverage of cells.

    Radiance is the mean over a cell's square, albedo and normal are those at its centre. Mitsuba's integrator
    `aov` would average them too, but takes longer for that than for tracing paths. Coverage is the share of
    the cell that shows spheres.

    Args:
        points: the scene.
        traced: the cells to trace; the values of others are arbitrary.
        samples: of each cell; rounded up, since Mitsuba stratifies products such as 4, 6 or 9.
        seed: of the samples.
        coverage: whether to compute it; zero otherwise.
    """
    guides = look(points.spheres, points.camera, points.size)
    share = np.zeros(traced.shape, np.float32)
    if coverage:
        share = covered(points.spheres, points.camera, points.size)
    traced_radiance = radiance(points.scene, traced, samples, seed)
    return np.concatenate([traced_radiance, *guides, share[..., None]], axis=-1)


def radiance(
    scene: Any, traced: Bool[np.ndarray, "G G"], samples: int, seed: int
) -> Float32[np.ndarray, "G G 3"]:
    """Trace the paths of cells, strip by strip; the values of other cells are arbitrary."""
    result = np.zeros((*traced.shape, 3), np.float32)
    parameters = mi.traverse(scene)
    height = STRIP if mi.variant().startswith("scalar") else WIDE_STRIP
    for top in range(0, len(traced), height):
        strip = traced[top : top + height]
        filled = np.flatnonzero(strip.any(axis=0))
        if len(filled) == 0:
            continue
        columns = slice(int(filled[0]), int(filled[-1]) + 1)
        parameters["sensor.film.crop_offset"] = [columns.start, top]
        parameters["sensor.film.crop_size"] = [columns.stop - columns.start, len(strip)]
        parameters.update()
        result[top : top + height, columns] = np.array(mi.render(scene, spp=samples, seed=seed + top))
    return result


def look(
    spheres: Spheres, camera: Camera, size: int
) -> tuple[Float32[np.ndarray, "G G 3"], Float32[np.ndarray, "G G 3"]]:
    """Compute albedo and normal at the centres of cells."""
    origins, rays = _unit_rays(camera, size)
    nearest = np.full(rays.shape[:2], np.inf)
    albedo = np.ones(rays.shape, np.float32)
    normal = np.broadcast_to(np.array([0, 0, 1], np.float32), rays.shape).copy()
    for sphere, row, column in sphere_cells(spheres, camera, size):
        centre = spheres.centres[sphere].astype(np.float64)
        distance = _distance(centre - origins[row, column], rays[row, column], spheres.radius)
        order = np.argsort(-distance)  # the nearest last, so that it stays
        order = order[distance[order] < nearest[row[order], column[order]]]
        sphere, row, column, distance = (array[order] for array in (sphere, row, column, distance))
        nearest[row, column] = distance
        albedo[row, column] = spheres.colours[sphere]
        met = origins[row, column] + distance[:, None] * rays[row, column]
        normal[row, column] = (met - centre[order]) / spheres.radius
    return albedo, normal


def covered(spheres: Spheres, camera: Camera, size: int) -> Float32[np.ndarray, "G G"]:
    """Compute the share of each cell that shows spheres, from FINER x FINER rays."""
    hits = np.zeros((FINER**2, size, size), bool)
    steps = (np.arange(FINER) + 0.5) / FINER - 0.5
    shifts = [(x, y) for x in steps for y in steps]
    for sphere, row, column in sphere_cells(spheres, camera, size):
        centre = spheres.centres[sphere].astype(np.float64)
        for hit, shift in zip(hits, shifts, strict=True):
            origins, rays = _unit_rays(camera, size, shift)
            found = np.isfinite(_distance(centre - origins[row, column], rays[row, column], spheres.radius))
            hit[row[found], column[found]] = True
    return hits.mean(axis=0, dtype=np.float32)


def _unit_rays(
    camera: Camera, size: int, shift: tuple[float, float] = (0.0, 0.0)
) -> tuple[Float[np.ndarray, "G G 3"], Float[np.ndarray, "G G 3"]]:
    origins, rays = camera.rays(size, shift)
    return np.broadcast_to(origins, rays.shape), rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _distance(
    offset: Float[np.ndarray, "n 3"], direction: Float[np.ndarray, "n 3"], radius: float
) -> Float[np.ndarray, " n"]:
    """Along unit directions to spheres at offsets; inf where they miss."""
    along = np.sum(offset * direction, axis=-1)
    half_chord = radius**2 - np.sum(offset**2, axis=-1) + along**2
    return np.where(half_chord > 0, along - np.sqrt(np.maximum(half_chord, 0)), np.inf)
