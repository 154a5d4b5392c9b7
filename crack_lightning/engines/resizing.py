"""Resizes pictures as torchvision does, with operations that every runtime has."""

import torch
from torch import Tensor

WEIGHT_LIMIT = 2**15  # weights are below it, so that they fit 16 bits
MAX_BITS = 22  # of precision in weights


def resize(images: Tensor, size: int) -> Tensor:
    """Resizes pictures (N, 3, h, w) uint8 of any size to (N, 3, size, size), whole numbers from 0 to 255 as float.

    Does what torchvision's `Resize` with antialias does to pictures with 8 bits. A triangle filter with integer
    weights, as wide as the distance of two pixels of the result, is applied horizontally and then vertically; each
    result is rounded. This is two products of matrices, whose weights are computed from the picture's size at run
    time. Sums have 32 bits: where pictures shrink by more than a factor of two, about one pixel in a hundred thousand
    differs by one level.
    """
    horizontal, vertical = _weights(images.shape[3], size), _weights(images.shape[2], size)
    narrow = _divide_and_round(images.to(torch.float32) @ horizontal[0].T, horizontal[1])
    return _divide_and_round(vertical[0] @ narrow, vertical[1])


def _weights(side: int, size: int) -> tuple[Tensor, Tensor]:
    """Returns integer weights (size, side), of each of `side` pixels in each of `size` pixels, and the sum of a row."""
    # The triangle has integer heights up to 2 max(side, size): runtimes without 64 bits would round fractions.
    count = torch.ones(side, dtype=torch.int64).sum(dim=0, keepdim=True)  # a tensor, so that exporters trace it
    middles = (2 * torch.arange(size)[:, None] + 1) * count
    pixels = (2 * torch.arange(side)[None] + 1) * size
    heights = (2 * count.clamp(min=size) - (pixels - middles).abs()).clamp(min=0)
    sums = heights.sum(dim=1, keepdim=True)
    shares = heights.to(torch.float32) / sums.to(torch.float32)
    # The largest power of two for which all weights are below WEIGHT_LIMIT.
    units = 2 ** torch.arange(MAX_BITS + 1)
    fits = (shares.flatten().max(dim=0, keepdim=True).values * units.to(torch.float32) + 0.5).floor() < WEIGHT_LIMIT
    unit = (units * fits.to(torch.int64)).max(dim=0, keepdim=True).values
    weights = (shares * unit.to(torch.float32) + 0.5).floor().to(torch.int64)
    # Float32 may have rounded a weight to the wrong neighbour; integers show it.
    error = 2 * (heights * unit - weights * sums)
    weights = weights + (error >= sums).to(torch.int64) - (error < -sums).to(torch.int64)
    return weights.to(torch.float32), unit.to(torch.float32)


def _divide_and_round(sums: Tensor, unit: Tensor) -> Tensor:
    return ((sums + unit / 2) / unit).floor().clamp(0, 255)
