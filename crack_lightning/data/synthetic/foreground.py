"""Draws what is before a wall or beyond its edge: pipes, fences, growth, gauges; sky, trees, ground and darkness.

Public functions take a picture (h, w, 3) float32 0..255 and return it with a piece, and a mask of that: (h, w) bool.
"""

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    Pen,
    any_colour,
    blended,
    blurred,
    clipped,
    noise,
    over_channels,
    random_curve,
    random_rgb,
    shaded,
    shifted,
)
from crack_lightning.data.synthetic.structure_axes import axes_of, line_along


def pipe(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws pipes, conduits, rails or cables side by side: round, with clamps, and with their shadow on the wall."""
    axes, size = axes_of(rng, picture.shape[:2]), picture.shape[:2]
    mask = np.zeros(size, bool)
    width, gap = rng.lognormal(2.0, 0.9), rng.uniform(1.2, 6)
    colour, drop = any_colour(rng, picture), rng.uniform(0.5, 2.5) * width
    for index in range(int(rng.choice([1, 1, 2, 4]))):
        distance = axes.across - np.float32(index * gap * width)
        if rng.random() < 0.6:
            cast = 1 - smoothstep(np.abs(distance - drop), width / 2, width / 2 + rng.uniform(1, 6))
            picture = shaded(picture, 1 - rng.uniform(0.15, 0.65) * cast)
            mask |= np.abs(np.abs(distance - drop) - width / 2) < 4
        cover = 1 - smoothstep(np.abs(distance), width / 2, width / 2 + 1)
        round_light = 0.55 + 0.6 * np.cos(np.clip((distance / width + rng.uniform(-0.2, 0.2)) * np.pi, -1.6, 1.6))
        picture = blended(picture, cover, over_channels(round_light) * colour)
        mask |= np.abs(distance) < width / 2 + 3
    step = rng.uniform(60, 400)
    clamp = (1 - smoothstep(np.abs(axes.along - step * np.round(axes.along / step)), 2, 4)) * mask
    return clipped(shaded(picture, 1 - rng.uniform(0, 0.6) * clamp)), mask


def fence(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a fence, a railing, a grating or reinforcement in front of the wall: bars and rails, or a mesh of wire."""
    axes, size = axes_of(rng, picture.shape[:2]), picture.shape[:2]
    gap, half_width = rng.uniform(8, 80), float(np.clip(rng.lognormal(0.2, 0.7), 0.4, 8))
    mesh = rng.random() < 0.5
    turned = (axes.along + axes.across, axes.along - axes.across), (axes.along, axes.across / rng.uniform(2, 9))
    u, v = turned[0] if mesh else turned[1]
    distance = np.minimum(np.abs(u - gap * np.round(u / gap)), np.abs(v - gap * np.round(v / gap)))
    cover = 1 - smoothstep(distance, half_width, half_width + rng.uniform(0.4, 1.5))
    if rng.random() < 0.6:
        cover = cover * smoothstep(axes_of(rng, size).across, -3, 3)
    if rng.random() < 0.5:
        cast = blurred(shifted(cover, rng.integers(-12, 13, 2)), rng.uniform(0, 3))
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.5) * cast)
    else:
        cast = cover
    colour = any_colour(rng, picture)
    return clipped(blended(picture, cover * rng.uniform(0.5, 1), colour)), (cover > 0.05) | (cast > 0.1)


