"""A heat map over a photograph: probabilities of windows at their middles, between them and to the edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.inference.geometry import Grid

Array = np.ndarray


@dataclass(frozen=True)
class Heat:
    """`probability` (rows, columns), 0..1, of windows of `window_px` whose middles lie at `y_px` (rows,), `x_px`
    (columns,) of a photograph of `size_hw`. `tile_px` is the side of the tiles that tables speak of; None: a window."""

    probability: Array
    y_px: Array
    x_px: Array
    size_hw: tuple[int, int]
    window_px: float
    tile_px: float | None = None

    def of_tile(self, box_xyxy: tuple[int, int, int, int]) -> float:
        """The probability of a tile: in its middle, or the highest within it where windows are smaller than tiles."""
        left, top, right, bottom = box_xyxy
        if self.tile_px is None:
            return float(self.at(np.array([(top + bottom) / 2]), np.array([(left + right) / 2]))[0, 0])
        rows, columns = (
            slice(*np.searchsorted(middles, edges))
            for middles, edges in ((self.y_px, (top, bottom)), (self.x_px, (left, right)))
        )
        return float(self.probability[rows, columns].max(initial=0.0))

    def at(self, y_px: Array, x_px: Array) -> Array:
        """Probabilities (len(y_px), len(x_px)) at rows and columns; beyond the outermost middles those of them."""
        rows = _between(self.y_px, y_px)
        columns = _between(self.x_px, x_px)
        found = self.probability[rows[0]] * (1 - rows[2])[:, None] + self.probability[rows[1]] * rows[2][:, None]
        return found[:, columns[0]] * (1 - columns[2]) + found[:, columns[1]] * columns[2]


def _between(known: Array, asked: Array) -> tuple[Array, Array, Array]:
    """For each of `asked` the places before and behind it among `known`, and how far it is on the way, 0..1."""
    place = np.interp(asked, known, np.arange(len(known)))
    low = np.floor(place).astype(int)
    return low, np.minimum(low + 1, len(known) - 1), place - low


def heat_of(probability: Array, grid: Grid) -> Heat:
    """The heat map of one scale."""
    down, across = grid.centres_px()
    return Heat(np.asarray(probability, np.float32), np.array(down), np.array(across), grid.size_hw, grid.window_px)


def merged(heats: Sequence[Heat]) -> Heat:
    """The highest probability of several scales, at the places of the finest."""
    finest = max(heats, key=lambda each: each.probability.size)
    highest = np.max([each.at(finest.y_px, finest.x_px) for each in heats], axis=0)
    return Heat(highest.astype(np.float32), finest.y_px, finest.x_px, finest.size_hw, finest.window_px)
