"""Draws cracks onto any picture: random walks of several widths, jagged lines, crazing and wide gaps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.crack_walks import crack_opening, draw_walks
from crack_lightning.data.synthetic.painting import (
    Pen,
    blended,
    blurred,
    clipped,
    mean_colour,
    noise,
    over_channels,
    shaded,
    shifted,
)

SIDE_PX = 256  # side of the pictures for which the widths of walks were tuned
WIDTH_SIGMA, WIDTH_RANGE_PX = 0.7, (0.5, 20.0)  # spread and range of the widths of walks
RUST_RGB = np.array([0.7, 0.5, 0.35], np.float32)  # factors by which rust changes the surface's colour


@dataclass(frozen=True)
class DrawnCracks:
    """A picture with cracks of one style.

    `picture`: (h, w, 3) float32 0..255.
    `cover` (h, w) float32: share of each pixel that is in the opening of a crack, 0..1.
    `strength` (h, w) float32: contrast of the crack in each pixel, 0..1.
    `style`: a key of STYLES.
    """

    picture: Array
    cover: Array
    strength: Array
    style: str


def add_cracks(picture: Array, rng: np.random.Generator) -> DrawnCracks:
    """Draws cracks of one style onto the picture (h, w, 3) float32 0..255."""
    style = STYLE_NAMES[int(rng.choice(len(STYLE_NAMES), p=STYLE_CHANCES))]
    size = picture.shape[:2]
    cover = STYLES[style][1](rng, size)
    fading = rng.random() < 0.5
    visible = cover * np.clip(noise(rng, size, 6) * 0.33 + 0.65, 0, 1) if fading else cover
    visible = blurred(visible, rng.uniform(0, 1.2))
    strength = np.float32(rng.beta(2, 1.6) * 0.9 + 0.1) * visible
    inside = _inside_colour(rng, mean_colour(picture))
    if style == "gap":
        inside = _gap_colour(rng, cover, inside)
    picture = _surroundings(rng, blended(picture, strength, inside), visible)
    return DrawnCracks(clipped(picture), cover, strength, style)


def _inside_colour(rng: np.random.Generator, surface: Array) -> Array:
    """Returns the colour (3,) of the inside of a crack: dark, at times white with lime or brown with rust."""
    filling = rng.random()
    dark = surface * rng.uniform(0.05, 0.5)
    if filling < 0.06:
        return np.minimum(surface * rng.uniform(1.25, 1.8), 250)
    return surface * RUST_RGB * rng.uniform(0.6, 1) if filling < 0.12 else dark


def _gap_colour(rng: np.random.Generator, cover: Array, inside: Array) -> Array:
    """Returns the colour (h, w, 3) of the inside of a wide gap: its walls and stones show, its rims stay dark."""
    rough = np.clip(0.6 + 0.35 * noise(rng, cover.shape, int(rng.integers(12, 60))), 0.1, 1.2)
    return over_channels(1 + rng.uniform(0, 2.2) * blurred(cover, 3.0) ** 2 * rough) * inside


def _surroundings(rng: np.random.Generator, picture: Array, visible: Array) -> Array:
    """Adds dirt or lime beside the crack, or a lip that catches the light, or both, or neither."""
    if rng.random() < 0.4:
        strength = rng.uniform(-0.4, 0.3)
        picture = shaded(picture, 1 + strength * blurred(visible, rng.uniform(1.5, 6)))
    if rng.random() < 0.5:
        strength = rng.uniform(0, 0.25)
        lip = np.clip(shifted(visible, rng.integers(-2, 3, 2)) - visible, 0, 1)
        picture = shaded(picture, 1 + strength * lip)
    return picture


def _walks(rng: np.random.Generator, size_hw: tuple[int, int], *, median_px: float) -> Array:
    """Draws branching walks in a square, and crops it so that the trunk's first point stays inside."""
    height, width = size_hw
    side = max(size_hw)
    factor = SIDE_PX / side  # because draw_walks widens cracks with the picture
    low, high = (factor * limit for limit in WIDTH_RANGE_PX)
    walks = draw_walks(
        rng, side, width_median_px=factor * median_px, width_sigma=WIDTH_SIGMA, width_range_px=(low, high)
    )
    opening = crack_opening(rng, side, walks)
    x, y = walks[0].xy[0] / side
    top, left = int(y * (side - height)), int(x * (side - width))
    return opening[top : top + height, left : left + width].astype(np.float32)


