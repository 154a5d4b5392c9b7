"""Computes the features of single cells of a photograph, only in the windows that contain them."""

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

# Side of a window, and the margin around it that gives its cells the features they have in the whole photograph.
CORE_PX, MARGIN_PX = 6 * STRIDE_PX, 3 * STRIDE_PX
CORE_CELLS, MARGIN_CELLS = CORE_PX // CELL_PX, MARGIN_PX // CELL_PX

Window = tuple[int, int]  # row and column of a window in a grid of CORE_PX


class PhotographCells:
    """Computes the joined features of cells of an upright RGB photograph, at the size at which it is marked.

    For a photograph of at most SMALL_PX, all cells are computed at once: the mean of two scales, as in the map.
    """

    def __init__(self, network: CrackMap, image: Image.Image) -> None:
        self.network, self.size_hw = network, (image.height, image.width)
        self.small = max(image.size) <= SMALL_PX
        self._small_features = self._features_of_small(image) if self.small else None
        self._pixels = None if self.small else np.asarray(evenly_lit(image))
        self._windows: dict[Window, Tensor] = {}

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Returns the numbers of rows and columns of cells."""
        return -(-self.size_hw[0] // CELL_PX), -(-self.size_hw[1] // CELL_PX)

    def at(self, cells: Array) -> Tensor:
        """Returns features (n, channels) of cells (n, 2), rows and columns."""
        if self._small_features is not None:
            rows, columns = torch.from_numpy(np.ascontiguousarray(cells.T))
            return self._small_features[:, rows, columns].T
        features = torch.empty(len(cells), len(self.network.weight))
        for window, indices in by_window(cells).items():
            rows, columns = (cells[indices] - np.array(window) * CORE_CELLS).T
            features[indices] = self._features_of_window(window)[:, rows, columns].T.float()
        return features

    @torch.no_grad()
    def _features_of_window(self, window: Window) -> Tensor:
        """Returns features (channels, CORE_CELLS, CORE_CELLS); the photograph is mirrored beyond its edges."""
        if window not in self._windows:
            pixels = self._pixels
            if pixels is None:
                raise ValueError("a small photograph has no windows")
            rows, columns = (
                _mirrored_indices(np.arange(start * CORE_PX - MARGIN_PX, (start + 1) * CORE_PX + MARGIN_PX), side)
                for start, side in zip(window, self.size_hw, strict=True)
            )
            cut = torch.from_numpy(pixels[rows[:, None], columns[None]]).permute(2, 0, 1)[None]
            cells = self.network.cells(cut.to(self.network.pixel_mean.device))[0].cpu()
            inner = slice(MARGIN_CELLS, MARGIN_CELLS + CORE_CELLS)
            self._windows[window] = cells[:, inner, inner].half()
        return self._windows[window]

    @torch.no_grad()
    def _features_of_small(self, image: Image.Image) -> Tensor:
        pictures = [image, image.reduce(2)] if min(image.size) > 1 else [image]
        device = self.network.pixel_mean.device
        maps = []
        for picture in pictures:
            pixels = torch.from_numpy(np.array(padded(picture))).permute(2, 0, 1)[None]
            maps.append(self.network.cells(pixels.to(device))[0].cpu())
        return merged_scales(maps, self.size_hw)


def by_window(cells: Array) -> Mapping[Window, Sequence[int]]:
    """Returns the indices of the cells (n, 2) in each window."""
    members = defaultdict[Window, list[int]](list)
    for index, (row, column) in enumerate((cells // CORE_CELLS).tolist()):
        members[row, column].append(index)
    return members


def few_windows(cells: Array, most: int, rng: np.random.Generator) -> Array:
    """Returns the cells (n, 2) that are in `most` randomly chosen windows; all if there are no more windows."""
    windows = list(by_window(cells).values())
    if len(windows) <= most:
        return cells
    chosen_windows = rng.permutation(len(windows))[:most]
    return cells[np.sort(np.concatenate([windows[k] for k in chosen_windows]))]


def _mirrored_indices(indices: Array, side: int) -> Array:
    """Returns indices in which those below 0, and those of `side` or more, are mirrored back."""
    if side == 1:
        return np.zeros_like(indices)
    period = 2 * (side - 1)
    folded = np.abs(indices) % period
    return np.where(folded >= side, period - folded, folded)
