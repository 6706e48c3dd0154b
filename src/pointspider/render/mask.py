"""Which cells of a picture can be darker than the bare floor: those that show spheres or their shadows.

The light is so bright that the bare floor saturates: it fills most of the picture and needs no rays. Over
what the default camera sees of it the radiance is 1.05 to 1.26 (measured, 1,024 samples on 8 x 8 pixels), so
it stays white where little of the light is hidden, and reflections from the spheres only brighten it.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from pointspider.render.scene import (
    BATCH,
    FLOOR_HEIGHT,
    LIGHT_HALF_WIDTH,
    LIGHT_ORIGIN,
    Camera,
    Spheres,
    axes_towards_scene,
    sphere_cells,
    within,
)

HIDDEN = 1 / 8  # share of the light that a floor tile can lose; no grey pixel lay outside on test clouds
HIDDEN_IN_LAYERS = 1 / 24  # where the bare floor may be no brighter than HEADROOM of `layers`
LIGHT_SAMPLES = 8  # per side of the light: a bit each of 64
TILES = 80  # per side of the floor's square; a tile is 0.04, a sphere's shadow about 0.06 wide
REACH = 1.6  # half-width of that square: shadows fall within


class Mask:
    """Finds the cells of a `size` x `size` grid over the picture that must be traced."""

    def __init__(self, camera: Camera, size: int, floor: bool = True, hidden: float = HIDDEN) -> None:
        self.camera = camera
        self.size = size
        self._least_hidden = hidden
        # TILES**2 where the cell shows no tile
        self._tile_of_cell = self._floor_tiles() if floor else np.full((size, size), TILES**2)

    def __call__(self, spheres: Spheres) -> tuple[Bool[np.ndarray, "G G"], Bool[np.ndarray, "G G"]]:
        """Return the cells that show spheres, and those that may show their shadows; they overlap."""
        return self.discs(spheres), self.shadows(spheres.centres)

    def shadows(self, centres: Float[np.ndarray, "N 3"]) -> Bool[np.ndarray, "G G"]:
        """Return the cells that may show shadows of what is at these places."""
        hidden = np.append(_hidden_light(centres), 0)
        shadows: Bool[np.ndarray, "G G"] = hidden[self._tile_of_cell] > self._least_hidden
        return shadows

    def discs(self, spheres: Spheres) -> Bool[np.ndarray, "G G"]:
        """Return the cells that show spheres, rows from the top."""
        covered = np.zeros((self.size, self.size), bool)
        for _, rows, columns in sphere_cells(spheres, self.camera, self.size):
            covered[rows, columns] = True
        return covered

    def _floor_tiles(self) -> Int[np.ndarray, "G G"]:
        """The floor tile that each cell's centre shows."""
        origins, directions = self.camera.rays(self.size)
        downwards = np.minimum(directions[..., 2], -1e-9)  # others never meet the floor
        distance = (FLOOR_HEIGHT - origins[..., 2]) / downwards
        tile, inside = _tile(origins[..., :2] + distance[..., None] * directions[..., :2])
        return np.where(inside & (directions[..., 2] < 0), tile, TILES**2)


def _hidden_light(centres: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " tiles"]:
    """The share of the light that spheres hide from each floor tile, rather too much."""
    lamps = _light_points().astype(np.float32)[:, None]  # (L, 1, 3)
    # At the corners of tiles, a bit per lamp; what falls outside is put on a rim.
    dark = np.zeros(((TILES + 3) ** 2, len(lamps)), bool)
    for batch in np.array_split(centres.astype(np.float32), -(-len(centres) // BATCH)):
        stretch = (lamps[..., 2] - FLOOR_HEIGHT) / (lamps[..., 2] - batch[:, 2])  # (L, n)
        column, row = (
            (TILES / 2 / REACH) * (lamps[..., axis] + stretch * (batch[:, axis] - lamps[..., axis]))
            for axis in (0, 1)
        )
        column, row = (
            (place + (TILES / 2 + 1.5)).clip(0, TILES + 2).astype(np.int32) for place in (column, row)
        )
        dark[row * (TILES + 3) + column, np.arange(len(lamps))[:, None]] = True
    bits = np.packbits(dark, axis=1).view(np.uint64).reshape(TILES + 3, TILES + 3)[1:-1, 1:-1]
    around = bits[1:, 1:] | bits[1:, :-1] | bits[:-1, 1:] | bits[:-1, :-1]  # up to four tiles
    return np.bitwise_count(around).ravel() / len(lamps)


def _light_points() -> Float[np.ndarray, "L 3"]:
    """A regular grid of points on the light."""
    right, up, _ = axes_towards_scene(LIGHT_ORIGIN)
    across = ((np.arange(LIGHT_SAMPLES) + 0.5) / LIGHT_SAMPLES * 2 - 1) * LIGHT_HALF_WIDTH
    return (LIGHT_ORIGIN + across[:, None, None] * right + across[None, :, None] * up).reshape(-1, 3)


def _tile(positions: Float[np.ndarray, "*G 2"]) -> tuple[Int[np.ndarray, "*G"], Bool[np.ndarray, "*G"]]:
    """The index of the tile at each floor position, and whether there is one."""
    index = np.floor((positions / REACH + 1) / 2 * TILES).clip(-1, TILES).astype(int)
    return index[..., 1] * TILES + index[..., 0], np.all(within(index, TILES), axis=-1)
