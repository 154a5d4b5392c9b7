"""Pictures brought to one size as torchvision does it, by operations that every runtime has."""

import torch
from torch import Tensor

MOST = 2**15  # of a weight of 16 bits
MOST_BITS = 22


def resized(images: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, h, w) uint8 of any size to (N, 3, size, size) float in 0..255, whole numbers.

    What torchvision's `Resize` with antialias makes of pictures with 8 bits: a triangle filter as wide as the step
    between two pixels of the result, its weights whole numbers of 16 bits, across and then down, each rounded. As two
    products of matrices, whose weights follow from the size when it runs; all sums are whole and below 2**24.
    """
    across, down = _weights(images.shape[3], size), _weights(images.shape[2], size)
    narrow = _rounded(images.to(torch.float32) @ across[0].T, across[1])
    return _rounded(down[0] @ narrow, down[1])


def _weights(side: int, size: int) -> tuple[Tensor, Tensor]:
    """(size, side): how much each of `side` pixels counts in each of `size`, whole numbers, and what they add up to."""
    step = torch.ones(side, dtype=torch.float64).sum() / size  # a tensor: exporters follow it
    reach = step.clamp(min=1)
    middles = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) * step
    pixels = torch.arange(side, dtype=torch.float64)[None] + 0.5
    weights = (1 - (pixels - middles).abs() / reach).clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # As many bits as the largest weight leaves room for.
    units = torch.pow(2.0, torch.arange(MOST_BITS + 1, dtype=torch.float64))
    unit = torch.where((0.5 + weights.max() * units).floor() < MOST, units, 0).max()
    return (weights * unit + 0.5).floor().to(torch.float32), unit.to(torch.float32)


def _rounded(sums: Tensor, unit: Tensor) -> Tensor:
    return ((sums + unit / 2) / unit).floor().clamp(0, 255)
