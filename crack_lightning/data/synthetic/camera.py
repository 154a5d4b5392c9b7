"""Renders a surface as a photograph: light, lens, sensor and JPEG."""

import io

import numpy as np
from PIL import Image, ImageFilter

from crack_lightning.data.synthetic.concrete import Array, Surface, signed_distance, smoothstep

CRACK_RGB = np.array([0.030, 0.026, 0.022], dtype=np.float32)  # colour of the inside of a crack: little light comes out


def photograph(rng: np.random.Generator, surface: Surface) -> Image.Image:
    """Returns the surface lit from one side, sharp or slightly blurred, as an 8-bit RGB picture."""
    size = len(surface.height)
    light = _side_light(rng, surface.height) * _uneven_light(rng, size)
    if rng.random() < 0.12:
        light *= _shadow(rng, size)
    crack_colour = CRACK_RGB * np.float32(rng.lognormal(-0.2, 0.7))
    exposure = rng.normal(1.0, 0.02, 3).astype(np.float32) * np.float32(rng.uniform(0.55, 1.05) * 255**2)
    noise = rng.standard_normal((size, size), dtype=np.float32) * np.float32(rng.uniform(0.5, 4.5))
    lit = light * (1 - surface.opening)
    channels = []
    for colour, dark, gain in zip(surface.colour, crack_colour, exposure, strict=True):
        linear = gain * (colour * lit + dark * surface.opening)
        encoded = np.sqrt(np.maximum(linear, 0)) + noise  # gamma 2, close enough to a camera's 2.2
        channels.append(Image.fromarray(np.clip(encoded, 0, 255).astype(np.uint8)))
    picture = Image.merge("RGB", channels)
    return picture.filter(ImageFilter.BoxBlur(rng.uniform(0.2, 1.0))) if rng.random() < 0.6 else picture


def _side_light(rng: np.random.Generator, height: Array) -> Array:
    """Returns each pixel's gain, above 1 on slopes that face the light, which gives cracks and pores a bright lip."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.13)
    across = np.float32(strength * np.cos(angle)) * np.diff(height, axis=1, append=height[:, -1:])
    down = np.float32(strength * np.sin(angle)) * np.diff(height, axis=0, append=height[-1:])
    return np.clip(1 + across + down, 0.35, 1.7)


def _uneven_light(rng: np.random.Generator, size: int) -> Array:
    return 1 + np.float32(rng.uniform(0, 0.22) / size) * signed_distance(rng, size)


def _shadow(rng: np.random.Generator, size: int) -> Array:
    """Returns each pixel's gain under the shadow of something outside the picture: one long edge, sharp or soft."""
    softness = rng.lognormal(2.0, 0.9)
    return 1 - np.float32(rng.uniform(0.25, 0.65)) * smoothstep(signed_distance(rng, size), -softness, softness)


def jpeg_bytes(rng: np.random.Generator, picture: Image.Image) -> bytes:
    """Returns the picture as a JPEG of random quality, 72 to 95, as real photographs have."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(72, 96)))
    return buffer.getvalue()
