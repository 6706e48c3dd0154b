"""Light transport by Mitsuba's own path tracer: for its scalar variants, which lack the arrays of `gather`.

Imports Mitsuba; see the package.
"""

import mitsuba as mi
import numpy as np

from pointspider.render.points import PointScene
from pointspider.render.scene import CAMERA_ORIGIN, HALF_WIDTH, RADIUS, project, view_rays

STRIP = 8  # rows that are rendered together, from their first traced cell to their last
BATCH = 1024  # spheres at a time


def trace(points: PointScene, traced: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Radiance, albedo and normal of cells, (G, G, 9) float32.

    Radiance is the mean over a cell's square, albedo and normal are those at its centre. Mitsuba's integrator
    `aov` would average them too, but takes longer for that than for tracing paths.

    Args:
        points: the scene.
        traced: (G, G) bool, the cells that are wanted; the others may hold anything.
        samples: of each cell; rounded up, since Mitsuba stratifies products such as 4, 6 or 9.
        seed: of the samples.
    """
    radiance = np.zeros((*traced.shape, 3), np.float32)
    parameters = mi.traverse(points.scene)
    for top in range(0, len(traced), STRIP):
        strip = traced[top : top + STRIP]
        filled = np.flatnonzero(strip.any(axis=0))
        if len(filled) == 0:
            continue
        columns = slice(int(filled[0]), int(filled[-1]) + 1)
        parameters["sensor.film.crop_offset"] = [columns.start, top]
        parameters["sensor.film.crop_size"] = [columns.stop - columns.start, len(strip)]
        parameters.update()
        radiance[top : top + STRIP, columns] = np.array(mi.render(points.scene, spp=samples, seed=seed + top))
    return np.concatenate([radiance, *seen(points)], axis=-1)


def seen(points: PointScene) -> tuple[np.ndarray, np.ndarray]:
    """Albedo and normal of what the centres of cells show, both (G, G, 3) float32."""
    rays = view_rays(points.size)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    nearest = np.full(rays.shape[:2], np.inf)
    albedo = np.ones(rays.shape, np.float32)
    normal = np.broadcast_to(np.float32([0, 0, 1]), rays.shape).copy()
    for first in range(0, len(points.centres), BATCH):
        centres = points.centres[first : first + BATCH].astype(np.float64)
        sphere, row, column = _around(centres, points.size)
        distance = _distance(centres[sphere] - CAMERA_ORIGIN, rays[row, column])
        order = np.argsort(-distance)  # the nearest last, so that it stays
        order = order[distance[order] < nearest[row[order], column[order]]]
        sphere, row, column, distance = (array[order] for array in (sphere, row, column, distance))
        nearest[row, column] = distance
        albedo[row, column] = points.colours[first + sphere]
        met = CAMERA_ORIGIN + distance[:, None] * rays[row, column]
        normal[row, column] = (met - centres[sphere]) / RADIUS
    return albedo, normal


def _around(centres: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which cells may show which spheres: index of the sphere, row and column of the cell, each (n,)."""
    places, depth = project(centres)
    reach = int(size * RADIUS / (2 * depth.min() * HALF_WIDTH)) + 2
    window = np.arange(-reach, reach + 1)
    column, row = np.floor(places.T * size).astype(int)[..., None, None]  # (n, 1, 1)
    sphere = np.arange(len(centres))[:, None, None]
    sphere, rows, columns = np.broadcast_arrays(sphere, row + window[:, None], column + window)
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    return sphere[inside], rows[inside], columns[inside]


def _distance(offset: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Along unit directions (n, 3) to spheres at offsets (n, 3); inf where they miss."""
    along = np.sum(offset * direction, axis=-1)
    half_chord = RADIUS**2 - np.sum(offset**2, axis=-1) + along**2
    return np.where(half_chord > 0, along - np.sqrt(np.maximum(half_chord, 0)), np.inf)
