"""Reads pixels of photographs for the page: tiles of any resolution, grey levels; the last photograph stays decoded.

A photograph of 100 megapixels takes half a second to decode and 300 MB: more than one is never held.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.images.formats import jpeg
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, read_image
from crack_lightning.errors import UserError
from crack_lightning.inference.overlay import reduced

Array = np.ndarray

TILE_PX = 512
QUALITY = 90
MOST_LEVEL = 8


@dataclass
class _Last:
    """The photograph decoded last: the version of its file, and its picture at full size, half the size, and so on."""

    version: tuple[str, int, int]
    levels: dict[int, Image.Image]


_guard, _last = threading.Lock(), list[_Last]()


def _level(path: Path, level: int, megapixels: float) -> Image.Image:
    """Returns the upright photograph at 1 / 2**level of its size; the caller holds `_guard`."""
    status = path.stat()
    version = (str(path), status.st_size, status.st_mtime_ns)
    if not _last or _last[0].version != version:
        _last.clear()  # before the next one is read: two would not fit
        _last.append(_Last(version, {0: read_image(path, megapixels=megapixels)}))
    levels = _last[0].levels
    for number in range(1, level + 1):
        if number not in levels:
            levels[number] = levels[number - 1].reduce(2) if min(levels[number - 1].size) > 1 else levels[number - 1]
    return levels[level]


def tile(path: Path, level: int, column: int, row: int, *, megapixels: float = MOST_MEGAPIXELS) -> bytes:
    """Returns a JPEG of TILE_PX pixels each way, or less at the edges, of the photograph at 1 / 2**level of its size.

    Raises UserError for a tile that does not exist.
    """
    if not 0 <= level <= MOST_LEVEL:
        raise UserError(f"level={level}: 0 to {MOST_LEVEL}")
    with _guard:
        picture = _level(path, level, megapixels)
        left, top = column * TILE_PX, row * TILE_PX
        if not (0 <= left < picture.width and 0 <= top < picture.height):
            raise UserError(f"there is no tile {column}, {row} of level {level}")
        cut = picture.crop((left, top, min(left + TILE_PX, picture.width), min(top + TILE_PX, picture.height)))
    return jpeg(cut, quality=QUALITY)


def whole_picture(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Returns the upright photograph, which must not be changed."""
    with _guard:
        return _level(path, 0, megapixels)


def grey_levels(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Returns the grey levels (h, w) uint8 of a photograph."""
    with _guard:
        return np.asarray(_level(path, 0, megapixels).convert("L"))


def small_picture(path: Path, most_px: int, *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Returns the photograph with at most `most_px` pixels on its longer side."""
    with _guard:
        return reduced(_level(path, 0, megapixels), most_px)
