"""Compares what a crack map marks in photographs with masks of their cracks, by cells and by pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.evaluation.cell_counts import CellCounts, counted_cells, total
from crack_lightning.evaluation.intervals import INTERVAL_LEVEL, REPEATS

Array = np.ndarray

SHARE_NAMES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class MaskCounts:
    """The counts of one photograph.

    `cells`: counts of cells; a marked and a cracked cell match if they are at most a tolerance apart.
    `exact_cells`: counts of cells without tolerance.
    `pixels`: counts of pixels without tolerance.
    """

    cells: CellCounts
    exact_cells: CellCounts
    pixels: CellCounts


def count_against_mask(marked: Array, truth: Array, found_pixels: Array, mask: Array, *, tolerance: int) -> MaskCounts:
    """Counts marked cells (h/4, w/4) against those of a crack, and marked pixels (h, w) against its mask."""
    exact_cells = counted_cells(marked, truth, tolerance=0)
    both = int((found_pixels & mask).sum())
    pixels = CellCounts(int(found_pixels.sum()), both, int(mask.sum()), both)
    return MaskCounts(counted_cells(marked, truth, tolerance=tolerance), exact_cells, pixels)


def iou(counts: CellCounts) -> float:
    """Returns the intersection over union of counts without tolerance; 1 if nothing is marked and there is no crack."""
    union = counts.marked + counts.cracked - counts.correct
    return counts.correct / union if union else 1.0


def mask_metrics(
    rows: Sequence[MaskCounts], average_precision: float, groups: Sequence[str], *, seed: int
) -> dict[str, float]:
    """Returns test/cells_* and test/pixels_*: precision, recall, f1 and iou of all photographs together, each in 0..1.

    The figures of cells allow for the tolerance, except iou. Between test/cells_f1_low and test/cells_f1_high are 95 %
    of the draws of whole `groups` of photographs; both are left out if there is only one group.
    """
    metrics = {f"test/cells_{name}": getattr(total([row.cells for row in rows]), name) for name in SHARE_NAMES}
    metrics |= {f"test/pixels_{name}": getattr(total([row.pixels for row in rows]), name) for name in SHARE_NAMES}
    metrics["test/cells_iou"] = iou(total([row.exact_cells for row in rows]))
    metrics["test/pixels_iou"] = iou(total([row.pixels for row in rows]))
    metrics["test/cells_average_precision"] = average_precision
    return metrics | _interval(rows, groups, seed)


def _interval(rows: Sequence[MaskCounts], groups: Sequence[str], seed: int) -> dict[str, float]:
    names = sorted(set(groups))
    if len(names) < 2:
        return {}
    table = np.zeros((len(names), 4))
    for row, group in zip(rows, groups, strict=True):
        table[names.index(group)] += row.cells.values
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), REPEATS)
    marked, correct, cracked, detected = (draws @ table).T
    precision, recall = correct / np.maximum(marked, 1), detected / np.maximum(cracked, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    low, high = np.quantile(f1, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
    return {"test/cells_f1_low": float(low), "test/cells_f1_high": float(high)}
