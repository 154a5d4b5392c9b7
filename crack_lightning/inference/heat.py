"""Heat maps over photographs: probabilities of windows at their middles, between them and to the edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.inference.geometry import Grid

Array = np.ndarray


@dataclass(frozen=True)
class Heat:
    """A heat map: `probability` (rows, columns), 0..1, of windows of `window_px` whose middles lie at `y_px` (rows,),
    `x_px` (columns,) of a photograph of `size_hw`. `tile_px` is the side of the tiles in tables; None: a window."""

    probability: Array
    y_px: Array
    x_px: Array
    size_hw: tuple[int, int]
    window_px: float
    tile_px: float | None = None

    def of_tile(self, box_xyxy: tuple[int, int, int, int]) -> float:
        """Returns the probability in the middle of a tile, or the highest in it if windows are smaller than tiles."""
        left, top, right, bottom = box_xyxy
        if self.tile_px is None:
            return float(self.at(np.array([(top + bottom) / 2]), np.array([(left + right) / 2]))[0, 0])
        rows, columns = (
            slice(*np.searchsorted(middles, edges))
            for middles, edges in ((self.y_px, (top, bottom)), (self.x_px, (left, right)))
        )
        return float(self.probability[rows, columns].max(initial=0.0))

    def at(self, y_px: Array, x_px: Array) -> Array:
        """Returns probabilities (len(y_px), len(x_px)) at rows and columns, continued beyond the outermost middles."""
        rows = _between(self.y_px, y_px)
        columns = _between(self.x_px, x_px)
        between_rows = self.probability[rows[0]] * (1 - rows[2])[:, None] + self.probability[rows[1]] * rows[2][:, None]
        return between_rows[:, columns[0]] * (1 - columns[2]) + between_rows[:, columns[1]] * columns[2]


def _between(known: Array, positions: Array) -> tuple[Array, Array, Array]:
    """Returns the places in `known` before and after each of `positions`, and how far it is on the way, 0..1."""
    place = np.interp(positions, known, np.arange(len(known)))
    low = np.floor(place).astype(int)
    return low, np.minimum(low + 1, len(known) - 1), place - low


def heat_of(probability: Array, grid: Grid) -> Heat:
    """Returns the heat map of one scale."""
    down, across = grid.centres_px()
    return Heat(np.asarray(probability, np.float32), np.array(down), np.array(across), grid.size_hw, grid.window_px)


def merged(heats: Sequence[Heat]) -> Heat:
    """Returns the highest probability of several scales, at the places of the finest."""
    finest = max(heats, key=lambda heat: heat.probability.size)
    highest = np.max([heat.at(finest.y_px, finest.x_px) for heat in heats], axis=0)
    return Heat(highest.astype(np.float32), finest.y_px, finest.x_px, finest.size_hw, finest.window_px)
