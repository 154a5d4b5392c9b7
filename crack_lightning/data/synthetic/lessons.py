"""Draws lessons, the synthetic training pictures of a crack map, and masks of their cracks and clutter.

A lesson is drawn in the order surface, clutter, crack, camera. Clutter is what is mistaken for a crack: stains, joints,
cables, writing and more.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.camera import photograph
from crack_lightning.data.synthetic.clutter_faults import drips, holes, joint, pores, relief, spall, stain, stones
from crack_lightning.data.synthetic.clutter_marks import grid, label, lines, paint_edge, scratches, strokes, writing
from crack_lightning.data.synthetic.clutter_objects import border, cable, plants, shadow
from crack_lightning.data.synthetic.concrete import Array, smoothstep, sound_surface
from crack_lightning.data.synthetic.drawn_cracks import THIN_STYLES, add_cracks
from crack_lightning.data.synthetic.painting import (
    as_image,
    blurred_picture,
    clipped,
    noise,
    one_of,
    over_channels,
    random_rgb,
)

SIDE = 256  # side of a lesson in pixels
SIZE_HW = (SIDE, SIDE)
PIECE_CHANCES = (0.25, 0.35, 0.27, 0.13)  # chances that a lesson has 0, 1, 2 or 3 pieces of clutter
CRACKED_SHARE = 0.8  # share of the lessons with a crack
# Relative frequency of each type of clutter. Its function takes a picture (h, w, 3) float32 0..255 and a generator; it
# returns the picture with the clutter, and a mask (h, w) bool of where the clutter is. Spalls and grids are twice as
# frequent, because leaving them out makes a crack map worst.
CLUTTER_FREQUENCY = {
    paint_edge: 1.0,
    lines: 1.0,
    grid: 2.0,
    strokes: 1.0,
    pores: 1.0,
    shadow: 1.0,
    stain: 1.0,
    cable: 1.0,
    writing: 1.0,
    border: 1.5,
    drips: 1.0,
    plants: 1.0,
    label: 1.0,
    holes: 1.0,
    scratches: 1.0,
    spall: 2.0,
    relief: 1.0,
    stones: 1.0,
    joint: 1.0,
}
CLUTTER = list(CLUTTER_FREQUENCY)
CLUTTER_CHANCES = np.array(list(CLUTTER_FREQUENCY.values())) / sum(CLUTTER_FREQUENCY.values())


@dataclass(frozen=True)
class Lesson:
    """An RGB picture of SIDE x SIDE pixels and what was drawn in it.

    `cover` (SIDE, SIDE) float32: share of each pixel that is in the opening of a crack, 0..1.
    `strength` (SIDE, SIDE) float32: contrast of the crack in each pixel, 0..1.
    `clutter` (SIDE, SIDE) bool: where clutter was drawn; the crack is drawn over it.
    `style`: the style of the crack, a key of STYLES; None without a crack.
    """

    image: Image.Image
    cover: Array
    strength: Array
    clutter: Array
    style: str | None

    @property
    def thin(self) -> bool:
        """Returns whether the style of its crack draws thin lines."""
        return self.style in THIN_STYLES


def lesson(source: Image.Image | None, seed: int, index: int) -> Lesson:
    """Draws lesson `index` onto `source`, a square picture of a sound surface; None generates a surface.

    The same arguments give the same lesson, in whatever order and process lessons are drawn.
    """
    rng = np.random.default_rng([seed, index])
    picture = lit(rng, generated_surface(rng, SIDE) if source is None else reframed(rng, source, SIDE))
    clutter = np.zeros(SIZE_HW, bool)
    for _ in range(int(rng.choice(len(PIECE_CHANCES), p=PIECE_CHANCES))):
        picture, mask = add_clutter(picture, rng)
        clutter |= mask
    if rng.random() < 1 - CRACKED_SHARE:
        no_crack = np.zeros(SIZE_HW, np.float32)
        return Lesson(as_photographed(rng, picture), no_crack, no_crack, clutter, None)
    cracks = add_cracks(picture, rng)
    picture = cracks.picture
    if rng.random() < 0.1:  # a shadow or a stain over the crack
        picture, _ = (shadow, stain)[int(rng.integers(2))](picture, rng)
    return Lesson(as_photographed(rng, picture), cracks.cover, cracks.strength, clutter, cracks.style)


def reframed(rng: np.random.Generator, source: Image.Image, side_px: int) -> Array:
    """Turns and mirrors a picture of a sound surface at random, and zooms in or out, to a square of `side_px`."""
    zoom = one_of(rng, 1.0, 1.0, rng.uniform(0.5, 1), rng.uniform(1, 1.5))
    side = round(side_px * zoom)
    resized = source.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    picture = np.rot90(np.asarray(resized), int(rng.integers(4)))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if side < side_px:
        return np.pad(picture, ((0, side_px - side), (0, side_px - side), (0, 0)), mode="symmetric")
    if side == side_px:
        return picture
    top, left = rng.integers(0, side - side_px + 1, 2)
    return picture[top : top + side_px, left : left + side_px]


def generated_surface(rng: np.random.Generator, side_px: int) -> Array:
    """Draws a sound surface (side_px, side_px, 3) 0..255: concrete as it is lit, or a rough one."""
    if rng.random() < 0.5:
        return np.asarray(photograph(rng, sound_surface(rng, side_px)))
    return _coarse_surface(rng, (side_px, side_px))


def _coarse_surface(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    """Draws rough plaster, asphalt or washed concrete: noise of several sizes, at times with patches like stones."""
    mottle = sum(np.float32(rng.exponential(1)) * noise(rng, size_hw, cells) for cells in (4, 24, 48, 96))
    fine = rng.standard_normal(size_hw, dtype=np.float32)
    grey = rng.uniform(60, 200) * (1 + rng.uniform(0.01, 0.06) * mottle + rng.uniform(0, 0.12) * fine)
    if rng.random() < 0.5:
        field, edge = noise(rng, size_hw, int(rng.integers(24, 110))), rng.uniform(-0.3, 1.2)
        strength = rng.uniform(-0.5, 0.4)
        grey = grey * (1 + strength * smoothstep(field, edge, edge + rng.uniform(0.1, 0.8)))
    coloured = over_channels(grey) * random_rgb(rng, 0.92, 1.08)
    return clipped(blurred_picture(coloured, rng.uniform(0, 1.2)))


def lit(rng: np.random.Generator, picture: Array) -> Array:
    """Applies a random exposure, contrast and tint to a picture, 0..255 of any number type; returns float32."""
    contrast, exposure = rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.1)
    levels = np.arange(256) / 255
    curves = 255 * levels[:, None] ** contrast * exposure * random_rgb(rng, 0.9, 1.1)  # (256, 3)
    lit = np.empty(picture.shape, np.float32)
    values = picture.astype(np.uint8)
    for channel in range(3):
        lit[..., channel] = curves[:, channel].astype(np.float32)[values[..., channel]]
    return clipped(lit)


def as_photographed(rng: np.random.Generator, picture: Array) -> Image.Image:
    """Adds blur, sensor noise and JPEG compression, each to some of the pictures only."""
    if rng.random() < 0.3:
        picture = blurred_picture(picture, rng.uniform(0.3, 1.3))
    if rng.random() < 0.3:
        grain = rng.standard_normal(picture.shape[:2], dtype=np.float32) * np.float32(rng.uniform(1, 7))
        picture = picture + over_channels(grain)
    image = as_image(picture)
    return _compressed(image, quality=int(rng.integers(40, 92))) if rng.random() < 0.25 else image


def _compressed(image: Image.Image, *, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=["JPEG"]) as reopened:
        return reopened.convert("RGB")


def add_clutter(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a random piece of clutter; returns the picture, and a mask (h, w) bool of where the piece is."""
    return CLUTTER[int(rng.choice(len(CLUTTER), p=CLUTTER_CHANCES))](picture, rng)
