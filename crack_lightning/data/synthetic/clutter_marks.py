"""Draws marks made by people that are mistaken for a crack: paint, lines, grids, writing, labels, scratches.

Public functions take a picture (h, w, 3) float32 0..255 and return it with a mark, and a mask of that: (h, w) bool.
"""

from functools import cache

import numpy as np
from PIL import ImageFont

from crack_lightning.data.synthetic.concrete import SUPERSAMPLING, Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    Pen,
    any_colour,
    bezier,
    blended,
    blurred,
    clipped,
    distance_from_line,
    noise,
    one_of,
    random_curve,
    random_rgb,
    shaded,
    shifted,
    tinted,
)

CHARACTERS = list("ABCDEFGHKMNOPRSTUXYZabdefgknrsty0123456789.:/-")
FONT_STEP_PX = 12  # fonts take milliseconds to load, so only multiples of this size are, once each


def paint_edge(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws the edge of a coat of paint, of a new wall or of a repair: two shades that meet along a line."""
    size = picture.shape[:2]
    distance = distance_from_line(rng, size)
    if rng.random() < 0.4:
        distance = distance + noise(rng, size, int(rng.integers(3, 20))) * rng.uniform(0, 4)
    cover = smoothstep(distance, -rng.uniform(0.3, 3), rng.uniform(0.3, 3))
    return clipped(tinted(picture, cover, random_rgb(rng, 0.5, 1.5))), np.abs(distance) < 4


def lines(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws straight lines: chalk, pencil, paint, wires and saw cuts."""
    mask = np.zeros(picture.shape[:2], bool)
    for _ in range(int(rng.integers(1, 5))):
        half_width, distance = rng.lognormal(0.3, 0.8), np.abs(distance_from_line(rng, picture.shape[:2]))
        strength = rng.uniform(-0.4, 0.9)
        line = 1 - smoothstep(distance, half_width, half_width + rng.uniform(0.5, 2))
        picture = shaded(picture, 1 - strength * line)
        mask |= distance < half_width + 2
    return clipped(picture), mask


def grid(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws tiles, bricks, grating, wire mesh or parallel boards, over the whole picture or a part of it."""
    size = picture.shape[:2]
    angle, gap, half_width = rng.uniform(0, np.pi), rng.uniform(10, 90), rng.uniform(0.5, 3)
    distance = _distance_from_grid(rng, size, angle, gap)
    cover = 1 - smoothstep(distance, half_width, half_width + rng.uniform(0.4, 1.5))
    if rng.random() < 0.4:
        cover = cover * (distance_from_line(rng, size) > 0)
    strength = rng.uniform(0.15, 1)
    return clipped(blended(picture, cover * strength, any_colour(rng, picture))), cover > 0.1


def _distance_from_grid(rng: np.random.Generator, size_hw: tuple[int, int], angle: float, gap: float) -> Array:
    """Returns the distance in pixels (h, w) from the nearest line of parallels, a grid (maybe skewed) or bricks."""
    y, x = np.ogrid[: size_hw[0], : size_hw[1]]
    skew = angle + one_of(rng, np.pi / 2, rng.uniform(0.5, 2.6))
    u, v = (np.float32(np.cos(t)) * np.float32(x) + np.float32(np.sin(t)) * np.float32(y) for t in (angle, skew))
    distance = np.abs((u % gap) - gap / 2)
    pattern = rng.random()
    if pattern > 0.75:  # parallel lines alone
        return distance
    other_gap = gap * rng.uniform(0.4, 2.5)
    if pattern < 0.3:  # bricks: every second row is shifted by half a brick
        v = v + other_gap / 2 * (np.floor(u / gap) % 2)
    return np.minimum(distance, np.abs((v % other_gap) - other_gap / 2))


def strokes(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws strokes of a brush, a marker or a spray can, curved and of constant width."""
    pen = Pen(picture.shape[:2])
    for _ in range(int(rng.integers(1, 4))):
        pen.line(random_curve(rng, picture.shape[:2]), rng.uniform(1, 15))
    cover = blurred(pen.cover(), one_of(rng, 0, rng.uniform(0, 3)))
    strength = rng.uniform(0.2, 1)
    return clipped(blended(picture, cover * strength, any_colour(rng, picture))), cover > 0.05


def writing(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws numbers and letters: stencils, date stamps of cameras, handwritten notes and graffiti."""
    size = picture.shape[:2]
    cover = _typed_text(rng, size) if rng.random() < 0.5 else _handwriting(rng, size)
    cover = blurred(cover, one_of(rng, 0, rng.uniform(0, 2)))
    strength = rng.uniform(0.4, 1)
    return clipped(blended(picture, cover * strength, any_colour(rng, picture))), cover > 0.05


def _typed_text(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    pen = Pen(size_hw)
    height = int(rng.uniform(10, 90))
    text = "".join(rng.choice(CHARACTERS) for _ in range(int(rng.integers(2, 9))))
    x, y = rng.uniform(-0.1, 0.7, 2) * size_hw[::-1] * SUPERSAMPLING
    font = _font(height * SUPERSAMPLING // FONT_STEP_PX)
    pen.draw.text((float(x), float(y)), text, fill=255, font=font, stroke_width=int(rng.integers(0, 4)))
    if rng.random() < 0.6:
        slanted = rng.random() < 0.7
        pen.mask = pen.mask.rotate(rng.uniform(-30, 30) if slanted else rng.uniform(0, 360))
    return pen.cover()


@cache
def _font(steps: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default((steps + 1) * FONT_STEP_PX)


def _handwriting(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    pen = Pen(size_hw)
    width, position = rng.uniform(1, 6), rng.uniform(0.05, 0.6, 2) * size_hw[::-1]
    height = rng.uniform(8, 50)
    for _ in range(int(rng.integers(2, 7))):
        control = position + rng.uniform(-0.6, 0.6, (4, 2)) * height
        pen.line(bezier(control, 14) if rng.random() < 0.7 else control[:3], width)
        position[0] += height * rng.uniform(0.6, 1.3)
    return pen.cover()


def label(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws tape, a sticker, a crack gauge, a plate or a patch of another mortar: a rectangle with visible edges."""
    size = picture.shape[:2]
    pen, corners = Pen(size), _box(rng, size)
    pen.polygon(corners)
    cover = pen.cover()
    edge = blurred(cover, 2)
    shadow = shifted(cover, rng.integers(-4, 5, 2))
    if rng.random() < 0.5:
        picture = shaded(picture, 1 - rng.uniform(0, 0.5) * blurred(shadow, 1))
    strength, colour = rng.uniform(0.4, 1), any_colour(rng, picture)
    mottle = 1 + rng.uniform(0, 0.1) * noise(rng, size, 30)
    picture = blended(picture, cover * strength, mottle[..., None] * colour)
    if rng.random() < 0.4:
        frame = Pen(size)
        frame.line(np.concatenate([corners, corners[:1]]), rng.uniform(0.5, 2))
        strength = rng.uniform(0.3, 1)
        picture = blended(picture, frame.cover() * strength, any_colour(rng, picture))
    return clipped(picture), (edge > 0.05) & (edge < 0.95)


def _box(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    """Returns the corners (4, 2) of a rectangle at any angle."""
    width, height = rng.uniform(8, 90), rng.uniform(8, 160)
    angle, centre = rng.uniform(0, np.pi), rng.uniform(0.1, 0.9, 2) * size_hw[::-1]
    upright = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    return upright @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre


def scratches(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws thin smooth arcs, as left by trowels and saws: lighter or darker, often many side by side."""
    size = picture.shape[:2]
    pen, count = Pen(size), int(rng.choice([1, 2, 4, 12]))
    first = random_curve(rng, size, points=20)
    for k in range(count):
        beside = rng.random() < 0.6
        curve = first + rng.normal(0, 10, 2) * (k > 0) if beside else random_curve(rng, size, points=20)
        pen.line(curve, rng.uniform(0.34, 2), int(rng.integers(80, 256)))
    cover = blurred(pen.cover(), rng.uniform(0, 1))
    strength = one_of(rng, -1, 1) * rng.uniform(0.1, 0.5)
    return clipped(shaded(picture, 1 + strength * cover)), cover > 0.06
