"""Draws what structures carry that is mistaken for a crack: formwork, joints, ledges, pipes, fences, what is beyond.

Public functions take a picture (h, w, 3) float32 0..255 and return it with a piece, and a mask of that: (h, w) bool.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

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
    over_channels,
    random_curve,
    random_rgb,
    shaded,
    shifted,
    tinted,
)


@dataclass(frozen=True)
class Axes:
    """Coordinates of a picture's pixels, in pixels: `along` and `across` (h, w) a direction, from a random origin."""

    along: Array
    across: Array


def _axes(rng: np.random.Generator, size_hw: tuple[int, int]) -> Axes:
    """Returns axes that are usually almost level or upright, as structures are in photographs, and slightly curved."""
    tilt = rng.normal(0, 0.06) if rng.random() < 0.75 else rng.uniform(-0.8, 0.8)
    angle = tilt + (np.pi / 2) * int(rng.integers(2))
    x, y = (np.arange(side, dtype=np.float32) - np.float32(rng.uniform(0, side)) for side in size_hw[::-1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (x * cosine)[None] + (y * sine)[:, None], (y * cosine)[:, None] - (x * sine)[None]
    bend = np.float32(one_of(rng, 0, 0, rng.normal(0, 0.08)) / max(size_hw))
    return Axes(along, across + bend * along**2)


def _line(rng: np.random.Generator, distance: Array, half_width: float) -> Array:
    """Returns the cover (h, w) of a line along which `distance` is 0; ragged, and paler at places or not."""
    soft = half_width + rng.uniform(0.4, 1.8)
    if rng.random() < 0.5:
        distance = distance + noise(rng, distance.shape, 90) * np.float32(rng.uniform(0.2, 1.2))
    cover = 1 - smoothstep(np.abs(distance), half_width, soft)
    if rng.random() < 0.6:
        cover = cover * np.clip(noise(rng, distance.shape, 9) * rng.uniform(0.2, 0.8) + 0.8, 0, 1)
    return cover


def formwork(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws the marks of shuttering boards or panels: shades, fins and gaps between boards, grain, form-tie holes."""
    size, axes = picture.shape[:2], _axes(rng, picture.shape[:2])
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
    gap = _line(rng, distance, half_width)
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
    axes = _axes(rng, picture.shape[:2])
    half_width = float(np.exp(rng.uniform(np.log(0.5), np.log(14))))
    groove = _line(rng, axes.across, half_width)
    picture = shaded(picture, np.where(axes.across > 0, np.float32(rng.uniform(0.8, 1.2)), np.float32(1)))
    if rng.random() < 0.4:
        reach = rng.uniform(8, 60)
        dirt = np.exp(-np.clip(axes.across, 0, None) / reach) * np.clip(noise(rng, picture.shape[:2], 20), 0, 1)
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.4) * dirt * (axes.across > 0))
    colour = mean_colour(picture) * one_of(rng, rng.uniform(0.05, 0.7), rng.uniform(0.05, 0.7), rng.uniform(1, 1.4))
    picture = blended(picture, groove * rng.uniform(0.25, 1), colour)
    if half_width > 3 and rng.random() < 0.6:  # the sealant shrank: a dark line along its sides
        rims = _line(rng, np.abs(axes.across) - half_width, rng.uniform(0.3, 1.2))
        picture = shaded(picture, 1 - rng.uniform(0.2, 0.8) * rims)
    return clipped(picture), np.abs(axes.across) < half_width + 4


def ledge(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws a ledge, a step or the edges of a beam: bands of other light along a direction, drips below the edge."""
    axes, size = _axes(rng, picture.shape[:2]), picture.shape[:2]
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
    axes = _axes(rng, picture.shape[:2])
    cover = _streaks(rng, axes, axes.across)
    tint = np.array([[0.45, 0.45, 0.43], [0.8, 0.5, 0.3], [1.35, 1.35, 1.33]], np.float32)[int(rng.integers(3))]
    picture = tinted(picture, cover * rng.uniform(0.3, 1), tint)
    if rng.random() < 0.5:
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.8) * _line(rng, axes.across, rng.uniform(0.3, 2)))
    return clipped(picture), (cover > 0.08) | (np.abs(axes.across) < 4)


def paving(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws pavers, bricks, blocks or planks: each with its own shade, with joints that are dark, light or green."""
    axes, size = _axes(rng, picture.shape[:2]), picture.shape[:2]
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
    joints = _line(rng, distance, half_width)
    mask = distance < half_width + 3
    if rng.random() < 0.3:  # over a part of the picture only
        part = smoothstep(_axes(rng, size).across, -2, 2)
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


def pipe(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws pipes, conduits, rails or cables side by side: round, with clamps, and with their shadow on the wall."""
    axes, size = _axes(rng, picture.shape[:2]), picture.shape[:2]
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
    axes, size = _axes(rng, picture.shape[:2]), picture.shape[:2]
    gap, half_width = rng.uniform(8, 80), float(np.clip(rng.lognormal(0.2, 0.7), 0.4, 8))
    mesh = rng.random() < 0.5
    turned = (axes.along + axes.across, axes.along - axes.across), (axes.along, axes.across / rng.uniform(2, 9))
    u, v = turned[0] if mesh else turned[1]
    distance = np.minimum(np.abs(u - gap * np.round(u / gap)), np.abs(v - gap * np.round(v / gap)))
    cover = 1 - smoothstep(distance, half_width, half_width + rng.uniform(0.4, 1.5))
    if rng.random() < 0.6:
        cover = cover * smoothstep(_axes(rng, size).across, -3, 3)
    if rng.random() < 0.5:
        cast = blurred(shifted(cover, rng.integers(-12, 13, 2)), rng.uniform(0, 3))
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.5) * cast)
    else:
        cast = cover
    colour = any_colour(rng, picture)
    return clipped(blended(picture, cover * rng.uniform(0.5, 1), colour)), (cover > 0.05) | (cast > 0.1)


def beyond(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws what is beyond the edge of a member: sky, trees, ground, water, darkness or glass, behind a straight edge.

    The mask is the whole of what is beyond, and the edge.
    """
    axes, size = _axes(rng, picture.shape[:2]), picture.shape[:2]
    distance: Array = axes.across - np.float32(rng.uniform(0.0, 0.35) * max(size))
    if rng.random() < 0.3:
        distance = distance + noise(rng, size, int(rng.integers(4, 40))) * np.float32(rng.uniform(0, 8))
    far = (_sky, _trees, _ground, _dark)[int(rng.integers(4))](picture, rng)
    cover = smoothstep(distance, -rng.uniform(0.3, 2), rng.uniform(0.3, 2))
    picture = blended(picture, cover, far)
    if rng.random() < 0.5:  # a chamfer, a gap or a bright line along the edge
        line = _line(rng, distance + rng.uniform(0, 12), rng.lognormal(0.5, 0.8))
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
    axes = _axes(rng, size)
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
