"""Finds the best straight stretch of cells through each cell of a map."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

DIRECTIONS = 16  # directions over half a turn
MAX_CELLS_AT_ONCE = 3 * 2**19  # cells of a photograph of 25 megapixels


def best_stretch(odds: Tensor, cells: int) -> Tensor:
    """Returns the highest mean of a straight stretch of `cells`, an odd number, through each cell of `odds` (h, w)."""
    reach = cells // 2
    mode = "reflect" if min(odds.shape) > reach else "replicate"
    around = functional.pad(odds[None, None], (reach,) * 4, mode=mode)
    rows = max(1, MAX_CELLS_AT_ONCE // odds.shape[1])  # the memory for each cell holds a value for each direction
    bands = [around[:, :, top : top + rows + 2 * reach] for top in range(0, len(odds), rows)]
    return torch.cat([functional.conv2d(band, _kernels(cells)).amax(dim=1)[0] for band in bands])


@cache
def _kernels(cells: int) -> Tensor:
    """Returns kernels (DIRECTIONS, 1, cells, cells): a stretch in each direction, whose sum is 1."""
    kernels, reach = np.zeros((DIRECTIONS, 1, cells, cells), np.float32), cells // 2
    along = np.linspace(-reach, reach, 4 * cells)
    for index in range(DIRECTIONS):
        angle = np.pi * index / DIRECTIONS
        rows, columns = (np.rint(reach + along * part).astype(int) for part in (np.sin(angle), np.cos(angle)))
        kernels[index, 0, rows, columns] = 1
    return torch.from_numpy(kernels / kernels.sum((2, 3), keepdims=True))
