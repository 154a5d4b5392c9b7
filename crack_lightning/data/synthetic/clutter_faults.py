"""Draws faults and features of the surface itself that are mistaken for a crack: pores, stains, spalls, stones, joints.

Public functions take a picture (h, w, 3) float32 0..255 and return it with a fault, and a mask of that: (h, w) bool.
"""

import numpy as np

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    Pen,
    blended,
    blurred,
    clipped,
    distance_from_line,
    mean_colour,
    noise,
    one_of,
    over_channels,
    random_rgb,
    shaded,
    shifted,
    tinted,
)

# RGB factors by which dirty water, rust and lime change the surface's colour.
DRIP_RGB = np.array([[0.45, 0.45, 0.43], [0.8, 0.5, 0.3], [1.35, 1.35, 1.33]], np.float32)


def pores(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws air voids and pits, at times with a lit rim."""
    size = picture.shape[:2]
    pen, log_radius = Pen(size), rng.uniform(0.2, 1.1)
    for _ in range(int(rng.integers(3, 70))):
        centre, half_width = rng.uniform(0, 1, 2) * size[::-1], rng.lognormal(log_radius, 0.7)
        up, down = half_width * rng.uniform(0.4, 1.6), half_width
        middle = centre + np.array([0, (down - up) / 2])
        pen.ellipse(middle, (half_width, (up + down) / 2), int(rng.integers(100, 256)))
    cover = pen.cover()
    if rng.random() < 0.4:
        strength = rng.uniform(0.1, 0.5)
        rim = np.clip(shifted(cover, rng.integers(-2, 3, 2)) - cover, 0, 1)
        picture = shaded(picture, 1 + strength * rim)
    return clipped(shaded(picture, 1 - rng.uniform(0.2, 0.9) * cover)), cover > 0.1


def stain(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws moisture, oil or soot, at times with a dried rim."""
    size = picture.shape[:2]
    field = noise(rng, size, int(rng.integers(4, 14)))
    edge, softness = rng.uniform(-0.5, 1.0), rng.uniform(0.02, 0.6)
    picture = tinted(picture, smoothstep(field, edge, edge + softness), random_rgb(rng, 0.6, 1.3))
    if rng.random() < 0.25:
        strength = rng.uniform(-0.3, 0.3)
        rim = 1 - smoothstep(np.abs(field - edge), 0.01, rng.uniform(0.04, 0.2))
        picture = shaded(picture, 1 + strength * rim)
    return clipped(picture), (field > edge - 0.1) & (field < edge + softness + 0.1)


def drips(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws drips of dirty water, rust or lime down or across the surface: soft at the sides, fading along the way."""
    tint, sideways = int(rng.integers(3)), bool(rng.integers(2))
    size = picture.shape[:2]
    pen = Pen(size[::-1] if sideways else size)
    for _ in range(int(rng.integers(1, 9))):
        _drip(pen, rng)
    cover = blurred(pen.cover(), rng.uniform(0.4, 3))
    if sideways:
        cover = cover.T
    strength = rng.uniform(0.3, 1)
    return clipped(tinted(picture, cover * strength, DRIP_RGB[tint])), cover > 0.08


def _drip(pen: Pen, rng: np.random.Generator, points: int = 12) -> None:
    """Draws one drip, which becomes thinner and paler on its way down."""
    x, top = rng.uniform(0, pen.size_hw[1]), rng.uniform(-60, 150)
    length, width = rng.uniform(30, 250), rng.lognormal(1.0, 0.8)
    path_x = x + np.cumsum(rng.normal(0, 0.8, points))
    xy = np.stack([path_x, top + np.linspace(0, length, points)], axis=1)
    for k in range(points - 1):
        progress = k / points
        pen.line(xy[k : k + 2], width * (1 - 0.6 * progress), int(255 * (1 - 0.75 * progress)))


def holes(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws form-tie holes, drill holes and bolts: round, dark or filled, with a rim that catches the light."""
    size = picture.shape[:2]
    inner, outer = Pen(size), Pen(size)
    for _ in range(int(rng.integers(1, 4))):
        centre, radius = rng.uniform(0, 1, 2) * size[::-1], rng.uniform(3, 26)
        inner.ellipse(centre, (radius, radius))
        outer_radius = radius * rng.uniform(1.05, 1.4)
        outer.ellipse(centre, (outer_radius, outer_radius))
    cover, rim = inner.cover(), outer.cover()
    picture = shaded(picture, 1 + rng.uniform(-0.4, 0.3) * (rim - cover))
    strength = rng.uniform(0.3, 1)
    colour = mean_colour(picture) * one_of(rng, rng.uniform(0.05, 0.5), rng.uniform(0.7, 1.3))
    mask = (rim > 0.05) & (cover < 0.95) | (blurred(cover, 1.5) > 0.1)
    return clipped(blended(picture, cover * strength, colour)), mask


def spall(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws spalls, where the surface broke off: ragged patches, rough, lighter or darker, with a shaded edge."""
    size = picture.shape[:2]
    field = noise(rng, size, 5) + 0.25 * noise(rng, size, 20) + 0.1 * noise(rng, size, 60)
    edge = rng.uniform(0.6, 1.6)
    cover = smoothstep(field, edge, edge + 0.12)
    rough = 1 + rng.uniform(0.05, 0.3) * noise(rng, size, int(rng.integers(30, 110)))
    rough += rng.uniform(0, 0.2) * noise(rng, size, 16)
    rim = np.clip(shifted(cover, rng.integers(-4, 5, 2)) - cover, -1, 1)
    inside = over_channels(rough) * (mean_colour(picture) * rng.uniform(0.5, 1.3))
    picture = blended(picture, cover, inside)
    return clipped(shaded(picture, 1 - rng.uniform(0.1, 0.6) * rim)), cover > 0.02


def relief(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws fins, steps and trowel ridges: a bright line beside a dark line, straight or wavy."""
    size = picture.shape[:2]
    distance = distance_from_line(rng, size)
    distance = distance + noise(rng, size, int(rng.integers(3, 12))) * one_of(rng, 0, rng.uniform(0, 10))
    width = rng.uniform(0.6, 4)
    slope = distance / width * np.exp(0.5 - (distance / width) ** 2 / 2)
    fade = np.clip(noise(rng, size, 6) * 0.4 + 0.8, 0, 1)
    return clipped(shaded(picture, 1 + rng.uniform(-0.35, 0.35) * slope * fade)), np.abs(distance) < 2.5 * width


def stones(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws exposed aggregate: many light and dark grains with edges."""
    size = picture.shape[:2]
    pens, log_radius = (Pen(size), Pen(size)), rng.uniform(0.8, 2.2)
    for k in range(int(rng.integers(20, 140))):
        centre, radius = rng.uniform(0, 1, 2) * size[::-1], rng.lognormal(log_radius, 0.5)
        angles = np.sort(rng.uniform(0, 6.28, 6))
        corners = rng.uniform(0.6, 1.1, (6, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pens[k % 2].polygon(centre + radius * corners, int(rng.integers(60, 256)))
    dark, light = (pen.cover() for pen in pens)
    gain = 1 + rng.uniform(0.1, 0.6) * light - rng.uniform(0.1, 0.6) * dark
    return clipped(shaded(picture, gain)), (light > 0.1) | (dark > 0.1)


def joint(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a straight groove between slabs or boards: its edges are parallel, at times broken; it may be filled."""
    size = picture.shape[:2]
    distance, half_width = distance_from_line(rng, size), rng.lognormal(0.9, 0.6)
    ragged = noise(rng, size, 40) * one_of(rng, 0, rng.uniform(0, 1.5))
    groove = 1 - smoothstep(np.abs(distance) + ragged, half_width, half_width + rng.uniform(0.5, 2))
    picture = shaded(picture, np.where(distance > 0, np.float32(rng.uniform(0.85, 1.15)), np.float32(1)))
    strength = rng.uniform(0.2, 1)
    colour = mean_colour(picture) * one_of(rng, rng.uniform(0.05, 0.6), rng.uniform(1, 1.5))
    return clipped(blended(picture, groove * strength, colour)), np.abs(distance) < half_width + 3
