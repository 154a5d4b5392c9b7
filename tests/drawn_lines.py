"""Pictures with cracks of known course and width, for measuring."""

import numpy as np
from scipy import ndimage

Array = np.ndarray

SUB = 4


def straight(size_hw: tuple[int, int], *, width: float, angle: float, blur: float = 0.5, dark: float = 60.0) -> Array:
    """Grey levels (h, w) uint8 of a gap through the middle of an even surface, at `angle` radians to the x axis."""
    height, across = size_hw
    y, x = (np.mgrid[: height * SUB, : across * SUB] + 0.5) / SUB
    distance = np.abs((y - height / 2) * np.cos(angle) - (x - across / 2) * np.sin(angle))
    cover = np.clip((width / 2 - distance) * SUB + 0.5, 0, 1).reshape(height, SUB, across, SUB).mean(axis=(1, 3))
    cover = ndimage.gaussian_filter(cover, blur)
    noise = np.random.default_rng(0).normal(0, 1.5, size_hw)
    return np.clip(180 * (1 - cover) + dark * cover + noise, 0, 255).astype(np.uint8)


def through_the_middle(size_hw: tuple[int, int], *, angle: float, length: float, every: float = 4.0) -> Array:
    """Points (n, 2), x and y, of that gap, as cells of a map give them: moved by up to two pixels."""
    along = np.arange(-length / 2, length / 2 + 1, every)
    points = np.array([size_hw[1], size_hw[0]]) / 2 + along[:, None] * [np.cos(angle), np.sin(angle)]
    return points + np.random.default_rng(1).uniform(-2, 2, points.shape)
