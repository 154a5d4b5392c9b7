"""Draws cracks as random walks: they branch, keep roughly to their direction, and have log-normal widths."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from crack_lightning.data.synthetic.concrete import (
    SUPERSAMPLING,
    Array,
    Surface,
    blank_mask,
    reduced,
    smoothstep,
)

STEP_PX = 3.0  # distance between the points of a walk
MAX_BRANCHES = 6
# In a picture of 227 pixels. The tail is long: widths go from hairlines of half a pixel to gaps of twenty.
WIDTH_MEDIAN_PX, WIDTH_SIGMA = 3.0, 0.75
WIDTH_RANGE_PX = (0.7, 20.0)
MIN_TRUNK = 0.3  # shortest trunk, as a share of the picture's side


@dataclass(frozen=True)
class Walk:
    """A crack's centre line `xy` (n, 2) and full width `width_px` (n,) at each point, both in pixels."""

    xy: Array
    width_px: Array


def draw_walks(
    rng: np.random.Generator,
    size: int,
    *,
    width_median_px: float = WIDTH_MEDIAN_PX,
    width_sigma: float = WIDTH_SIGMA,
    width_range_px: tuple[float, float] = WIDTH_RANGE_PX,
) -> list[Walk]:
    """Draws a trunk across the picture, as two halves that start at one random point, and its branches.

    Widths are log-normal. They are given for a picture of 227 pixels, and grow with `size`.
    """
    scale = size / 227
    width = scale * float(np.clip(width_median_px * rng.lognormal(0, width_sigma), *width_range_px))
    origin, heading = rng.uniform(0.12, 0.88, 2) * size, rng.uniform(0, 2 * np.pi)
    turn_sigma = rng.uniform(0.02, 0.07)
    trunk = [_walk(rng, size, origin, heading + turn, width, turn_sigma) for turn in (0.0, np.pi)]
    if sum(len(walk.xy) for walk in trunk) * STEP_PX < MIN_TRUNK * size:
        return draw_walks(
            rng, size, width_median_px=width_median_px, width_sigma=width_sigma, width_range_px=width_range_px
        )
    branches: list[Walk] = []
    chance = rng.choice([0.0, 0.006, 0.03])
    for walk in trunk:
        for k in np.flatnonzero(rng.random(len(walk.xy)) < chance):
            if len(branches) < MAX_BRANCHES and k > 0:
                branches.append(_branch(rng, size, walk, int(k), turn_sigma))
    return trunk + branches


def _branch(rng: np.random.Generator, size: int, trunk: Walk, k: int, turn_sigma: float) -> Walk:
    along = trunk.xy[k] - trunk.xy[k - 1]
    heading = np.arctan2(along[1], along[0]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
    return _walk(rng, size, trunk.xy[k], heading, trunk.width_px[k] * rng.uniform(0.35, 0.8), turn_sigma)


def _walk(rng: np.random.Generator, size: int, origin: Array, heading: float, width: float, turn_sigma: float) -> Walk:
    """Draws a walk whose headings depend on its last turns; it has kinks, as where a crack goes around a stone."""
    max_steps = int(1.6 * size / STEP_PX)
    steps = min(max_steps, 2 + int(rng.exponential(1.2) * size / STEP_PX)) if rng.random() < 0.25 else max_steps
    turns = _autoregressive(rng.normal(0, turn_sigma, steps), 0.6)
    turns += rng.normal(0, 0.55, steps) * (rng.random(steps) < 0.05)
    # The memory of turns fades, which keeps the walk near its first heading: otherwise it would curl up.
    headings = heading + _autoregressive(turns, 0.93) + rng.normal(0, 0.25, steps)
    moves = STEP_PX * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    xy = np.concatenate([origin[None], origin + np.cumsum(moves, axis=0)])
    widths = width * np.exp(_autoregressive(rng.normal(0, 0.16, len(xy)), 0.9))
    if steps < max_steps:
        widths *= np.sqrt(np.linspace(1, 0.15, len(xy)))  # a crack that ends inside the picture tapers
    outside = np.flatnonzero(np.any((xy < -width) | (xy > size + width), axis=1))
    end = int(outside[0]) + 1 if len(outside) else len(xy)
    return Walk(xy[:end], widths[:end])


def _autoregressive(noise: Array, memory: float) -> Array:
    """Returns the first-order autoregressive series driven by `noise`."""
    values = np.empty_like(noise)
    value = 0.0
    for k, impulse in enumerate(noise):
        value = memory * value + impulse
        values[k] = value
    return values


def crack_opening(rng: np.random.Generator, size: int, walks: list[Walk]) -> Array:
    """Returns the share of each pixel that is inside a crack, (size, size) in 0..1, with frayed edges."""
    mask, pen = blank_mask(size)
    for walk in walks:
        points = (walk.xy * SUPERSAMPLING).tolist()
        widths = walk.width_px * SUPERSAMPLING
        for start, end, width in zip(points[:-1], points[1:], widths[:-1], strict=True):
            # A line thinner than a third of a pixel cannot be drawn, so it is drawn paler instead.
            fill = int(255 * min(1.0, width))
            pen.line([*start, *end], fill=fill, width=max(1, round(width)))
            if width > 3:
                half = width / 2
                pen.ellipse([end[0] - half, end[1] - half, end[0] + half, end[1] + half], fill=fill)
    return _frayed(rng, size, mask, widest=max(float(walk.width_px.max()) for walk in walks))


def _frayed(rng: np.random.Generator, size: int, mask: Image.Image, *, widest: float) -> Array:
    """Reduces the mask and frays its outline: noise moves the level at which the softened mask is cut."""
    sharp = reduced(mask)
    if widest < 2.5:
        return sharp
    soft = np.asarray(Image.fromarray(np.uint8(255 * sharp)).filter(ImageFilter.BoxBlur(min(widest / 5, 2.5))))
    coarse = rng.standard_normal((size // 3 + 1, size // 3 + 1), dtype=np.float32)
    grain = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
    # Averaging with the sharp mask keeps thin branches whole, which blurring alone would wash out.
    cover = (soft / np.float32(255) + sharp) / 2
    return smoothstep(cover + np.float32(rng.uniform(0.06, 0.16)) * grain, 0.2, 0.62) * (soft > 8)


def cracked(rng: np.random.Generator, surface: Surface) -> Surface:
    """Returns the surface with a crack in it: an opening, worn lips, and at times a halo of dirt or lime."""
    size = len(surface.height)
    walks = draw_walks(rng, size)
    opening = crack_opening(rng, size, walks)
    blurred = Image.fromarray(np.uint8(255 * opening)).filter(ImageFilter.BoxBlur(rng.uniform(1.5, 6)))
    halo = np.asarray(blurred, dtype=np.float32) / 255.0
    tint = np.float32(rng.choice([-0.6, -0.3, 0.0, 0.0, 0.35])) * halo
    widest = max(float(np.median(walk.width_px)) for walk in walks)
    depth = rng.uniform(0.88, 0.99) if widest > 1.5 else rng.uniform(0.5, 0.92)
    lip = rng.uniform(0.0, 9.0)
    return Surface(
        surface.height - 4.0 * opening - lip * halo,
        surface.colour * (1 + tint),
        np.maximum(surface.opening, np.float32(depth) * opening),
    )
