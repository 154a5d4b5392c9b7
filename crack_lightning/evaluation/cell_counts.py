"""Counts marked cells against cells that a crack runs through."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from crack_lightning.models.crack_map import CELL_PX

Array = np.ndarray


@dataclass(frozen=True)
class CellCounts:
    """Cells counted: `marked`, `right` (marked near a crack), `there` (on a crack), `met` (on a crack near a mark)."""

    marked: int = 0
    right: int = 0
    there: int = 0
    met: int = 0

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        """Returns the fields in their order."""
        return self.marked, self.right, self.there, self.met

    @property
    def precision(self) -> float:
        """Returns the share of marked cells that are right; 0 if none is marked."""
        return self.right / max(self.marked, 1)

    @property
    def recall(self) -> float:
        """Returns the share of a crack's cells that are met; 0 if there is no crack."""
        return self.met / max(self.there, 1)

    @property
    def f1(self) -> float:
        """Returns the harmonic mean of precision and recall; 0 if both are 0."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    def facts(self) -> dict[str, float]:
        """Returns precision, recall and f1, each in 0..1, to four decimals."""
        return {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}


def counted_cells(marked: Array, truth: Array, *, tolerance: int) -> CellCounts:
    """Counts cells (h, w) bool; a marked one and a crack's match if at most `tolerance` cells apart."""
    right, met = (marked & near(truth, tolerance)).sum(), (truth & near(marked, tolerance)).sum()
    return CellCounts(int(marked.sum()), int(right), int(truth.sum()), int(met))


def total(counts: Iterable[CellCounts]) -> CellCounts:
    """Adds up the counts of photographs: one with many crack cells counts for more."""
    return sum(counts, start=CellCounts())


def near(cells: Array, reach: int) -> Array:
    """Returns the cells (h, w) bool with those within `reach` of them."""
    widened = functional.max_pool2d(torch.from_numpy(cells).float()[None, None], 2 * reach + 1, 1, reach)
    return widened[0, 0].numpy() > 0


def masked_cells(mask: Array) -> Array:
    """Returns for each cell (ceil(h/4), ceil(w/4)) whether one of its pixels in `mask` (h, w) bool is set."""
    rows, columns = (-(-side // CELL_PX) for side in mask.shape)
    padded = np.zeros((rows * CELL_PX, columns * CELL_PX), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(rows, CELL_PX, columns, CELL_PX).any(axis=(1, 3)))
