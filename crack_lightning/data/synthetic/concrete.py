"""Draws sound concrete: the relief and colour of a surface, with features that are mistaken for cracks."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray

SUPERSAMPLING = 3  # masks are drawn this many times larger, then reduced: the thinnest line is a third of a pixel

# Linear RGB of dry, damp, warm, bluish and lime-washed concrete; each surface mixes two of them.
CONCRETE_RGB = np.array(
    [[0.64, 0.62, 0.58], [0.40, 0.40, 0.37], [0.66, 0.59, 0.51], [0.57, 0.60, 0.64], [0.80, 0.79, 0.77]],
    dtype=np.float32,
)
# RGB factors by which moisture, rust, lime and algae change the surface's colour.
STAIN_RGB = np.array([[0.55, 0.54, 0.52], [0.86, 0.66, 0.48], [1.30, 1.30, 1.28], [0.68, 0.74, 0.58]], dtype=np.float32)


@dataclass(frozen=True)
class Surface:
    """A square of concrete before light falls on it.

    All fields are float32.
    `height` (n, n): relief, in arbitrary units.
    `colour` (3, n, n): linear RGB in 0..1.
    `opening` (n, n): share of each pixel that is a hole which no light reaches, 0..1.
    """

    height: Array
    colour: Array
    opening: Array


def fractal_noise(rng: np.random.Generator, size: int, *, slope: float, stretch: float = 1.0) -> list[Array]:
    """Returns two independent (size, size) fields of mean 0 and standard deviation 1 whose power falls as 1/f**slope.

    All octaves are computed at once, by filtering white noise in the frequency domain. A `stretch` above 1 elongates
    the pattern along one axis, as a trowel or a brush does.
    """
    n = -(-size // 16) * 16  # multiples of 16 are fast; the crop to `size` also hides that the field is periodic
    frequency = np.fft.fftfreq(n).astype(np.float32)
    squared = frequency[:, None] ** 2 + (stretch * frequency[None, :]) ** 2
    squared[0, 0] = 1.0
    gain = squared ** np.float32(-slope / 4)
    gain[0, 0] = 0.0
    white = rng.standard_normal((n, n), dtype=np.float32) + 1j * rng.standard_normal((n, n), dtype=np.float32)
    field = np.fft.ifft2(white * gain)[:size, :size]
    return [_standardised(field.real), _standardised(field.imag)]


def _standardised(field: Array) -> Array:
    field = np.ascontiguousarray(field, dtype=np.float32)
    return (field - field.mean()) / (field.std() + 1e-6)


def _enlarged(field: Array, size: int) -> Array:
    """Enlarges a field that has no fine detail; drawing it at full size would take several times as long."""
    return np.asarray(Image.fromarray(field).resize((size, size), Image.Resampling.BICUBIC))


def smoothstep(values: Array, low: float, high: float) -> Array:
    """Returns 0 below `low`, 1 above `high`, and a smooth ramp between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def blank_mask(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Returns an empty supersampled mask and the pen that draws on it."""
    mask = Image.new("L", (size * SUPERSAMPLING, size * SUPERSAMPLING))
    return mask, ImageDraw.Draw(mask)


def reduced(mask: Image.Image) -> Array:
    """Reduces a supersampled mask to the share of each pixel that is drawn on, (h, w) in 0..1."""
    return np.asarray(mask.reduce(SUPERSAMPLING), dtype=np.float32) / 255.0


def signed_distance(rng: np.random.Generator, size: int) -> Array:
    """Returns every pixel's signed distance (size, size) from a random straight line, in pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    x = np.arange(size, dtype=np.float32) - np.float32(rng.uniform(0.1, 0.9) * size)
    y = np.arange(size, dtype=np.float32) - np.float32(rng.uniform(0.1, 0.9) * size)
    return (x * np.float32(np.cos(angle)))[None, :] + (y * np.float32(np.sin(angle)))[:, None]


def sound_surface(rng: np.random.Generator, size: int) -> Surface:
    """Draws plain concrete with pores and at times stains, a joint, a formwork line or scratches."""
    relief, tone = fractal_noise(rng, size, slope=rng.uniform(0.6, 1.9), stretch=_stretch(rng))
    blotch, stain = (_enlarged(field, size) for field in fractal_noise(rng, 64, slope=rng.uniform(2.4, 3.4)))
    height = relief * np.float32(rng.lognormal(-0.6, 0.6))
    brightness = 1 + rng.uniform(0.02, 0.07) * tone + rng.uniform(0.02, 0.09) * blotch
    colour = _base_colour(rng)[:, None, None] * brightness
    colour = _stained(rng, colour, stain)
    holes = pores(rng, size, roughness=relief)
    surface = Surface(height - 3.0 * holes, colour, 0.88 * holes)
    for chance, feature in ((0.16, _joint), (0.18, _formwork_line), (0.15, _scratch)):
        if rng.random() < chance:
            surface = feature(rng, surface)
    return surface


def _stretch(rng: np.random.Generator) -> float:
    return float(rng.uniform(1.5, 5.0)) if rng.random() < 0.3 else 1.0


def _base_colour(rng: np.random.Generator) -> Array:
    first, second = CONCRETE_RGB[rng.integers(len(CONCRETE_RGB), size=2)]
    share = np.float32(rng.random())
    return (share * first + (1 - share) * second) * np.float32(rng.uniform(0.75, 1.12))


def _stained(rng: np.random.Generator, colour: Array, field: Array) -> Array:
    if rng.random() > 0.45:
        return colour
    edge = rng.uniform(0.3, 1.4)
    amount = smoothstep(field, edge, edge + rng.uniform(0.4, 2.0)) * np.float32(rng.uniform(0.15, 0.6))
    tint = STAIN_RGB[rng.integers(len(STAIN_RGB))]
    return colour * (1 + amount * (tint[:, None, None] - 1))


def pores(rng: np.random.Generator, size: int, *, roughness: Array) -> Array:
    """Draws air voids and pits, with rims frayed by `roughness`: the share of each pixel, (size, size) in 0..1."""
    count = int(min(rng.lognormal(2.0, 1.1), 160))
    mask, pen = blank_mask(size)
    for x, y, radius in zip(
        rng.uniform(0, size, count),
        rng.uniform(0, size, count),
        np.minimum(rng.lognormal(0.1, 0.55, count), size / 20),
        strict=True,
    ):
        radius_x, radius_y = radius * rng.uniform(0.6, 1.3, 2)
        box = (x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        pen.ellipse([SUPERSAMPLING * v for v in box], fill=255)
    depth = reduced(mask) * np.float32(rng.uniform(0.5, 1.0))
    return np.clip(depth * (1 + 0.3 * roughness), 0, 1)


def _joint(rng: np.random.Generator, surface: Surface) -> Surface:
    """Adds a straight groove between two slabs; its edges are parallel, and far smoother than those of a crack."""
    distance = signed_distance(rng, len(surface.height))
    half_width = rng.uniform(1.0, 6.0)
    groove = 1 - smoothstep(np.abs(distance), half_width, half_width + rng.uniform(0.7, 2.0))
    other_slab = np.where(distance > 0, np.float32(rng.uniform(0.88, 1.1)), np.float32(1))
    return Surface(
        surface.height - rng.uniform(3.0, 9.0) * groove,
        surface.colour * other_slab,
        np.maximum(surface.opening, groove * np.float32(rng.uniform(0.5, 0.95))),
    )


def _formwork_line(rng: np.random.Generator, surface: Surface) -> Surface:
    """Adds the fin or step that forms at the gap between two shuttering boards."""
    distance = signed_distance(rng, len(surface.height))
    fin = np.exp(-((distance / np.float32(rng.uniform(0.6, 2.5))) ** 2))
    step = smoothstep(distance, -1.5, 1.5) * np.float32(rng.uniform(-1.5, 1.5))
    board = 1 + np.float32(rng.uniform(-0.06, 0.06)) * (distance > 0)
    return Surface(surface.height + rng.uniform(-1.5, 2.5) * fin + step, surface.colour * board, surface.opening)


def _scratch(rng: np.random.Generator, surface: Surface) -> Surface:
    """Adds thin arcs of scraped cement or pencil, lighter or darker than the surface."""
    size = len(surface.height)
    mask, pen = blank_mask(size)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-size, 2 * size, 2) * SUPERSAMPLING
        radius = rng.uniform(0.5, 4.0) * size * SUPERSAMPLING
        start = rng.uniform(0, 360)
        box = [x - radius, y - radius, x + radius, y + radius]
        pen.arc(box, start, start + rng.uniform(20, 200), fill=255, width=int(rng.integers(2, 6)))
    strength = np.float32(rng.choice([-0.22, 0.18, 0.28])) * rng.uniform(0.5, 1.0)
    return Surface(surface.height, surface.colour * (1 + strength * reduced(mask)), surface.opening)
