"""Draws what the surfaces of structures carry that is mistaken for a crack: formwork, joints, ledges, stains, paint.

Public functions take a picture (h, w, 3) float32 0..255 and return it with a piece, and a mask of that: (h, w) bool.
"""

import numpy as np

from crack_lightning.data.synthetic.concrete import Array, smoothstep
from crack_lightning.data.synthetic.painting import (
    Pen,
    any_colour,
    bezier,
    blended,
    blurred,
    clipped,
    mean_colour,
    noise,
    one_of,
    random_curve,
    shaded,
    shifted,
    tinted,
)
from crack_lightning.data.synthetic.structure_axes import Axes, axes_of, line_along


def formwork(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws the marks of shuttering boards or panels: shades, fins and gaps between boards, grain, form-tie holes."""
    size, axes = picture.shape[:2], axes_of(rng, picture.shape[:2])
    width = float(np.exp(rng.uniform(np.log(22), np.log(260))))
    index = np.floor(axes.across / width)
    tones = rng.normal(1, rng.uniform(0, 0.08), 64).astype(np.float32)
    picture = shaded(picture, tones[index.astype(int) % 64])
    distance = axes.across - width * np.round(axes.across / width)
    if rng.random() < 0.5:  # boards end, each at another place
        length = width * rng.uniform(2, 8)
        starts = rng.uniform(0, length, 64).astype(np.float32)
        beside = axes.along + starts[index.astype(int) % 64]
        ends = beside - length * np.round(beside / length)
        distance = np.where(np.abs(ends) < np.abs(distance), ends, distance)
    half_width = rng.uniform(0.3, 2.2)
    gap = line_along(rng, distance, half_width)
    shine = np.clip(shifted(gap, rng.integers(-3, 4, 2)) - gap, 0, 1)
    gain = 1 - rng.uniform(-0.35, 0.85) * gap + rng.uniform(-0.2, 0.35) * shine
    if rng.random() < 0.4:
        gain = gain * _grain(rng, size, axes)
    picture, mask = shaded(picture, gain), np.abs(distance) < half_width + 3
    if rng.random() < 0.35:
        picture, holes = _ties(picture, rng, axes, width)
        mask = mask | holes
    return clipped(picture), mask


def _grain(rng: np.random.Generator, size_hw: tuple[int, int], axes: Axes) -> Array:
    """Returns the gain (h, w) of wood grain: fine lines along the boards, which wander."""
    wander = axes.across + noise(rng, size_hw, 6) * np.float32(rng.uniform(1, 12))
    profile = np.convolve(rng.standard_normal(4096), np.ones(3) / 3, "same").astype(np.float32)
    position = (wander * np.float32(rng.uniform(0.4, 1.5))).astype(int) % 4096
    return 1 + np.float32(rng.uniform(0.02, 0.14)) * profile[position]


def _ties(picture: Array, rng: np.random.Generator, axes: Axes, width: float) -> tuple[Array, Array]:
    """Draws form-tie holes in rows along the boards."""
    step, radius = width * rng.uniform(1, 3) + 20, rng.uniform(2, 9)
    x = axes.along - step * np.round(axes.along / step)
    y = axes.across - 2 * width * np.round((axes.across / width - 0.5) / 2) - width / 2
    distance = np.hypot(x, y)
    hole = 1 - smoothstep(distance, radius, radius + 1.5)
    strength, colour = rng.uniform(0.4, 1), mean_colour(picture) * rng.uniform(0.1, 1.3)
    return blended(picture, hole * strength, colour), distance < radius + 4


def slab_joint(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a joint that runs through the picture, open, sealed or as a crease, at times with dirt on one side."""
    axes = axes_of(rng, picture.shape[:2])
    half_width = float(np.exp(rng.uniform(np.log(0.5), np.log(14))))
    groove = line_along(rng, axes.across, half_width)
    picture = shaded(picture, np.where(axes.across > 0, np.float32(rng.uniform(0.8, 1.2)), np.float32(1)))
    if rng.random() < 0.4:
        reach = rng.uniform(8, 60)
        dirt = np.exp(-np.clip(axes.across, 0, None) / reach) * np.clip(noise(rng, picture.shape[:2], 20), 0, 1)
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.4) * dirt * (axes.across > 0))
    colour = mean_colour(picture) * one_of(rng, rng.uniform(0.05, 0.7), rng.uniform(0.05, 0.7), rng.uniform(1, 1.4))
    picture = blended(picture, groove * rng.uniform(0.25, 1), colour)
    if half_width > 3 and rng.random() < 0.6:  # the sealant shrank: a dark line along its sides
        rims = line_along(rng, np.abs(axes.across) - half_width, rng.uniform(0.3, 1.2))
        picture = shaded(picture, 1 - rng.uniform(0.2, 0.8) * rims)
    return clipped(picture), np.abs(axes.across) < half_width + 4


