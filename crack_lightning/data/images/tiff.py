"""Reads TIFF files as their tags say: levels, planes, pages.

Pillow reads 8 bits correctly. Beyond, it does not invert levels in which white is zero, scale those that end below
65535, or read planes: tifffile gives the samples, and this file decides what they mean.
"""

import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image

from crack_lightning.errors import UserError

Array = np.ndarray

ORIENTATION, SUBFILE, BITS, SAMPLE_FORMAT, MOST, SIGNED_MOST = 274, 254, 258, 339, 281, 341
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
REDUCED = 1  # a bit of SUBFILE
UNSIGNED = 1


def is_plain(image: Image.Image) -> bool:
    """Returns whether Pillow reads the levels of this page correctly: at most 8 bits, unsigned."""
    tags: Any = getattr(image, "tag_v2", {})
    kinds = np.ravel(tags.get(SAMPLE_FORMAT, UNSIGNED))
    return max(np.ravel(tags.get(BITS, 1))) <= 8 and bool((kinds == UNSIGNED).all())


def seek_whole(image: Image.Image) -> int:
    """Goes to the first page that is not a reduced picture of another; returns how many such pages there are.

    Raises ValueError where all are reduced.
    """
    whole = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        tags: Any = getattr(image, "tag_v2", {})
        if not int(tags.get(SUBFILE, 0)) & REDUCED:
            whole.append(number)
    if not whole:
        raise UserError("it holds a reduced picture only, beside one in a form that is not read: save it as JPEG")
    image.seek(whole[0])
    return len(whole)


@dataclass(frozen=True)
class Levels:
    """Samples (h, w) or (h, w, n), float64 with black at 0; the level of white; the orientation still to be applied.

    `dim`: the samples could hold 15 bits or more, and none is above a sixteenth of that.
    """

    samples: Array
    white: float
    orientation: int
    dim: bool


def read_levels(file: IO[bytes], image: Image.Image) -> Levels:
    """Returns the levels of the page at which `image`, opened from `file` and not yet loaded, is.

    Raises ValueError for what cannot be read or would have to be guessed.
    """
    import tifffile

    orientation = int(getattr(image, "tag_v2", {}).get(ORIENTATION, 1))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[image.tell()]
        tags = {number: page.tags[number].value for number in (MOST, SIGNED_MOST) if number in page.tags}
        photometric, planar = int(page.photometric), int(page.planarconfig)
        if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
            raise UserError(f"its colours are of kind {photometric}, with more than 8 bits: save it as RGB")
        try:
            samples = np.asarray(page.asarray())
        except Exception as error:  # a missing codec, or anything that damage causes
            samples, orientation = _by_pillow(file, image, error), 1
    if samples.ndim == 3 and planar == 2:
        samples = samples.transpose(1, 2, 0)
    levels, white = _scaled(samples, tags)
    dim = samples.dtype.kind != "f" and white >= 32767 and float(levels.max()) * 16 <= white
    return Levels(white - levels if photometric == WHITE_IS_ZERO else levels, white, orientation, dim)


def _by_pillow(file: IO[bytes], image: Image.Image, error: Exception) -> Array:
    """Returns the samples, upright, that tifffile cannot read for want of a codec and Pillow gives as they are."""
    if "imagecodecs" not in str(error):
        raise error
    if image.mode not in ("I;16", "I;16B", "I;16L", "F"):
        raise UserError("its compression needs another library: pip install imagecodecs") from error
    file.seek(0)
    with Image.open(file, formats=["TIFF"]) as reopened:
        reopened.seek(image.tell())
        reopened.load()
        return np.asarray(reopened)


def _scaled(samples: Array, tags: dict[int, Any]) -> tuple[Array, float]:
    levels = samples.astype(np.float64)
    if samples.dtype.kind == "f":
        finite = np.isfinite(levels)
        most = float(levels[finite].max()) if finite.mean() > 0.5 else math.nan
        if not 0 <= most <= 65535:
            raise UserError("most of its levels are no numbers, or none is between 0 and 65535: save it with 16 bits")
        levels = np.where(finite, levels, 0.0)
        return levels, next((white for white in (1.0, 255.0) if most <= white), 65535.0)
    if levels.min() < 0:
        raise UserError("it has signed levels below zero, of which nobody says what is black: save it unsigned")
    return levels, _declared(samples, tags) or float(np.iinfo(samples.dtype).max)


def _declared(samples: Array, tags: dict[int, Any]) -> float | None:
    """Returns the highest level that the file says it may hold, where that is possible."""
    most = max((float(np.max(value)) for value in tags.values()), default=0.0)
    return most if 1 < most < np.iinfo(samples.dtype).max and most >= samples.max() else None