def _gap(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    return _walks(rng, size_hw, median_px=rng.uniform(9, 24))


def _jagged(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    """Draws a thin jagged line, at times with forks."""
    pen, width = Pen(size_hw), rng.lognormal(0.1, 0.5)
    angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.75, 2) * size_hw[::-1]
    along = max(size_hw) * np.array([np.cos(angle), np.sin(angle)])
    ends = centre - along * rng.uniform(0.3, 1), centre + along * rng.uniform(0.3, 1)
    trunk = jagged_line(rng, *ends, roughness=rng.uniform(0.04, 0.16))
    for k in range(len(trunk) - 1):
        local_width = width * np.exp(0.3 * np.sin(k / 7 + width))
        pen.line(trunk[k : k + 2], local_width, int(255 * min(1, local_width * 1.2)))
    for _ in range(int(rng.choice([0, 0, 1, 3]))):
        start = trunk[rng.integers(8, len(trunk) - 8)]
        turned = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.3)
        end = start + rng.uniform(20, 130) * np.array([np.cos(turned), np.sin(turned)])
        # A fork thinner than a third of a pixel cannot be drawn, so it is drawn paler instead.
        pen.line(jagged_line(rng, start, end, roughness=0.12), max(0.34, width * 0.6), int(255 * min(1, width)))
    return pen.cover()


def jagged_line(rng: np.random.Generator, start: Array, end: Array, *, roughness: float) -> Array:
    """Returns points (65, 2) from `start` to `end`, jagged at every scale by moving midpoints aside again and again."""
    points = np.array([start, end])
    for _ in range(6):
        gaps = np.diff(points, axis=0)
        offsets = np.stack([-gaps[:, 1], gaps[:, 0]], axis=1) * rng.normal(0, roughness, (len(gaps), 1))
        finer = np.empty((2 * len(points) - 1, 2))
        finer[::2], finer[1::2] = points, (points[1:] + points[:-1]) / 2 + offsets
        points = finer
    return points


def _crazed(rng: np.random.Generator, size_hw: tuple[int, int]) -> Array:
    """Draws a net of cracks over parts of the picture: the Voronoi borders of scattered points, bent by noise."""
    half_hw = -(-size_hw[0] // 2), -(-size_hw[1] // 2)  # computed at half size, then enlarged
    y, x = 2 * np.mgrid[: half_hw[0], : half_hw[1]].astype(np.float32)
    bend, cells = rng.uniform(2, 9), int(rng.integers(10, 36))
    x, y = x + bend * noise(rng, half_hw, cells), y + bend * noise(rng, half_hw, cells)
    count = int(rng.choice([6, 10, 20, 45]))
    points = rng.uniform((-30, -30), (size_hw[1] + 30, size_hw[0] + 30), (count, 2)).astype(np.float32)
    gap = Image.fromarray(_second_less_nearest(x, y, points)).resize(size_hw[::-1], Image.Resampling.BICUBIC)
    width = rng.uniform(0.5, 2.2)
    net = 1 - smoothstep(np.asarray(gap), width, width + 1.6)
    return net * np.clip(noise(rng, size_hw, 5) + rng.uniform(0, 1.5), 0, 1)


def _second_less_nearest(x: Array, y: Array, points: Array) -> Array:
    """Returns the distance (h, w) from the second nearest of points (n, 2) less the distance from the nearest."""
    first, second = np.full_like(x, np.inf), np.full_like(x, np.inf)
    for point_x, point_y in points:
        squared = (x - point_x) ** 2 + (y - point_y) ** 2
        np.minimum(second, np.maximum(first, squared), out=second)
        np.minimum(first, squared, out=first)
    return np.sqrt(second) - np.sqrt(first)


# Each style has a chance, and a function that draws its cover (h, w). `median_px` is the median width of its walks.
Style = Callable[[np.random.Generator, tuple[int, int]], Array]
STYLES: dict[str, tuple[float, Style]] = {
    "fine": (0.27, partial(_walks, median_px=1.2)),
    "narrow": (0.25, partial(_walks, median_px=2.0)),
    "open": (0.17, partial(_walks, median_px=4.0)),
    "jagged": (0.17, _jagged),
    "crazed": (0.09, _crazed),
    "gap": (0.05, _gap),
}
STYLE_NAMES = list(STYLES)
STYLE_CHANCES = [chance for chance, _ in STYLES.values()]
THIN_STYLES = ("fine", "jagged", "crazed")