def growth(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws moss, grass, leaves or debris over an area with a ragged edge."""
    size = picture.shape[:2]
    field = noise(rng, size, int(rng.integers(2, 7))) + 0.35 * noise(rng, size, 30) + 0.15 * noise(rng, size, 120)
    edge = rng.uniform(0.4, 1.4)
    cover = smoothstep(field, edge, edge + rng.uniform(0.05, 0.4))
    over = _trees(picture, rng) if rng.random() < 0.6 else _ground(picture, rng)
    return clipped(blended(picture, cover, over)), cover > 0.03


def gauge(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a crack gauge, a plate or a socket: a box with a frame, bolts, and lines or numbers printed on it."""
    size = picture.shape[:2]
    axes = axes_of(rng, size)
    half = rng.uniform(15, 90), rng.uniform(10, 60)
    along, across = axes.along - np.float32(rng.uniform(-60, 60)), axes.across - np.float32(rng.uniform(-60, 60))
    outside = np.maximum(np.abs(along) - half[0], np.abs(across) - half[1])
    cast = 1 - smoothstep(shifted(outside, rng.integers(-8, 9, 2)), 0, rng.uniform(1, 6))
    picture = shaded(picture, 1 - rng.uniform(0, 0.6) * cast)
    plate = (1 - smoothstep(outside, -0.5, 0.8)) * np.float32(rng.uniform(0.5, 1))
    picture = blended(picture, plate, any_colour(rng, picture))
    step = rng.uniform(4, 16)
    grid = np.minimum(np.abs(along - step * np.round(along / step)), np.abs(across - step * np.round(across / step)))
    printed = (1 - smoothstep(grid, 0.3, 1.2)) * (outside < -rng.uniform(2, 12)) * np.float32(rng.uniform(0, 0.8))
    picture = blended(picture, printed, any_colour(rng, picture))
    frame = 1 - smoothstep(np.abs(outside), 0.5, rng.uniform(1, 3))
    picture = shaded(picture, 1 - rng.uniform(-0.3, 0.8) * frame)
    bolt = np.hypot(np.abs(along) - 0.75 * half[0], across)
    return clipped(shaded(picture, 1 - rng.uniform(0, 0.8) * (bolt < rng.uniform(2, 8)))), outside < 8


def beyond(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws what is beyond the edge of a member: sky, trees, ground, water, darkness or glass, behind a straight edge.

    The mask is the whole of what is beyond, and the edge.
    """
    axes, size = axes_of(rng, picture.shape[:2]), picture.shape[:2]
    distance: Array = axes.across - np.float32(rng.uniform(0.0, 0.35) * max(size))
    if rng.random() < 0.3:
        distance = distance + noise(rng, size, int(rng.integers(4, 40))) * np.float32(rng.uniform(0, 8))
    far = (_sky, _trees, _ground, _dark)[int(rng.integers(4))](picture, rng)
    cover = smoothstep(distance, -rng.uniform(0.3, 2), rng.uniform(0.3, 2))
    picture = blended(picture, cover, far)
    if rng.random() < 0.5:  # a chamfer, a gap or a bright line along the edge
        line = line_along(rng, distance + rng.uniform(0, 12), rng.lognormal(0.5, 0.8))
        picture = shaded(picture, 1 + rng.uniform(-0.7, 0.4) * line)
    return clipped(picture), distance > -14


def _sky(picture: Array, rng: np.random.Generator) -> Array:
    """Returns a sky (h, w, 3), blue, grey or white, with clouds, and at times with twigs or wires before it."""
    size = picture.shape[:2]
    colour = np.array([rng.uniform(90, 250), rng.uniform(140, 250), rng.uniform(180, 255)], np.float32)
    sky = over_channels(1 + np.float32(rng.uniform(0, 0.2)) * noise(rng, size, int(rng.integers(2, 8)))) * colour
    if rng.random() < 0.5:
        sky = blended(sky, _branches(rng, size), random_rgb(rng, 10, 90))
    return sky


def _branches(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    pen, width = Pen(size_hw), rng.uniform(0.6, 5)
    for _ in range(int(rng.integers(1, 16))):
        pen.line(random_curve(rng, size_hw, points=14, beyond=0.3), width * rng.uniform(0.3, 1))
    return pen.cover()


def _trees(picture: Array, rng: np.random.Generator) -> Array:
    """Returns foliage (h, w, 3): light and dark leaves of several sizes, and twigs."""
    size = picture.shape[:2]
    light = sum(np.float32(rng.uniform(0.2, 1)) * noise(rng, size, cells) for cells in (10, 40, 120, 220))
    green = np.array([rng.uniform(40, 130), rng.uniform(60, 150), rng.uniform(15, 80)], np.float32)
    leaves = over_channels(np.clip(0.7 + 0.45 * light, 0.05, 2)) * green
    return blended(leaves, _branches(rng, size), random_rgb(rng, 10, 120))


def _ground(picture: Array, rng: np.random.Generator) -> Array:
    """Returns soil, gravel, grass or water (h, w, 3)."""
    size = picture.shape[:2]
    rough = sum(np.float32(rng.exponential(0.6)) * noise(rng, size, cells) for cells in (8, 30, 90, 200))
    return over_channels(np.clip(1 + 0.25 * rough, 0.1, 2)) * any_colour(rng, picture)


def _dark(picture: Array, rng: np.random.Generator) -> Array:
    """Returns an opening in deep shade, or a pane of glass that mirrors another surface."""
    if rng.random() < 0.5:
        return over_channels(1 + 0.2 * noise(rng, picture.shape[:2], 12)) * random_rgb(rng, 5, 60)
    turned = np.asarray(Image.fromarray(picture.clip(0, 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_180))
    return turned.astype(np.float32) * np.float32(rng.uniform(0.2, 1.3))
