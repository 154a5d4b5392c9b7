"""Resizes pictures to one size as torchvision does, by operations that every runtime has."""

import torch
from torch import Tensor

WEIGHT_LIMIT = 2**15  # weights of 16 bits are below it
MOST_BITS = 22


def resized(images: Tensor, size: int) -> Tensor:
    """Resizes pictures (N, 3, h, w) uint8 of any size to (N, 3, size, size) float in 0..255, whole numbers.

    Does what torchvision's `Resize` with antialias does to pictures with 8 bits: a triangle filter as wide as the step
    between two pixels of the result, its weights whole numbers, across and then down, each rounded. It is two products
    of matrices, whose weights follow from the size at run time. Sums have 32 bits: where pictures shrink by more than
    a factor of two, one pixel in some hundred thousand differs by a level.
    """
    across, down = _weights(images.shape[3], size), _weights(images.shape[2], size)
    narrow = _rounded(images.to(torch.float32) @ across[0].T, across[1])
    return _rounded(down[0] @ narrow, down[1])


def _weights(side: int, size: int) -> tuple[Tensor, Tensor]:
    """Returns how much each of `side` pixels counts in each of `size` (size, side), whole numbers, and their sum."""
    # The triangle in whole numbers, 2 max(side, size) high: runtimes without 64 bits would round fractions otherwise.
    count = torch.ones(side, dtype=torch.int64).sum(dim=0, keepdim=True)  # a tensor, which exporters follow
    middles = (2 * torch.arange(size)[:, None] + 1) * count
    pixels = (2 * torch.arange(side)[None] + 1) * size
    heights = (2 * count.clamp(min=size) - (pixels - middles).abs()).clamp(min=0)
    sums = heights.sum(dim=1, keepdim=True)
    shares = heights.to(torch.float32) / sums.to(torch.float32)
    # As many bits as the largest weight has room for.
    units = 2 ** torch.arange(MOST_BITS + 1)
    fits = (shares.flatten().max(dim=0, keepdim=True).values * units.to(torch.float32) + 0.5).floor() < WEIGHT_LIMIT
    unit = (units * fits.to(torch.int64)).max(dim=0, keepdim=True).values
    weights = (shares * unit.to(torch.float32) + 0.5).floor().to(torch.int64)
    # A share of 32 bits may have been rounded to a neighbour of the weight: whole numbers show it.
    over = 2 * (heights * unit - weights * sums)
    weights = weights + (over >= sums).to(torch.int64) - (over < -sums).to(torch.int64)
    return weights.to(torch.float32), unit.to(torch.float32)


def _rounded(sums: Tensor, unit: Tensor) -> Tensor:
    return ((sums + unit / 2) / unit).floor().clamp(0, 255)
