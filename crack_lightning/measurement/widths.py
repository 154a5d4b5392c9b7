"""Computes the width of a crack from the profiles across it, its uncertainty, and the smallest width that can be seen.

A width of MIN_FLANKS_PX or more is the distance between the flanks at half depth. For a narrower crack, whose gap is
filled by blur, it is the darkness divided by the depth that the gap would have without blur. The shape of the profile
shows how much of that depth is left. A width below `Width.limit` is not claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from crack_lightning.measurement.profiles import Profiles, Sharpness, sharpness_of

Array = np.ndarray

# Pairs of values in brackets are for (wide, narrow) cracks. A crack is wide if its flanks give its width: from
# MIN_FLANKS_PX, and from MIN_FLANKS_BLURS times its blur.
MIN_FLANKS_PX, MIN_FLANKS_BLURS = 3.0, 4.0
STRETCH_POINTS = 16  # points of a stretch, whose mean profile gives its sharpness
MAX_STRETCHES = 12  # approximate number of stretches of a branch
BLUR_PERCENTILES = (25, 50)  # percentile of the stretches' blur; low for wide cracks, whose uneven flanks look blurred
MIN_PEAK = 0.5  # share of the true depth that must be left, for the true depth to be computed from it
MIN_WIDTH_PX = 1.0  # the picture shows no smaller width
MIN_WIDTH_BLURS = 2.0  # the picture shows no width smaller than this many times its blur
MIN_CLEAR_POINTS = 4  # points of a crack at which the width must be known
MIN_CLEAR_SHARE = 0.5  # share of the points at which the width must be known
MIN_DEPTH = (6.0, 8.0)  # depth in grey levels
MAX_SCATTER = (0.8, 0.45)  # relative scatter of the flanks' distance along the crack
MIN_DEPTH_NOISES = 8.0  # depth of a narrow crack, relative to the noise
MIN_CONTRAST = 0.1  # depth relative to the background; roughness is as dark as less
# A width must exceed the limit by this many standard errors. The pair and MAX_UNCERTAINTY_SHARE are chosen so that none
# of 400 synthetic cracks narrower than one pixel is given a width.
MARGIN_DEVIATIONS = (2.0, 3.0)
MAX_UNCERTAINTY_SHARE = 0.13  # standard error of a width, relative to the width
METHOD_DEVIATION_PX = 0.1  # part of the uncertainty that is due to interpolation
SHAPE_DEVIATION_SHARE = 0.01  # part that is due to uneven flanks, relative to the width
BLUR_DEVIATION_SHARE = 0.25  # part that is due to the blur of a narrow crack, relative to the blur
MEDIAN_POINTS = 5  # points of the running median along the line, which removes single pits
POINTS_PER_SAMPLE = 4.0  # neighbouring points share pixels, so that this many count as one


@dataclass(frozen=True)
class Width:
    """The width of a crack, in pixels; all values but `along` and `limit` are None where no width is claimed.

    `along` (n,): the width at each point of its lines, NaN where the crack is not clear or no width is claimed.
    `median`, `p95`, `maximum`: median, 95th percentile and maximum.
    `widest`: the index of the widest point.
    `uncertainty`: the standard error of the median.
    `limit`: the smallest width that the picture can show; an upper limit of the width where none is claimed, infinite
    where most profiles do not show both flanks.
    """

    along: Array
    median: float | None
    p95: float | None
    maximum: float | None
    widest: int | None
    uncertainty: float | None
    limit: float


def width_of(parts: Sequence[Profiles]) -> Width:
    """Returns the width of a crack from the profiles of its branches, in their order."""
    stretches = [stretch for part in parts for stretch in _sharpness_of_stretches(part)]
    blurs = [sharpness.blur_px for sharpness, _ in stretches if np.isfinite(sharpness.blur_px)]
    sharpest, blur = np.percentile(blurs, BLUR_PERCENTILES) if blurs else (np.nan, np.nan)
    min_flanks, depth = max(MIN_FLANKS_PX, MIN_FLANKS_BLURS * sharpest), _unblurred_depth(stretches)
    along = np.concatenate([_widths_along(part, min_flanks, depth) for part in parts]) if parts else np.empty(0)
    seen = np.isfinite(along)
    if parts and np.concatenate([part.closed for part in parts]).mean() < MIN_CLEAR_SHARE:
        return _unclaimed(along, np.inf)
    if seen.sum() < MIN_CLEAR_POINTS or not blurs:
        return _unclaimed(along, max(MIN_WIDTH_PX, MIN_WIDTH_BLURS * blur if blurs else 0.0))
    median = float(np.median(along[seen]))
    narrow = bool(median < min_flanks)
    limit = max(MIN_WIDTH_PX, MIN_WIDTH_BLURS * float(blur if narrow else sharpest))
    uncertainty = _uncertainty(along[seen], median, float(blur) if narrow else 0.0)
    uncertain = uncertainty > MAX_UNCERTAINTY_SHARE * median or (narrow and depth is None)
    doubtful = uncertain or not _dark_and_even(parts, narrow=narrow)
    if doubtful or seen.mean() < MIN_CLEAR_SHARE or median - MARGIN_DEVIATIONS[narrow] * uncertainty < limit:
        return _unclaimed(along, max(limit, median + 2 * uncertainty))
    widest = int(np.nanargmax(along))
    return Width(along, median, float(np.percentile(along[seen], 95)), float(along[widest]), widest, uncertainty, limit)


def _unclaimed(along: Array, limit: float) -> Width:
    return Width(np.full(len(along), np.nan), None, None, None, None, None, limit)


def _dark_and_even(parts: Sequence[Profiles], *, narrow: bool) -> bool:
    """Returns whether a crack is dark and even enough; a narrow one, which its darkness measures, must be more so."""
    values = [(part.depth, part.noise, part.between_flanks, part.background.mean(axis=1), part.clear) for part in parts]
    *columns, clear = (np.concatenate(arrays) for arrays in zip(*values, strict=True))
    depths, noises, flanks, background = (column[clear] for column in columns)
    scatter = 1.4826 * np.median(np.abs(flanks - np.median(flanks))) / np.median(flanks)
    quiet = not narrow or np.median(depths / np.maximum(noises, 0.5)) >= MIN_DEPTH_NOISES
    dark = np.median(depths) >= MIN_DEPTH[narrow] and np.median(depths / background) >= MIN_CONTRAST
    return bool(quiet and dark and scatter <= MAX_SCATTER[narrow])


def _sharpness_of_stretches(part: Profiles) -> list[tuple[Sharpness, float]]:
    """Returns the sharpness and the depth of some stretches of a branch."""
    rows = np.flatnonzero(part.clear)
    starts = range(0, len(rows) - STRETCH_POINTS // 2 + 1, STRETCH_POINTS)
    chosen = list(starts)[:: max(1, len(starts) // MAX_STRETCHES)]
    cuts = [rows[start : start + STRETCH_POINTS] for start in chosen]
    return [(sharpness_of(part, cut), float(np.median(part.depth[cut]))) for cut in cuts]


def _unblurred_depth(stretches: Sequence[tuple[Sharpness, float]]) -> float | None:
    """Returns the depth that the crack would have without blur; None if no stretch shows it."""
    values = [depth / sharpness.peak for sharpness, depth in stretches if sharpness.peak >= MIN_PEAK]
    return float(np.median(values)) if values else None


def _widths_along(part: Profiles, min_flanks: float, depth: float | None) -> Array:
    """Returns the widths (n,) of a branch, NaN where it is not clear.

    A width of `min_flanks` or more is the distance between the flanks.
    """
    flanks = part.between_flanks
    narrow = flanks if depth is None else np.minimum(flanks, part.darkness / depth).clip(min=0)
    widths = np.where(part.clear, np.where(flanks >= min_flanks, flanks, narrow), np.nan)
    clear = np.isfinite(widths)
    if clear.sum() >= MEDIAN_POINTS:  # over the clear neighbours only
        widths[clear] = ndimage.median_filter(widths[clear], MEDIAN_POINTS, mode="nearest")
    return np.asarray(widths)


def _uncertainty(widths: Array, median: float, blur: float) -> float:
    """Returns the standard error of the median: from the method, the `blur` of a narrow crack (else 0), and scatter."""
    scatter = 1.4826 * float(np.median(np.abs(widths - median))) * np.sqrt(POINTS_PER_SAMPLE / len(widths))
    return float(
        np.sqrt(
            METHOD_DEVIATION_PX**2
            + (SHAPE_DEVIATION_SHARE * median) ** 2
            + (BLUR_DEVIATION_SHARE * blur) ** 2
            + scatter**2
        )
    )
