"""Reads the levels, planes and pages of TIFF files as their tags say.

Pillow reads 8 bits correctly. With more bits, it does not invert levels in which white is 0, scale levels that end
below 65535, or read separate planes. So tifffile reads the samples, and this file decides what they mean.
"""

import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image

from crack_lightning.errors import UserError

Array = np.ndarray

# TIFF tags
ORIENTATION, SUBFILE_TYPE, BITS, SAMPLE_FORMAT, MAX_SAMPLE, MAX_SIGNED_SAMPLE = 274, 254, 258, 339, 281, 341
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2  # photometric interpretations
REDUCED_BIT = 1  # set in SUBFILE_TYPE if a page is a smaller copy of another
UNSIGNED = 1  # a value of SAMPLE_FORMAT


def is_plain(image: Image.Image) -> bool:
    """Returns whether Pillow reads the levels of this page correctly, as it does unsigned ones of at most 8 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    sample_formats = np.ravel(tags.get(SAMPLE_FORMAT, UNSIGNED))
    return max(np.ravel(tags.get(BITS, 1))) <= 8 and bool((sample_formats == UNSIGNED).all())


def seek_full_size(image: Image.Image) -> int:
    """Moves `image` to its first full-size page and returns the number of full-size pages.

    A page is full-size unless it is a smaller copy of another. Raises ValueError if there is none.
    """
    full_size = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        tags: Any = getattr(image, "tag_v2", {})
        if not int(tags.get(SUBFILE_TYPE, 0)) & REDUCED_BIT:
            full_size.append(index)
    if not full_size:
        raise UserError(
            "it holds a reduced picture only; the full-size one has a form that is not read: save it as JPEG"
        )
    image.seek(full_size[0])
    return len(full_size)


@dataclass(frozen=True)
class Levels:
    """The levels of a page.

    `samples` are (h, w) or (h, w, channels), float64, with black at 0 and white at `white`. `orientation` is the EXIF
    orientation that must still be applied. `dim` is True if the samples could hold 15 bits or more and none is above a
    sixteenth of `white`.
    """

    samples: Array
    white: float
    orientation: int
    dim: bool


def read_levels(file: IO[bytes], image: Image.Image) -> Levels:
    """Returns the levels of the current page of `image`, which was opened from `file` and is not loaded yet.

    Raises ValueError if they cannot be read, or if their meaning would have to be guessed.
    """
    import tifffile

    orientation = int(getattr(image, "tag_v2", {}).get(ORIENTATION, 1))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[image.tell()]
        tags = {tag: page.tags[tag].value for tag in (MAX_SAMPLE, MAX_SIGNED_SAMPLE) if tag in page.tags}
        photometric, planar = int(page.photometric), int(page.planarconfig)
        if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
            raise UserError(f"its colours have type {photometric} and more than 8 bits: save it as RGB")
        try:
            samples = np.asarray(page.asarray())
        except Exception as error:  # a missing codec, or anything that damage causes
            samples, orientation = _read_by_pillow(file, image, error), 1
    if samples.ndim == 3 and planar == 2:
        samples = samples.transpose(1, 2, 0)
    levels, white = _levels_and_white(samples, tags)
    dim = samples.dtype.kind != "f" and white >= 32767 and float(levels.max()) * 16 <= white
    return Levels(white - levels if photometric == WHITE_IS_ZERO else levels, white, orientation, dim)


def _read_by_pillow(file: IO[bytes], image: Image.Image, error: Exception) -> Array:
    """Returns the samples, upright, from Pillow, for compressions for which tifffile lacks a codec.

    Raises `error`, which tifffile raised, if it has another cause; UserError if Pillow would change the samples.
    """
    if "imagecodecs" not in str(error):
        raise error
    if image.mode not in ("I;16", "I;16B", "I;16L", "F"):
        raise UserError("its compression needs another library: pip install imagecodecs") from error
    file.seek(0)
    with Image.open(file, formats=["TIFF"]) as reopened:
        reopened.seek(image.tell())
        reopened.load()
        return np.asarray(reopened)


def _levels_and_white(samples: Array, tags: dict[int, Any]) -> tuple[Array, float]:
    """Returns the samples as float64 and the level of white; `tags` may hold the highest level."""
    levels = samples.astype(np.float64)
    if samples.dtype.kind == "f":
        finite = np.isfinite(levels)
        highest = float(levels[finite].max()) if finite.mean() > 0.5 else math.nan
        if not 0 <= highest <= 65535:
            raise UserError("most of its levels are not numbers, or none is from 0 to 65535: save it with 16 bits")
        levels = np.where(finite, levels, 0.0)
        return levels, next((white for white in (1.0, 255.0) if highest <= white), 65535.0)
    if levels.min() < 0:
        raise UserError("it has signed levels below zero, and it is unknown which level is black: save it unsigned")
    return levels, _declared_white(samples, tags) or float(np.iinfo(samples.dtype).max)


def _declared_white(samples: Array, tags: dict[int, Any]) -> float | None:
    """Returns the highest possible level by the tags of the file; None if they give none or the samples disprove it."""
    highest = max((float(np.max(value)) for value in tags.values()), default=0.0)
    return highest if 1 < highest < np.iinfo(samples.dtype).max and highest >= samples.max() else None
