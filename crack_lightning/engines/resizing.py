"""Pictures brought to one size as Pillow does it, by operations that every runtime has."""

import torch
from torch import Tensor


def resized(images: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, h, w) uint8 of any size to (N, 3, size, size) float in 0..255, whole numbers.

    A triangle filter as wide as the step between two pixels of the result, across and then down, each rounded: what
    `Resize` with antialias does. As two products of matrices, whose weights follow from the size when it runs.
    """
    across = _weights(images.shape[3], size)  # (size, w)
    down = _weights(images.shape[2], size)  # (size, h)
    narrow = _rounded(images.to(torch.float32) @ across.T)
    return _rounded(down @ narrow)


def _weights(side: int, size: int) -> Tensor:
    """(size, side): how much each of `side` pixels counts in each of `size`; every row sums to 1."""
    step = torch.ones(side).sum() / size  # a tensor: exporters follow it
    reach = step.clamp(min=1)
    middles = (torch.arange(size, dtype=torch.float32)[:, None] + 0.5) * step
    pixels = torch.arange(side, dtype=torch.float32)[None] + 0.5
    weights = (1 - (pixels - middles).abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def _rounded(values: Tensor) -> Tensor:
    return (values + 0.5).floor().clamp(0, 255)
