"""Directions of drawn structures, and lines along them."""

from dataclasses import dataclass

import numpy as np

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    noise,
    one_of,
)


@dataclass(frozen=True)
class Axes:
    """Coordinates of a picture's pixels, in pixels: `along` and `across` (h, w) a direction, from a random origin."""

    along: Array
    across: Array


def axes_of(rng: np.random.Generator, size_hw: tuple[int, int]) -> Axes:
    """Returns axes that are usually almost level or upright, as structures are in photographs, and slightly curved."""
    tilt = rng.normal(0, 0.06) if rng.random() < 0.75 else rng.uniform(-0.8, 0.8)
    angle = tilt + (np.pi / 2) * int(rng.integers(2))
    x, y = (np.arange(side, dtype=np.float32) - np.float32(rng.uniform(0, side)) for side in size_hw[::-1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (x * cosine)[None] + (y * sine)[:, None], (y * cosine)[:, None] - (x * sine)[None]
    bend = np.float32(one_of(rng, 0, 0, rng.normal(0, 0.08)) / max(size_hw))
    return Axes(along, across + bend * along**2)


def line_along(rng: np.random.Generator, distance: Array, half_width: float) -> Array:
    """Returns the cover (h, w) of a line along which `distance` is 0; ragged, and paler at places or not."""
    soft = half_width + rng.uniform(0.4, 1.8)
    if rng.random() < 0.5:
        distance = distance + noise(rng, distance.shape, 90) * np.float32(rng.uniform(0.2, 1.2))
    cover = 1 - smoothstep(np.abs(distance), half_width, soft)
    if rng.random() < 0.6:
        cover = cover * np.clip(noise(rng, distance.shape, 9) * rng.uniform(0.2, 0.8) + 0.8, 0, 1)
    return cover
