"""Photographs of walls, drawn."""

import numpy as np
from PIL import Image, ImageDraw


def wall(width: int = 450, height: int = 301, *, crack: bool = True) -> Image.Image:
    """Grey, grained, with a dark jagged line from left to right at about half its height."""
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.normal(150, 6, (height, width)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if crack:
        steps = height / 2 + np.cumsum(rng.normal(0, 2, width // 6 + 1))
        ImageDraw.Draw(image).line([(6 * k, y) for k, y in enumerate(steps)], fill=(60, 58, 55), width=3)
    return image
