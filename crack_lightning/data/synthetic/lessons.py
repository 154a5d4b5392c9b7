"""Pictures from which a crack map is learned: a surface, clutter, a crack, a camera; and where each of them is."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.camera import photograph
from crack_lightning.data.synthetic.clutter_faults import holes, joint, pores, relief, runs, spall, stain, stones
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

SIDE = 256  # pixels
SIZE_HW = (SIDE, SIDE)
COUNTS = (0.25, 0.35, 0.27, 0.13)  # chances of 0, 1, 2, 3 kinds of clutter
CRACKED = 0.8  # share of the lessons
# Each takes a picture (h, w, 3) float32 0..255 and a generator; it returns the picture with one kind of clutter and
# where that is, (h, w) bool. Leaving out spalls or grids costs a crack map most: they come twice.
FREQUENCY = {
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
    runs: 1.0,
    plants: 1.0,
    label: 1.0,
    holes: 1.0,
    scratches: 1.0,
    spall: 2.0,
    relief: 1.0,
    stones: 1.0,
    joint: 1.0,
}
NO_CRACK = list(FREQUENCY)
CHANCES = np.array(list(FREQUENCY.values())) / sum(FREQUENCY.values())


@dataclass(frozen=True)
class Lesson:
    """An RGB picture of SIDE x SIDE pixels and what was drawn in it.

    `cover` and `strength` (SIDE, SIDE) float32 in 0..1: how much of a pixel lies in a crack's opening, and its
    contrast; `clutter` (SIDE, SIDE) bool: where something lies that is mistaken for a crack, drawn before the crack;
    `style`: of the crack, a name of STYLES, None without one.
    """

    image: Image.Image
    cover: Array
    strength: Array
    clutter: Array
    style: str | None

    @property
    def thin(self) -> bool:
        """Whether its cracks are of a style that draws thin lines."""
        return self.style in THIN_STYLES


def lesson(source: Image.Image | None, seed: int, index: int) -> Lesson:
    """Lesson `index`, drawn onto `source`, a square picture of a sound surface, or onto a generated one if None.

    The same arguments give the same lesson, in whatever order and process it is drawn.
    """
    rng = np.random.default_rng([seed, index])
    picture = _lit(rng, _generated(rng) if source is None else _seen(rng, source))
    clutter = np.zeros(SIZE_HW, bool)
    for _ in range(int(rng.choice(len(COUNTS), p=COUNTS))):
        picture, where = add_clutter(picture, rng)
        clutter |= where
    if rng.random() < 1 - CRACKED:
        bare = np.zeros(SIZE_HW, np.float32)
        return Lesson(_taken(rng, picture), bare, bare, clutter, None)
    drawn = add_cracks(picture, rng)
    picture = drawn.picture
    if rng.random() < 0.1:  # a shadow or a stain over the crack
        picture, _ = (shadow, stain)[int(rng.integers(2))](picture, rng)
    return Lesson(_taken(rng, picture), drawn.cover, drawn.strength, clutter, drawn.style)


def _seen(rng: np.random.Generator, source: Image.Image) -> Array:
    """A sound surface, nearer or farther, turned and mirrored."""
    zoom = one_of(rng, 1.0, 1.0, rng.uniform(0.5, 1), rng.uniform(1, 1.5))
    side = round(SIDE * zoom)
    resized = source.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    picture = np.rot90(np.asarray(resized), int(rng.integers(4)))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if side < SIDE:
        return np.pad(picture, ((0, SIDE - side), (0, SIDE - side), (0, 0)), mode="symmetric")
    if side == SIDE:
        return picture
    top, left = rng.integers(0, side - SIDE + 1, 2)
    return picture[top : top + SIDE, left : left + SIDE]


def _generated(rng: np.random.Generator) -> Array:
    return np.asarray(photograph(rng, sound_surface(rng, SIDE))) if rng.random() < 0.5 else _grains(rng)


def _grains(rng: np.random.Generator) -> Array:
    """Rough plaster, asphalt or washed concrete: noise of several sizes, at times cut into stones."""
    mottle = sum(np.float32(rng.exponential(1)) * noise(rng, SIZE_HW, cells) for cells in (4, 24, 48, 96))
    fine = rng.standard_normal(SIZE_HW, dtype=np.float32)
    grey = rng.uniform(60, 200) * (1 + rng.uniform(0.01, 0.06) * mottle + rng.uniform(0, 0.12) * fine)
    if rng.random() < 0.5:
        field, edge = noise(rng, SIZE_HW, int(rng.integers(24, 110))), rng.uniform(-0.3, 1.2)
        strength = rng.uniform(-0.5, 0.4)
        grey = grey * (1 + strength * smoothstep(field, edge, edge + rng.uniform(0.1, 0.8)))
    coloured = over_channels(grey) * random_rgb(rng, 0.92, 1.08)
    return clipped(blurred_picture(coloured, rng.uniform(0, 1.2)))


def _lit(rng: np.random.Generator, picture: Array) -> Array:
    """The picture, 0..255 of any number type, under another exposure, contrast and tint: float32."""
    contrast, exposure = rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.1)
    levels = np.arange(256) / 255
    curves = 255 * levels[:, None] ** contrast * exposure * random_rgb(rng, 0.9, 1.1)  # (256, 3)
    out = np.empty(picture.shape, np.float32)
    whole = picture.astype(np.uint8)
    for channel in range(3):
        out[..., channel] = curves[:, channel].astype(np.float32)[whole[..., channel]]
    return clipped(out)


def _taken(rng: np.random.Generator, picture: Array) -> Image.Image:
    """Focus, noise of the sensor, JPEG: each at times."""
    if rng.random() < 0.3:
        picture = blurred_picture(picture, rng.uniform(0.3, 1.3))
    if rng.random() < 0.3:
        grain = rng.standard_normal(SIZE_HW, dtype=np.float32) * np.float32(rng.uniform(1, 7))
        picture = picture + over_channels(grain)
    image = as_image(picture)
    return _compressed(image, quality=int(rng.integers(40, 92))) if rng.random() < 0.25 else image


def _compressed(image: Image.Image, *, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=["JPEG"]) as opened:
        return opened.convert("RGB")


def add_clutter(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The picture with one thing that is mistaken for a crack, and where that is."""
    return NO_CRACK[int(rng.choice(len(NO_CRACK), p=CHANCES))](picture, rng)
