"""Finds the best straight stretch of cells through each cell of a map."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

DIRECTIONS = 16  # over half a turn
MOST_CELLS = 3 * 2**19  # as many as a photograph of 25 megapixels has


def best_stretch(odds: Tensor, cells: int) -> Tensor:
    """Returns the highest mean of a straight stretch of `cells`, an odd number, through each cell of `odds` (h, w)."""
    reach = cells // 2
    mode = "reflect" if min(odds.shape) > reach else "replicate"
    around = functional.pad(odds[None, None], (reach,) * 4, mode=mode)
    rows = max(1, MOST_CELLS // odds.shape[1])  # at once: each cell takes a number for each direction
    bands = [around[:, :, top : top + rows + 2 * reach] for top in range(0, len(odds), rows)]
    return torch.cat([functional.conv2d(band, _kernels(cells)).amax(dim=1)[0] for band in bands])


@cache
def _kernels(cells: int) -> Tensor:
    """Returns kernels (DIRECTIONS, 1, cells, cells): the cells of a stretch in each direction, their sum 1."""
    kernels, reach = np.zeros((DIRECTIONS, 1, cells, cells), np.float32), cells // 2
    along = np.linspace(-reach, reach, 4 * cells)
    for number in range(DIRECTIONS):
        angle = np.pi * number / DIRECTIONS
        rows, columns = (np.rint(reach + along * part).astype(int) for part in (np.sin(angle), np.cos(angle)))
        kernels[number, 0, rows, columns] = 1
    return torch.from_numpy(kernels / kernels.sum((2, 3), keepdims=True))
