"""Places of a picture that stand out and how they look, by which crops of one photograph are recognised."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.copies.fingerprints import cosine_rows
from crack_lightning.data.images.reading import read_image

SMALL_PX = 112  # pictures are brought to this size first
WINDOW_PX = 24  # around a place: what two crops must share at the least
MOST = 32  # places a picture
FREQUENCIES = 8  # each way, that describe a window
FINE_PX, COARSE_PX = 3, 15  # what varies faster is noise and encoding, what varies more slowly is light
CLIPPED = 2.0  # median deviations: without a limit the crack would be all that counts, and cracks look alike

Array = np.ndarray
COSINES = cosine_rows(FREQUENCIES, WINDOW_PX)


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """A picture's `detail` (SMALL_PX, SMALL_PX) int8; K windows, their upper left `corners` (K, 2) int16 as row and
    column, and `descriptors` (K, FREQUENCIES, FREQUENCIES) float16 of unit length."""

    detail: Array
    corners: Array
    descriptors: Array


def local_features(image: Image.Image) -> LocalFeatures:
    """The places that stand out most from their surroundings, the strongest first; none in a picture of one colour."""
    grey = np.asarray(image.convert("L").resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX), np.float32)
    fine = _box(grey, FINE_PX)
    detail = fine - _box(fine, COARSE_PX)
    # A grey level at the least, so that what is left of an even surface is not blown up to a texture.
    limit = CLIPPED * max(0.5, float(np.median(np.abs(detail))))
    detail = np.rint(np.clip(detail / limit, -1, 1) * 127)
    corners = _corners(detail)
    steps = np.arange(WINDOW_PX)
    windows = detail[corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps]
    return LocalFeatures(detail.astype(np.int8), corners.astype(np.int16), _described(windows).astype(np.float16))


def read_local_features(path: Path) -> LocalFeatures:
    """Those of a file; none of one that cannot be read."""
    try:
        return local_features(read_image(path))
    except ValueError:
        return local_features(Image.new("L", (SMALL_PX, SMALL_PX)))


def _box(picture: Array, width: int) -> Array:
    """Means of width x width pixels, the picture reflected at its edges."""
    half = width // 2
    sums = np.pad(picture, half, "reflect").cumsum(0, dtype=np.float64).cumsum(1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    found = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]
    return (found / width**2).astype(np.float32)


def _corners(detail: Array) -> Array:
    """(K, 2): where windows lie whose middle differs most from what is around it."""
    response = np.abs(_box(detail, 3) - _box(detail, 7))
    highest = response
    for axis in (0, 1):
        around = np.pad(highest, [(2, 2) if side == axis else (0, 0) for side in (0, 1)])
        views = np.lib.stride_tricks.sliding_window_view(around, 5, axis=axis)
        highest = views.max(axis=-1)
    middle = slice(WINDOW_PX // 2, SMALL_PX - WINDOW_PX // 2 + 1)
    response = np.where((response == highest) & (response > 1), response, 0)[middle, middle]
    order = np.argsort(-response, axis=None, kind="stable")[:MOST]
    order = order[response.ravel()[order] > 0]
    return np.stack(np.unravel_index(order, response.shape), axis=1)


def _described(windows: Array) -> Array:
    found = COSINES @ windows.astype(np.float32) @ COSINES.T
    found[:, 0, 0] = 0
    length = np.linalg.norm(found, axis=(1, 2), keepdims=True)
    return found / np.maximum(length, 1e-3)
