"""Compares marked cells with the cells that a crack runs through."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from crack_lightning.models.crack_map import CELL_PX

Array = np.ndarray


@dataclass(frozen=True)
class CellCounts:
    """Numbers of cells.

    `marked`: cells that are marked.
    `correct`: marked cells on or near a crack.
    `cracked`: cells that a crack runs through.
    `detected`: cracked cells that are marked or near a marked cell.
    """

    marked: int = 0
    correct: int = 0
    cracked: int = 0
    detected: int = 0

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        """Returns the fields in their order."""
        return self.marked, self.correct, self.cracked, self.detected

    @property
    def precision(self) -> float:
        """Returns the share of the marked cells that are correct; 0 if no cell is marked."""
        return self.correct / max(self.marked, 1)

    @property
    def recall(self) -> float:
        """Returns the share of the cracked cells that are detected; 0 if there is no crack."""
        return self.detected / max(self.cracked, 1)

    @property
    def f1(self) -> float:
        """Returns the harmonic mean of precision and recall; 0 if both are 0."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    def facts(self) -> dict[str, float]:
        """Returns precision, recall and f1, each in 0..1, to four decimals."""
        return {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}


def counted_cells(marked: Array, truth: Array, *, tolerance: int) -> CellCounts:
    """Compares marked cells with those of a crack, both (h, w) bool; cells up to `tolerance` cells apart match."""
    correct, detected = (marked & near(truth, tolerance)).sum(), (truth & near(marked, tolerance)).sum()
    return CellCounts(int(marked.sum()), int(correct), int(truth.sum()), int(detected))


def total(counts: Iterable[CellCounts]) -> CellCounts:
    """Adds up the counts of photographs; a photograph with many cracked cells has more weight."""
    return sum(counts, start=CellCounts())


def near(cells: Array, reach: int) -> Array:
    """Returns the cells (h, w) bool together with all cells at most `reach` away from them."""
    widened = functional.max_pool2d(torch.from_numpy(cells).float()[None, None], 2 * reach + 1, 1, reach)
    return widened[0, 0].numpy() > 0


def masked_cells(mask: Array) -> Array:
    """Returns for each cell (ceil(h/4), ceil(w/4)) whether any of its pixels is set in `mask` (h, w) bool."""
    rows, columns = (-(-side // CELL_PX) for side in mask.shape)
    padded = np.zeros((rows * CELL_PX, columns * CELL_PX), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(rows, CELL_PX, columns, CELL_PX).any(axis=(1, 3)))
