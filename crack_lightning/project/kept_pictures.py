"""Reads the pixels of photographs for the page: tiles at any resolution, and grey levels.

The photograph used last stays decoded. Only one does, since 100 megapixels take 300 MB, and half a second to decode.
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
JPEG_QUALITY = 90
MAX_LEVEL = 8  # the smallest picture has 1 / 2**8 of the size


@dataclass
class _Last:
    """The photograph that was decoded last.

    `version`: path, bytes and modification time of its file. `levels`: its picture at 1 / 2**level of its size.
    """

    version: tuple[str, int, int]
    levels: dict[int, Image.Image]


_guard, _last = threading.Lock(), list[_Last]()


def _level(path: Path, level: int, megapixels: float) -> Image.Image:
    """Returns the upright photograph at 1 / 2**level of its size; the caller holds `_guard`."""
    status = path.stat()
    version = (str(path), status.st_size, status.st_mtime_ns)
    if not _last or _last[0].version != version:
        _last.clear()  # before the next photograph is read, since two may not fit in memory
        _last.append(_Last(version, {0: read_image(path, megapixels=megapixels)}))
    levels = _last[0].levels
    for current in range(1, level + 1):
        if current not in levels:
            larger = levels[current - 1]
            levels[current] = larger.reduce(2) if min(larger.size) > 1 else larger
    return levels[level]


def tile(path: Path, level: int, column: int, row: int, *, megapixels: float = MOST_MEGAPIXELS) -> bytes:
    """Returns a tile of the photograph at 1 / 2**level of its size: a JPEG of TILE_PX x TILE_PX, smaller at the edges.

    Raises UserError for a tile that does not exist.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise UserError(f"level={level}: must be from 0 to {MAX_LEVEL}")
    with _guard:
        picture = _level(path, level, megapixels)
        left, top = column * TILE_PX, row * TILE_PX
        if not (0 <= left < picture.width and 0 <= top < picture.height):
            raise UserError(f"there is no tile {column}, {row} of level {level}")
        cut = picture.crop((left, top, min(left + TILE_PX, picture.width), min(top + TILE_PX, picture.height)))
    return jpeg(cut, quality=JPEG_QUALITY)


def grey_levels(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Returns the grey levels (h, w) uint8 of a photograph."""
    with _guard:
        return np.asarray(_level(path, 0, megapixels).convert("L"))


def small_picture(path: Path, max_px: int, *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Returns the photograph with at most `max_px` pixels on its longer side."""
    with _guard:
        return reduced(_level(path, 0, megapixels), max_px)