def ledge(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a ledge, a step or the edges of a beam: bands of other light along a direction, drips below the edge."""
    axes, size = axes_of(rng, picture.shape[:2]), picture.shape[:2]
    mask = np.zeros(size, bool)
    for _ in range(int(rng.integers(1, 4))):
        edge, depth = rng.uniform(-0.4, 0.4) * max(size), rng.lognormal(2.6, 0.9)
        distance = axes.across - np.float32(edge)
        band = smoothstep(distance, -rng.uniform(0.3, 1.5), rng.uniform(0.3, 1.5)) * (distance < depth)
        picture = shaded(picture, 1 + rng.uniform(-0.75, 0.4) * band)
        if rng.random() < 0.5:  # one side lies in other light
            picture = shaded(picture, np.where(distance > 0, np.float32(rng.uniform(0.6, 1.25)), np.float32(1)))
        if rng.random() < 0.4:
            picture = shaded(picture, 1 - rng.uniform(0.1, 0.6) * _streaks(rng, axes, distance))
        mask |= (np.abs(distance) < 5) | (np.abs(distance - depth) < 5)
    return clipped(picture), mask


def _streaks(rng: np.random.Generator, axes: Axes, distance: Array) -> Array:
    """Returns the cover (h, w) of streaks that run down from an edge and fade."""
    fine = np.convolve(rng.standard_normal(2048), np.ones(int(rng.integers(2, 14))), "same").astype(np.float32)
    fine = np.clip(fine / (fine.std() + 1e-6) - rng.uniform(0, 1.2), 0, 1)
    reach = np.float32(rng.uniform(15, 200))
    return fine[axes.along.astype(int) % 2048] * np.exp(-np.clip(distance, 0, None) / reach) * (distance > 0)


def edge_stains(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws streaks of dirt, rust or lime down from a line, with or without the line itself."""
    axes = axes_of(rng, picture.shape[:2])
    cover = _streaks(rng, axes, axes.across)
    tint = np.array([[0.45, 0.45, 0.43], [0.8, 0.5, 0.3], [1.35, 1.35, 1.33]], np.float32)[int(rng.integers(3))]
    picture = tinted(picture, cover * rng.uniform(0.3, 1), tint)
    if rng.random() < 0.5:
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.8) * line_along(rng, axes.across, rng.uniform(0.3, 2)))
    return clipped(picture), (cover > 0.08) | (np.abs(axes.across) < 4)


def paving(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws pavers, bricks, blocks or planks: each with its own shade, with joints that are dark, light or green."""
    axes, size = axes_of(rng, picture.shape[:2]), picture.shape[:2]
    high = float(np.exp(rng.uniform(np.log(14), np.log(150))))
    wide = high * one_of(rng, 1, rng.uniform(1.5, 4), rng.uniform(6, 20))
    row = np.floor(axes.across / high)
    shift = one_of(rng, 0, 0.5, rng.uniform(0.1, 0.9)) * (row % 2)
    along = axes.along + np.float32(wide) * shift.astype(np.float32)
    tones = rng.normal(1, rng.uniform(0, 0.15), 256).astype(np.float32)
    picture = shaded(picture, tones[(row.astype(int) * 31 + np.floor(along / wide).astype(int) * 17) % 256])
    distance = np.minimum(
        np.abs(axes.across - high * np.round(axes.across / high)), np.abs(along - wide * np.round(along / wide))
    )
    half_width = rng.uniform(0.3, 0.06 * high + 0.5)
    joints = line_along(rng, distance, half_width)
    mask = distance < half_width + 3
    if rng.random() < 0.3:  # over a part of the picture only
        part = smoothstep(axes_of(rng, size).across, -2, 2)
        joints, mask = joints * part, mask & (part > 0.1)
    return clipped(blended(picture, joints * rng.uniform(0.2, 1), any_colour(rng, picture))), mask


def graffiti(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws sprayed letters: thick strokes with an outline of another colour, drips and overspray."""
    size = picture.shape[:2]
    inner, outer, width = Pen(size), Pen(size), rng.uniform(3, 28)
    rim = width + rng.uniform(2, 10)
    position, height = rng.uniform(0, 0.6, 2) * size[::-1], rng.uniform(50, 260)
    for _ in range(int(rng.integers(2, 7))):
        control = position + rng.uniform(-0.6, 0.6, (4, 2)) * height
        curve = bezier(control, 20) if rng.random() < 0.7 else control
        inner.line(curve, width)
        outer.line(curve, rim)
        if rng.random() < 0.3:
            inner.line(curve[-1] + np.array([[0, 0], [0, rng.uniform(20, 120)]]), rng.uniform(1, 4))
        position[0] += height * rng.uniform(0.4, 1.1)
    strength, mask = rng.uniform(0.5, 1), outer.cover() > 0.05
    if rng.random() < 0.6:
        picture = blended(picture, blurred(outer.cover(), one_of(rng, 0, 2)) * strength, any_colour(rng, picture))
    cover = blurred(inner.cover(), one_of(rng, 0, rng.uniform(0, 3)))
    mask |= cover > 0.05
    return clipped(blended(picture, cover * strength, any_colour(rng, picture))), mask


def spray(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws broad strokes of a spray can: soft at the sides, dense or thin, at times crossing or filling an area."""
    size = picture.shape[:2]
    pen, width = Pen(size), float(np.exp(rng.uniform(np.log(6), np.log(60))))
    for _ in range(int(rng.integers(1, 5))):
        wide = rng.random() < 0.6
        curve = random_curve(rng, size, points=24) if wide else rng.uniform(-0.1, 1.1, (2, 2)) * size[::-1]
        pen.line(curve, width * rng.uniform(0.5, 1))
    cover = blurred(blurred(pen.cover(), width * rng.uniform(0.03, 0.35)), width * rng.uniform(0.02, 0.1))
    speckled = noise(rng, size, 200) * rng.uniform(0, 0.5) * (1 - cover)
    cover = np.clip(cover * (1 + speckled), 0, 1) * np.float32(rng.uniform(0.4, 1))
    return clipped(blended(picture, cover, any_colour(rng, picture))), cover > 0.03
