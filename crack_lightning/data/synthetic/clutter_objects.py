"""Draws objects that are mistaken for a crack: in front of a wall, beside it, or throwing a shadow on it.

Public functions take a picture (h, w, 3) float32 0..255 and return it with an object, and a mask of that: (h, w) bool.
"""

import numpy as np

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    Pen,
    any_colour,
    blended,
    blurred,
    clipped,
    distance_from_line,
    noise,
    random_curve,
    random_rgb,
    shaded,
    tinted,
)


def shadow(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws the shadow, with one long edge, sharp or soft, of something outside the picture."""
    softness, distance = rng.lognormal(1.2, 1.0), distance_from_line(rng, picture.shape[:2])
    cover = smoothstep(distance, -softness, softness)
    strength = rng.uniform(0.1, 0.7)
    gain = 1 - strength * random_rgb(rng, 0.85, 1)
    return clipped(tinted(picture, cover, gain)), np.abs(distance) < softness + 1


def cable(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a cable, pipe, hose or rod: round, lit from one side, at times with a shadow beside it."""
    size = picture.shape[:2]
    curved = rng.random() < 0.6
    xy = random_curve(rng, size, beyond=0.6) if curved else rng.uniform(-0.3, 1.3, (2, 2)) * size[::-1]
    width = rng.lognormal(1.3, 0.8)
    body = _stroke(size, xy, width)
    offset = rng.uniform(-0.25, 0.25, 2) * width
    shine = blurred(_stroke(size, xy + offset, width * rng.uniform(0.2, 0.5)), width * 0.1)
    if rng.random() < 0.6:
        offset = rng.uniform(-2, 2, 2) * width
        cast = _stroke(size, xy + offset, width * rng.uniform(0.8, 1.3))
        strength = rng.uniform(0.1, 0.6)
        picture = shaded(picture, 1 - strength * blurred(cast, rng.uniform(0, 2)))
    colour = any_colour(rng, picture)
    bright = np.clip(colour * rng.uniform(1, 2) + rng.uniform(0, 60), 0, 255)
    return clipped(blended(blended(picture, body, colour), shine, bright)), body > 0.05


def _stroke(size_hw: tuple[int, int], xy: Array, width_px: float) -> Array:
    pen = Pen(size_hw)
    pen.line(xy, width_px)
    return pen.cover()


def border(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws the edge of a structural member, and beyond it another surface, the sky, glass or darkness."""
    size = picture.shape[:2]
    distance = distance_from_line(rng, size)
    if rng.random() < 0.4:
        distance = distance + noise(rng, size, int(rng.integers(6, 40))) * rng.uniform(0, 3)
    beyond = _beyond(picture, rng)
    cover = smoothstep(distance, -rng.uniform(0.2, 1.5), rng.uniform(0.2, 1.5))
    picture = blended(picture, cover, beyond)
    if rng.random() < 0.5:  # a chamfer, a gap or a bright line along the edge
        position, half_width = rng.uniform(-6, 6), rng.lognormal(0.5, 0.7)
        line = 1 - smoothstep(np.abs(distance - position), half_width, half_width + 1)
        picture = shaded(picture, 1 + rng.uniform(-0.8, 0.5) * line)
    return clipped(picture), np.abs(distance) < 6


def _beyond(picture: Array, rng: np.random.Generator) -> Array:
    """Returns what is beyond an edge, (h, w, 3): a mottled colour, or the given picture turned by 180 degrees."""
    colour = any_colour(rng, picture)
    if rng.random() < 0.7:
        strength = rng.uniform(0, 0.25)
        mottle = 1 + strength * noise(rng, picture.shape[:2], int(rng.integers(3, 90)))
        return mottle[..., None] * colour
    return picture[::-1, ::-1] * rng.uniform(0.3, 1.4)


def plants(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws twigs, roots and leafy grass, or only the shadow of them."""
    size = picture.shape[:2]
    pen, thickness = Pen(size), rng.uniform(0.6, 4)
    for _ in range(int(rng.integers(1, 7))):
        _twig(pen, rng, thickness)
    cover = pen.cover()
    if rng.random() < 0.5:
        strength = rng.uniform(0.15, 0.6)
        return clipped(shaded(picture, 1 - strength * blurred(cover, rng.uniform(0.5, 4)))), cover > 0.05
    green = np.array([rng.uniform(30, 130), rng.uniform(50, 150), rng.uniform(15, 80)], np.float32)
    leaves = (1 + 0.3 * noise(rng, size, 40))[..., None] * green
    return clipped(blended(picture, cover, leaves)), cover > 0.05


def _twig(pen: Pen, rng: np.random.Generator, thickness_px: float, points: int = 16) -> None:
    """Draws one curve, usually with pointed leaves around it."""
    xy = random_curve(rng, pen.size_hw, points=points, beyond=0.3)
    pen.line(xy, thickness_px * rng.uniform(0.4, 1))
    if rng.random() > 0.7:
        return
    for k in rng.integers(0, points, int(rng.integers(2, 14))):
        centre, length, angle = xy[k] + rng.normal(0, 8, 2), rng.uniform(2, 9), rng.uniform(0, 6.3)
        along = length * np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]]) / 3
        pen.polygon(np.stack([centre - along, centre + across, centre + along, centre - across]))
