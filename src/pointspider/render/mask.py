"""Which part of a picture can be darker than white: the spheres and their shadows.

The light is so bright that the bare floor saturates: it fills most of the picture and needs no rays. Over
the visible floor the radiance is 1.05 to 1.26 (measured, 1,024 samples on 8 x 8 pixels), so it stays white
where little of the light is hidden, and reflections from the spheres only brighten it.
"""

import numpy as np

from pointspider.render.scene import (
    CAMERA_ORIGIN,
    FLOOR_HEIGHT,
    HALF_WIDTH,
    LIGHT_HALF_WIDTH,
    LIGHT_ORIGIN,
    RADIUS,
    axes_towards_scene,
    project,
    view_rays,
)

HIDDEN = 1 / 8  # share of the light whose loss a floor tile bears; no grey pixel lay outside on test clouds
LIGHT_SAMPLES = 8  # per side of the light
TILES = 80  # per side of the floor's square; a tile is 0.04, a sphere's shadow about 0.06 wide
REACH = 1.6  # half-width of that square: shadows fall within
MARGIN = 1.0  # cells around the disc of a sphere
BATCH = 1024  # points at a time


class Mask:
    """Finds the cells of a `size` x `size` grid over the picture that must be traced."""

    def __init__(self, size: int):
        self.size = size
        self._tile_of_cell = self._floor_tiles()  # (G, G), TILES**2 where the cell shows no tile

    def __call__(self, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spheres at `centres`, (N, 3), to the cells that show them and those that may show their shadows.

        Returns:
            Two masks (G, G) bool, rows from the top; they overlap.
        """
        hidden = np.append(self._hidden_light(centres), 0)
        return self._discs(centres), hidden[self._tile_of_cell] > HIDDEN

    def _floor_tiles(self) -> np.ndarray:
        """The floor tile that each cell's centre shows."""
        rays = view_rays(self.size)
        distance = (FLOOR_HEIGHT - CAMERA_ORIGIN[2]) / rays[..., 2]
        tile, inside = _tile(CAMERA_ORIGIN[:2] + distance[..., None] * rays[..., :2])
        return np.where(inside, tile, TILES**2)

    def _hidden_light(self, centres: np.ndarray) -> np.ndarray:
        """The share of the light that spheres hide from each floor tile, (TILES ** 2,), rather too much."""
        lamps = _light_points()[:, None]  # (L, 1, 3)
        # At the corners of tiles; what falls outside is put on a rim.
        dark = np.zeros((len(lamps), TILES + 3, TILES + 3), bool)
        for batch in _batches(centres):
            stretch = (lamps[..., 2:] - FLOOR_HEIGHT) / (lamps[..., 2:] - batch[:, 2:])
            shadows = lamps[..., :2] + stretch * (batch[:, :2] - lamps[..., :2])  # (L, n, 2)
            corner = np.rint((shadows / REACH + 1) / 2 * TILES).clip(-1, TILES + 1).astype(int) + 1
            dark[np.arange(len(lamps))[:, None], corner[..., 1], corner[..., 0]] = True
        dark = dark[:, 1:-1, 1:-1]
        around = dark[:, 1:, 1:] | dark[:, 1:, :-1] | dark[:, :-1, 1:] | dark[:, :-1, :-1]  # up to four tiles
        return around.mean(axis=0).ravel()

    def _discs(self, centres: np.ndarray) -> np.ndarray:
        """The cells that spheres cover, (G, G) bool."""
        covered = np.zeros((self.size, self.size), bool)
        for batch in _batches(centres):
            places, depth = project(batch)
            column, row = places.T * self.size
            radius = self.size * RADIUS / (2 * depth * HALF_WIDTH) + MARGIN
            window = np.arange(-np.ceil(radius.max()), np.ceil(radius.max()) + 1)
            columns = (np.floor(column)[:, None] + window)[:, None, :]  # (n, 1, W)
            rows = (np.floor(row)[:, None] + window)[:, :, None]  # (n, W, 1)
            distance = np.hypot(
                columns + 0.5 - column[:, None, None], rows + 0.5 - row[:, None, None]
            )  # (n, W, W)
            inside = (
                (distance < radius[:, None, None]) & _within(rows, self.size) & _within(columns, self.size)
            )
            rows, columns = np.broadcast_arrays(rows.astype(int), columns.astype(int))
            covered[rows[inside], columns[inside]] = True
        return covered


def _batches(centres: np.ndarray) -> list[np.ndarray]:
    return np.array_split(centres, -(-len(centres) // BATCH))


def _light_points() -> np.ndarray:
    """A regular grid of points on the light, (LIGHT_SAMPLES ** 2, 3)."""
    right, up, _ = axes_towards_scene(LIGHT_ORIGIN)
    across = ((np.arange(LIGHT_SAMPLES) + 0.5) / LIGHT_SAMPLES * 2 - 1) * LIGHT_HALF_WIDTH
    return (LIGHT_ORIGIN + across[:, None, None] * right + across[None, :, None] * up).reshape(-1, 3)


def _tile(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floor positions (..., 2) to the index of their tile, and whether there is one."""
    index = np.floor((positions / REACH + 1) / 2 * TILES).astype(int)
    return index[..., 1] * TILES + index[..., 0], _within(index, TILES).all(axis=-1)


def _within(index: np.ndarray, size: int) -> np.ndarray:
    return (index >= 0) & (index < size)
