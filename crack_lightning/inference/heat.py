"""Heat maps of photographs: probabilities of windows at their middles, interpolated between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.inference.geometry import Grid

Array = np.ndarray


@dataclass(frozen=True)
class Seen:
    """Holds what the network saw in the cells of faint cracks and better ones.

    `cells` (n, 2): their rows and columns, row after row. `values` (n, k): the hidden maps of the correction in them,
    less the mean of the photograph.
    """

    cells: Array
    values: Array

    def along(self, cells: Array, columns: int) -> Array:
        """Returns the mean values (k,) in the known ones of `cells` (m, 2) of a map of `columns`; zeros if none is."""
        kept, wanted = (part[:, 0].astype(np.int64) * columns + part[:, 1] for part in (self.cells, cells))
        index = np.searchsorted(kept, wanted).clip(max=max(0, len(kept) - 1))
        places = index[kept[index] == wanted] if len(kept) else index[:0]
        return self.values[places].astype(np.float32).mean(axis=0) if len(places) else self.none

    @property
    def none(self) -> Array:
        """Returns the values (k,) of the mean of the photograph."""
        return np.zeros(self.values.shape[1], np.float32)


@dataclass(frozen=True)
class Heat:
    """A heat map of a photograph of `size_hw`.

    `probability` (rows, columns), 0..1: of windows of `window_px`, whose middles are `y_px` (rows,), `x_px` (columns,).
    `tile_px`: the side of the tiles in tables; None is the size of a window. `seen`: what the network of a crack map
    with a correction saw in the cells of faint cracks.
    """

    probability: Array
    y_px: Array
    x_px: Array
    size_hw: tuple[int, int]
    window_px: float
    tile_px: float | None = None
    seen: Seen | None = None

    def of_tile(self, box_xyxy: tuple[int, int, int, int]) -> float:
        """Returns the probability in the middle of a tile; with a `tile_px`, the highest one inside the tile."""
        left, top, right, bottom = box_xyxy
        if self.tile_px is None:
            return float(self.at(np.array([(top + bottom) / 2]), np.array([(left + right) / 2]))[0, 0])
        rows, columns = (
            slice(*np.searchsorted(middles, edges))
            for middles, edges in ((self.y_px, (top, bottom)), (self.x_px, (left, right)))
        )
        return float(self.probability[rows, columns].max(initial=0.0))

    def at(self, y_px: Array, x_px: Array) -> Array:
        """Returns interpolated probabilities (len(y_px), len(x_px)); beyond the outermost middles they are constant."""
        rows = _interpolation(self.y_px, y_px)
        columns = _interpolation(self.x_px, x_px)
        between_rows = self.probability[rows[0]] * (1 - rows[2])[:, None] + self.probability[rows[1]] * rows[2][:, None]
        return between_rows[:, columns[0]] * (1 - columns[2]) + between_rows[:, columns[1]] * columns[2]


def _interpolation(known: Array, positions: Array) -> tuple[Array, Array, Array]:
    """Returns the indices in `known` before and after each position, and its share of the way between them, 0..1."""
    position = np.interp(positions, known, np.arange(len(known)))
    low = np.floor(position).astype(int)
    return low, np.minimum(low + 1, len(known) - 1), position - low


def heat_of(probability: Array, grid: Grid) -> Heat:
    """Returns the heat map of one scale, from the probabilities of a grid's windows."""
    down, across = grid.centres_px()
    return Heat(np.asarray(probability, np.float32), np.array(down), np.array(across), grid.size_hw, grid.window_px)


def merged(heats: Sequence[Heat]) -> Heat:
    """Returns the highest probability of several scales, at the windows of the finest one."""
    finest = max(heats, key=lambda heat: heat.probability.size)
    highest = np.max([heat.at(finest.y_px, finest.x_px) for heat in heats], axis=0)
    return Heat(highest.astype(np.float32), finest.y_px, finest.x_px, finest.size_hw, finest.window_px)
