"""Computes features of single places of a photograph window by window, without those of the whole."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.engines.cell_maps import STRIDE_PX
from crack_lightning.inference.crack_maps import SMALL_PX, evenly_lit, merged_scales, padded
from crack_lightning.models.crack_map import CELL_PX, CrackMap

Array = np.ndarray

# Side of a window, and the margin around it, with which its cells see what they would in the whole photograph.
CORE_PX, MARGIN_PX = 6 * STRIDE_PX, 3 * STRIDE_PX
CORE_CELLS, MARGIN_CELLS = CORE_PX // CELL_PX, MARGIN_PX // CELL_PX

Window = tuple[int, int]  # row and column of a grid of CORE_PX


class PhotographCells:
    """The joined features of cells of an upright RGB photograph, at the size at which its cracks are followed.

    For one of at most SMALL_PX all cells are computed at once: the mean of two scales, as in the map.
    """

    def __init__(self, network: CrackMap, image: Image.Image) -> None:
        self.network, self.size_hw = network, (image.height, image.width)
        self.small = max(image.size) <= SMALL_PX
        self._whole = self._of_small(image) if self.small else None
        self._pixels = None if self.small else np.asarray(evenly_lit(image))
        self._windows: dict[Window, Tensor] = {}

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Returns rows and columns of cells."""
        return -(-self.size_hw[0] // CELL_PX), -(-self.size_hw[1] // CELL_PX)

    def at(self, cells: Array) -> Tensor:
        """Returns features (n, channels) of cells (n, 2), rows and columns."""
        if self._whole is not None:
            rows, columns = torch.from_numpy(np.ascontiguousarray(cells.T))
            return self._whole[:, rows, columns].T
        features = torch.empty(len(cells), len(self.network.weight))
        for window, numbers in by_window(cells).items():
            rows, columns = (cells[numbers] - np.array(window) * CORE_CELLS).T
            features[numbers] = self._of_window(window)[:, rows, columns].T.float()
        return features

    @torch.no_grad()
    def _of_window(self, window: Window) -> Tensor:
        """Returns features (channels, CORE_CELLS, CORE_CELLS); beyond the photograph those of its mirror image."""
        if window not in self._windows:
            pixels = self._pixels
            if pixels is None:
                raise ValueError("a small photograph has no windows")
            rows, columns = (
                _mirrored(np.arange(start * CORE_PX - MARGIN_PX, (start + 1) * CORE_PX + MARGIN_PX), side)
                for start, side in zip(window, self.size_hw, strict=True)
            )
            cut = torch.from_numpy(pixels[rows[:, None], columns[None]]).permute(2, 0, 1)[None]
            cells = self.network.cells(cut.to(self.network.pixel_mean.device))[0].cpu()
            inner = slice(MARGIN_CELLS, MARGIN_CELLS + CORE_CELLS)
            self._windows[window] = cells[:, inner, inner].half()
        return self._windows[window]

    @torch.no_grad()
    def _of_small(self, image: Image.Image) -> Tensor:
        pictures = [image, image.reduce(2)] if min(image.size) > 1 else [image]
        device = self.network.pixel_mean.device
        maps = []
        for picture in pictures:
            pixels = torch.from_numpy(np.array(padded(picture))).permute(2, 0, 1)[None]
            maps.append(self.network.cells(pixels.to(device))[0].cpu())
        return merged_scales(maps, self.size_hw)


def by_window(cells: Array) -> Mapping[Window, Sequence[int]]:
    """Returns the numbers of the cells (n, 2) in each window."""
    members = defaultdict[Window, list[int]](list)
    for number, (row, column) in enumerate((cells // CORE_CELLS).tolist()):
        members[row, column].append(number)
    return members


def few_windows(cells: Array, most: int, rng: np.random.Generator) -> Array:
    """Returns the cells (n, 2) in at most `most` of their windows, chosen at random."""
    windows = list(by_window(cells).values())
    if len(windows) <= most:
        return cells
    chosen = rng.permutation(len(windows))[:most]
    return cells[np.sort(np.concatenate([windows[k] for k in chosen]))]


def _mirrored(places: Array, side: int) -> Array:
    """Returns places with those beyond 0 and `side` mirrored back."""
    if side == 1:
        return np.zeros_like(places)
    period = 2 * (side - 1)
    folded = np.abs(places) % period
    return np.where(folded >= side, period - folded, folded)
