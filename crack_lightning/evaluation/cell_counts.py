"""Marked cells against cells that a crack runs through."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from crack_lightning.models.crack_map import CELL_PX

Array = np.ndarray


@dataclass(frozen=True)
class CellCounts:
    """How many cells were marked, how many of them are near a crack's, how many a crack has, how many of them are near
    a marked one."""

    marked: int = 0
    right: int = 0
    there: int = 0
    met: int = 0

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        """In the order of the fields."""
        return self.marked, self.right, self.there, self.met

    @property
    def precision(self) -> float:
        """0 where nothing was marked."""
        return self.right / max(self.marked, 1)

    @property
    def recall(self) -> float:
        """0 where there is no crack."""
        return self.met / max(self.there, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two; 0 where both are."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    def facts(self) -> dict[str, float]:
        """precision, recall and f1, each in 0..1."""
        return {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}


def counted_cells(found: Array, truth: Array, *, tolerance: int) -> CellCounts:
    """Counts of cells (h, w) bool that may lie `tolerance` cells beside each other."""
    right, met = (found & near(truth, tolerance)).sum(), (truth & near(found, tolerance)).sum()
    return CellCounts(int(found.sum()), int(right), int(truth.sum()), int(met))


def total(counts: Iterable[CellCounts]) -> CellCounts:
    """Of all photographs together: one with much crack counts for more."""
    return sum(counts, start=CellCounts())


def near(cells: Array, reach: int) -> Array:
    """Cells (h, w) bool with those within `reach` of them."""
    wide = functional.max_pool2d(torch.from_numpy(cells).float()[None, None], 2 * reach + 1, 1, reach)
    return wide[0, 0].numpy() > 0


def masked_cells(mask: Array) -> Array:
    """Pixels (h, w) bool to cells (ceil(h/4), ceil(w/4)): whether one of a cell's pixels is set."""
    rows, columns = (-(-side // CELL_PX) for side in mask.shape)
    whole = np.zeros((rows * CELL_PX, columns * CELL_PX), bool)
    whole[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(whole.reshape(rows, CELL_PX, columns, CELL_PX).any(axis=(1, 3)))
