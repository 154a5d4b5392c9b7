"""Computes the width of a crack from the profiles across it, its uncertainty, and the least that the picture can show.

From FLANKS_PX on a width is the distance of the flanks at half depth. Below, where blur fills the gap, it is the
darkness integrated across, divided by the depth that the gap would have unblurred: the shape of the profile shows how
much of that depth is left. A width below `Width.limit` is not claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from crack_lightning.measurement.profiles import Profiles, Sharpness, sharpness_of

Array = np.ndarray

FLANKS_PX, FLANKS_BLURS = 3.0, 4.0  # the flanks give widths from this many pixels, and times the blur, on
STRETCH_POINTS = 16  # whose mean profile gives the sharpness
MOST_STRETCHES = 12  # of a branch, about
# Percentiles of the blur of a crack's stretches: flanks that are not straight look blurred, so that for wide cracks the
# lower one counts; for narrow ones it is the median.
SHARPEST = (25, 50)
SURE_PEAK = 0.5  # share of the depth that must be left for the unblurred depth to be computed from it
# The picture shows no width below one pixel, nor below this many deviations of its blur.
LEAST_PX, LEAST_BLURS = 1.0, 2.0
LEAST_POINTS, LEAST_CLEAR = 4, 0.5  # points that must be clear, and their share of the line
# Depth in grey levels, and how much the flanks' distance may vary along the crack, each for wide cracks and for narrow
# ones, whose blur must be known well; for these also the depth in deviations of the noise.
LEAST_DEPTH, MOST_SCATTER = (6.0, 8.0), (0.8, 0.45)
LEAST_NOISES = 8.0
LEAST_CONTRAST = 0.1  # depth as a share of the background, below which roughness is as dark
# How many deviations a width must lie above the limit, for wide and for narrow cracks, and the largest deviation as a
# share of the width. Chosen so that none of 400 cracks drawn below one pixel is given a width.
SURE, MOST_UNCERTAIN = (2.0, 3.0), 0.13
# Parts of the uncertainty: from interpolation, from flanks that are not straight, and from what is inferred from blur.
SYSTEMATIC_PX, SHARE, BLUR_SHARE = 0.1, 0.01, 0.25
STEADY_POINTS = 5  # of the median along the line, against single pits
INDEPENDENT_POINTS = 4.0  # neighbouring points share pixels: this many count as one


@dataclass(frozen=True)
class Width:
    """The width of a crack, in pixels: `along` (n,) at each point of its lines, NaN where nothing clear is seen or the
    width is not claimed; median, 95th percentile, maximum and its point; `uncertainty`, of one deviation, of the
    median; `limit`, the least that the picture can show, or what an unclaimed width is below. The numbers are None
    where no width is claimed."""

    along: Array
    median: float | None
    p95: float | None
    maximum: float | None
    widest: int | None
    uncertainty: float | None
    limit: float


def width_of(parts: Sequence[Profiles]) -> Width:
    """Returns the width of a crack from the profiles of its branches, in their order."""
    stretches = [stretch for part in parts for stretch in _stretches(part)]
    blurs = [sharpness.blur_px for sharpness, _ in stretches if np.isfinite(sharpness.blur_px)]
    sharpest, blur = np.percentile(blurs, SHARPEST) if blurs else (np.nan, np.nan)
    least_flanks, depth = max(FLANKS_PX, FLANKS_BLURS * sharpest), _unblurred_depth(stretches)
    along = np.concatenate([_along(part, least_flanks, depth) for part in parts]) if parts else np.empty(0)
    seen = np.isfinite(along)
    if seen.sum() < LEAST_POINTS or not blurs:
        return _unclaimed(along, max(LEAST_PX, LEAST_BLURS * blur if blurs else 0.0))
    median = float(np.median(along[seen]))
    narrow = bool(median < least_flanks)
    limit = max(LEAST_PX, LEAST_BLURS * float(blur if narrow else sharpest))
    uncertainty = _uncertainty(along[seen], median, float(blur) if narrow else 0.0)
    unsure = not _sure(parts, narrow=narrow) or (narrow and depth is None) or uncertainty > MOST_UNCERTAIN * median
    if unsure or seen.mean() < LEAST_CLEAR or median - SURE[narrow] * uncertainty < limit:
        return _unclaimed(along, max(limit, median + 2 * uncertainty))
    widest = int(np.nanargmax(along))
    return Width(along, median, float(np.percentile(along[seen], 95)), float(along[widest]), widest, uncertainty, limit)


def _unclaimed(along: Array, limit: float) -> Width:
    return Width(np.full(len(along), np.nan), None, None, None, None, None, limit)


def _sure(parts: Sequence[Profiles], *, narrow: bool) -> bool:
    """Returns whether a crack is dark and even enough; narrow ones, measured by their darkness, need more."""
    values = [(part.depth, part.noise, part.between_flanks, part.background.mean(axis=1), part.clear) for part in parts]
    *columns, clear = (np.concatenate(arrays) for arrays in zip(*values, strict=True))
    depths, noises, flanks, background = (column[clear] for column in columns)
    scatter = 1.4826 * np.median(np.abs(flanks - np.median(flanks))) / np.median(flanks)
    quiet = not narrow or np.median(depths / np.maximum(noises, 0.5)) >= LEAST_NOISES
    dark = np.median(depths) >= LEAST_DEPTH[narrow] and np.median(depths / background) >= LEAST_CONTRAST
    return bool(quiet and dark and scatter <= MOST_SCATTER[narrow])


def _stretches(part: Profiles) -> list[tuple[Sharpness, float]]:
    """Returns sharpness and depth of stretches of a branch."""
    rows = np.flatnonzero(part.clear)
    starts = range(0, len(rows) - STRETCH_POINTS // 2 + 1, STRETCH_POINTS)
    chosen = list(starts)[:: max(1, len(starts) // MOST_STRETCHES)]
    cuts = [rows[start : start + STRETCH_POINTS] for start in chosen]
    return [(sharpness_of(part, cut), float(np.median(part.depth[cut]))) for cut in cuts]


def _unblurred_depth(stretches: Sequence[tuple[Sharpness, float]]) -> float | None:
    """Returns the depth of the crack's tone below the background, without blur; None where no stretch shows it."""
    values = [depth / sharpness.peak for sharpness, depth in stretches if sharpness.peak >= SURE_PEAK]
    return float(np.median(values)) if values else None


def _along(part: Profiles, least_flanks: float, depth: float | None) -> Array:
    """Returns the widths (n,) of a branch, NaN where it is not clear; between the flanks from `least_flanks` on."""
    flanks = part.between_flanks
    narrow = flanks if depth is None else np.minimum(flanks, part.darkness / depth).clip(min=0)
    widths = np.where(part.clear, np.where(flanks >= least_flanks, flanks, narrow), np.nan)
    clear = np.isfinite(widths)
    if clear.sum() >= STEADY_POINTS:  # the median over neighbours that are clear
        widths[clear] = ndimage.median_filter(widths[clear], STEADY_POINTS, mode="nearest")
    return np.asarray(widths)


def _uncertainty(widths: Array, median: float, blur: float) -> float:
    """Returns one deviation of the median: from the method, the `blur` of a narrow width, and scatter."""
    scatter = 1.4826 * float(np.median(np.abs(widths - median))) * np.sqrt(INDEPENDENT_POINTS / len(widths))
    return float(np.sqrt(SYSTEMATIC_PX**2 + (SHARE * median) ** 2 + (BLUR_SHARE * blur) ** 2 + scatter**2))
