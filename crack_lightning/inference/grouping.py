"""Makes cells of cracks of log-odds: sharpens them, follows them along straight stretches, and drops short groups."""

import math
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from crack_lightning.engines.portable import NEAR_CELLS
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.models.crack_map import CELL_PX

STRETCH_CELLS = 13  # cells in a stretch
MAX_ODDS = 2.0  # limit of each cell's log-odds, so that one cell cannot carry a stretch
LEAST_CELLS = 8  # cells that a crack must have; gaps of two cells are bridged
LEAST_PX = LEAST_CELLS * CELL_PX  # a photograph's longer side must have this many pixels
PEAK_ODDS = 0.7  # log-odds above the threshold that one cell of a crack must have: hysteresis (Canny 1986)

Array = np.ndarray


def sharpened(logits: Tensor, strength: float) -> Tensor:
    """Returns logits (h, w), each lowered by `strength` times its distance to the highest one within NEAR_CELLS."""
    highest = functional.max_pool2d(logits[None, None], 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[0, 0]
    return logits - strength * (highest - logits)


def keep_cracks(heat: Heat, threshold: float) -> Heat:
    """Returns the heat map with `steadied` probabilities in cells of cracks, and below the threshold elsewhere."""
    clipped = heat.probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds, level = np.log(clipped) - np.log1p(-clipped), math.log(threshold) - math.log1p(-min(threshold, 1 - 1e-7))
    smooth = steadied(odds, level)
    below = np.minimum(heat.probability, np.float32(threshold) * np.float32(0.999))
    kept = np.maximum(heat.probability, 1 / (1 + np.exp(-smooth)))
    return replace(heat, probability=np.where(grouped(smooth, level), kept, below).astype(np.float32))


def crack_cells(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) belong to a crack: they are `grouped` by their `steadied` log-odds."""
    return grouped(steadied(odds, level), level)


def steadied(odds: Array, level: float) -> Array:
    """Returns each cell's mean of its log-odds and those of its best straight stretch, limited around `level`.

    This bridges gaps along the direction of a crack and lowers short marks.
    """
    clamped = torch.from_numpy(odds - level).float().clamp(-MAX_ODDS, MAX_ODDS)
    return np.asarray((odds + level + best_stretch(clamped, STRETCH_CELLS).numpy()) / 2)


def grouped(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) are at least `level`, in groups of LEAST_CELLS or more with one PEAK_ODDS higher.

    Gaps of two cells are bridged.
    """
    marked, near = odds >= level, np.ones((3, 3), bool)
    groups, count = ndimage.label(ndimage.binary_dilation(marked, near), near)
    sizes = np.bincount(groups[marked], minlength=count + 1)
    highest = np.full(count + 1, -np.inf)
    np.maximum.at(highest, groups[marked], odds[marked])
    kept = (sizes >= LEAST_CELLS) & (highest >= level + PEAK_ODDS)
    return np.asarray(marked & kept[groups])
