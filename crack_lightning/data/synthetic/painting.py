"""Tools that paint onto pictures (h, w, 3) float32 0..255: noise, slopes, pens, blending, blur, colours."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from crack_lightning.data.synthetic.concrete import SUPERSAMPLING, Array, reduced

MIN_LINEAR_CELLS = 40  # noise with fewer cells shows them when it is enlarged linearly
BOX_RADIUS = 1.2  # a box of this radius blurs about as much as a Gaussian of standard deviation 1


class Pen:
    """Draws a mask at SUPERSAMPLING times the size of a picture, in the picture's pixel coordinates x, y."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw
        height, width = size_hw
        self.mask = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
        self.draw = ImageDraw.Draw(self.mask)

    def line(self, xy: Array, width_px: float, fill: int = 255) -> None:
        """Draws a line through points (n, 2)."""
        width = max(1, round(width_px * SUPERSAMPLING))
        self.draw.line((xy * SUPERSAMPLING).ravel().tolist(), fill=fill, width=width, joint="curve")

    def polygon(self, xy: Array, fill: int = 255) -> None:
        """Fills the shape with corners (n, 2)."""
        self.draw.polygon((xy * SUPERSAMPLING).ravel().tolist(), fill=fill)

    def ellipse(self, centre_xy: Array, radii_xy: Sequence[float], fill: int = 255) -> None:
        """Fills an upright ellipse."""
        radii = np.asarray(radii_xy)
        box = np.concatenate([centre_xy - radii, centre_xy + radii]) * SUPERSAMPLING
        self.draw.ellipse(box.tolist(), fill=fill)

    def cover(self) -> Array:
        """Returns the share of each pixel that was drawn on, (h, w) in 0..1."""
        return reduced(self.mask)


def noise(rng: np.random.Generator, size_hw: tuple[int, int], cells: int) -> Array:
    """Returns smooth noise (h, w) of standard deviation about 1, with `cells` blobs along the longer side."""
    longest = max(size_hw)
    coarse = rng.standard_normal([-(-cells * side // longest) for side in size_hw], dtype=np.float32)
    method = Image.Resampling.BICUBIC if cells < MIN_LINEAR_CELLS else Image.Resampling.BILINEAR
    # Enlarging averages neighbours, which lowers the standard deviation by a sixth.
    return np.asarray(Image.fromarray(coarse).resize(size_hw[::-1], method)) * np.float32(1.2)


def distance_from_line(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    """Returns the signed distance in pixels (h, w) from a random straight line through the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    origin_x, origin_y = (rng.uniform(0.05, 0.95, 2) * size_hw[::-1]).astype(np.float32)
    y, x = (np.arange(side, dtype=np.float32) for side in size_hw)
    return ((x - origin_x) * np.float32(np.cos(angle)))[None] + ((y - origin_y) * np.float32(np.sin(angle)))[:, None]


def bezier(control_xy: Array, points: int) -> Array:
    """Returns `points` points (n, 2) along the cubic Bezier curve with the control points (4, 2)."""
    t = np.linspace(0, 1, points)[:, None]
    first, second, third, fourth = control_xy
    return (1 - t) ** 3 * first + 3 * (1 - t) ** 2 * t * second + 3 * (1 - t) * t**2 * third + t**3 * fourth


def random_curve(
    rng: np.random.Generator, size_hw: tuple[int, int], *, points: int = 36, beyond: float = 0.25
) -> Array:
    """Returns points (n, 2) of a smooth curve with control points up to `beyond` times a side outside the picture."""
    return bezier(rng.uniform(-beyond, 1 + beyond, (4, 2)) * size_hw[::-1], points)


def one_of(rng: np.random.Generator, *values: float) -> float:
    """Returns one of the values at random, as a Python number, so that float32 arrays stay float32."""
    return float(rng.choice(values))


def blurred(cover: Array, radius_px: float) -> Array:
    """Blurs a mask (h, w) in 0..1, with a resolution of 1/255."""
    if radius_px < 0.15:
        return cover
    levels = Image.fromarray(np.uint8(255 * np.clip(cover, 0, 1)))
    return np.asarray(levels.filter(ImageFilter.BoxBlur(BOX_RADIUS * radius_px)), np.float32) / 255


def blurred_picture(picture: Array, radius_px: float) -> Array:
    """Blurs the picture (h, w, 3); the result has whole numbers."""
    if radius_px < 0.2:
        return picture
    return np.asarray(as_image(picture).filter(ImageFilter.BoxBlur(BOX_RADIUS * radius_px)), np.float32)


def shifted(values: Array, shift_yx: Array) -> Array:
    """Moves the mask (h, w) by whole pixels, and repeats its border where that leaves a gap."""
    margin = int(np.abs(shift_yx).max())
    padded = np.pad(values, margin, mode="edge")
    top, left = margin - shift_yx[0], margin - shift_yx[1]
    return padded[top : top + values.shape[0], left : left + values.shape[1]]


def over_channels(values: Array) -> Array:
    """Repeats values (h, w) as (h, w, 3), on which numpy is several times as fast as if it broadcast them."""
    repeated = np.empty((*values.shape, 3), np.float32)
    for channel in range(3):
        repeated[..., channel] = values
    return repeated


def blended(picture: Array, cover: Array, colour: Array) -> Array:
    """Paints `colour`, (3,) or (h, w, 3), over the picture where `cover` (h, w) is 1."""
    rows = picture.reshape(len(picture), -1)  # (h, 3 * w): numpy is slow on a last axis of 3
    over = np.tile(colour, picture.shape[1]) if colour.ndim == 1 else colour.reshape(len(picture), -1)
    out = over - rows
    out *= over_channels(cover).reshape(len(picture), -1)
    out += rows
    return out.reshape(picture.shape)


def shaded(picture: Array, gain: Array) -> Array:
    """Multiplies the picture by `gain` (h, w)."""
    out = over_channels(gain)
    out *= picture
    return out


def tinted(picture: Array, cover: Array, gain: Array) -> Array:
    """Multiplies the picture by `gain` (3,) where `cover` (h, w) is 1."""
    out = over_channels(cover).reshape(len(picture), -1)
    out *= np.tile(np.float32(gain) - 1, picture.shape[1])
    out += 1
    out *= picture.reshape(out.shape)
    return out.reshape(picture.shape)


def clipped(picture: Array) -> Array:
    """Clips the picture to 0..255."""
    return np.clip(picture, 0, 255, dtype=np.float32)


def as_image(picture: Array) -> Image.Image:
    """Returns the picture as an 8-bit RGB image."""
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def mean_colour(picture: Array) -> Array:
    """Returns the mean of each channel (3,) over every fourth row and column, which is accurate enough."""
    return picture[::4, ::4].mean((0, 1))


def random_rgb(rng: np.random.Generator, low: float, high: float) -> Array:
    """Returns three random float32 numbers in low..high."""
    return rng.uniform(low, high, 3).astype(np.float32)


def any_colour(rng: np.random.Generator, picture: Array) -> Array:
    """Returns a random colour (3,), more often than not a shade of the picture's own."""
    if rng.random() < 0.6:
        return mean_colour(picture) * rng.uniform(0.2, 1.5) * random_rgb(rng, 0.9, 1.1)
    return random_rgb(rng, 0, 255)
