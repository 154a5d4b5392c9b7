"""Profiles of grey levels across a crack: their flanks, depth, darkness and sharpness."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import ndimage
from scipy.special import erf

from crack_lightning.measurement.paths import across, normals

Array = np.ndarray

NORMAL_POINTS = 3.0  # points of a line over which its direction is taken
SAMPLE_PX = 0.5  # distance between the samples of a profile
SMOOTHING_POINTS = 2.0  # standard deviation of the Gaussian that smooths along the line
DARKEST_WITHIN_PX = 2.5  # the darkest sample is searched for up to this distance from the line
FLANK_MARGIN_PX = 1.5  # the background begins at this distance beyond a flank
MIN_SIDE_SHARE = 0.25  # depth below the background of one side, relative to that below the other
DEPTH_SHARES = (0.25, 0.5, 0.75)  # shares of the depth at which the widths show how sharp the flanks are


@dataclass(frozen=True)
class Profiles:
    """The profiles across a line at n points.

    `levels` (n, k): grey levels, at `offsets` (k,) pixels across the line.
    `left`, `right` (n,): the flanks at half depth, in pixels from the line.
    `background` (n, 2): grey levels to the left and right.
    `depth` (n,): how far the crack is below the background.
    `darkness` (n,): the depth integrated across, in grey levels times pixels.
    `noise` (n,): the noise of the background.
    `alone` (n,): whether no other line is near.
    `within` (n,): whether both flanks, and what is beside them, lie within the picture.
    """

    levels: Array
    offsets: Array
    left: Array
    right: Array
    background: Array
    depth: Array
    darkness: Array
    noise: Array
    alone: Array
    within: Array

    @property
    def between_flanks(self) -> Array:
        """Returns the width at half depth (n,), in pixels."""
        return self.right - self.left

    @property
    def closed(self) -> Array:
        """Returns where (n,) the profile has both flanks of the crack: within its reach and the picture, and with a
        lighter background beyond each. Along one rim of a wide gap one side is as dark as the middle."""
        reach = self.offsets[-1] - 1
        sides = self.background - (self.background.mean(axis=1) - self.depth)[:, None]
        two_sided = sides.min(axis=1) >= MIN_SIDE_SHARE * sides.max(axis=1)
        return np.asarray((self.left > -reach) & (self.right < reach) & self.within & two_sided)

    @property
    def clear(self) -> Array:
        """Returns where (n,) the crack is alone, stands out from the noise, and has both flanks within the profile."""
        return np.asarray(self.closed & self.alone & (self.depth > 3 * self.noise) & (self.depth > 2))


def profiles_along(grey: Array, line: Array, reach_px: float, alone: Array | None = None) -> Profiles:
    """Returns the profiles across a line (n, 2), x and y, of grey levels (h, w), `reach_px` to each side."""
    offsets, normal = np.arange(-reach_px, reach_px + SAMPLE_PX / 2, SAMPLE_PX), normals(line, NORMAL_POINTS)
    profiles = profiles_of(across(grey, line, normal, offsets), offsets, alone)
    beyond = np.stack([profiles.left - FLANK_MARGIN_PX, profiles.right + FLANK_MARGIN_PX], axis=1)
    ends = line[:, None] + normal[:, None] * beyond[..., None]  # (n, 2, 2)
    within = ((ends >= 0) & (ends <= np.array(grey.shape[::-1]))).all(axis=(1, 2))
    return replace(profiles, within=np.asarray(within))


def profiles_of(levels: Array, offsets: Array, alone: Array | None = None) -> Profiles:
    """Evaluates grey levels (n, k), 0..255, across the points of a line, in order; `alone` (n,) is True by default."""
    alone = np.ones(len(levels), bool) if alone is None else alone
    smooth = ndimage.gaussian_filter1d(levels, SMOOTHING_POINTS, axis=0, mode="nearest")
    middle = _darkest_near(smooth, offsets)
    left_level = np.median(smooth[:, offsets < -offsets[-1] / 3], axis=1)
    right_level = np.median(smooth[:, offsets > offsets[-1] / 3], axis=1)
    floor = smooth[np.arange(len(smooth)), middle]
    for _ in range(2):
        left = _flank(smooth, offsets, middle, (left_level + floor) / 2, -1)
        right = _flank(smooth, offsets, middle, (right_level + floor) / 2, 1)
        floor = _level_inside(smooth, offsets, left, right, floor)
        left_level, right_level, noise = _background(smooth, offsets, left, right, left_level, right_level)
    left = _flank(smooth, offsets, middle, (left_level + floor) / 2, -1)
    right = _flank(smooth, offsets, middle, (right_level + floor) / 2, 1)
    background = np.column_stack([left_level, right_level])
    darkness = _darkness(smooth, offsets, left, right, background)
    depth, within = background.mean(axis=1) - floor, np.ones(len(levels), bool)
    return Profiles(smooth, offsets, left, right, background, depth, darkness, noise, alone, within)


def _darkest_near(smooth: Array, offsets: Array) -> Array:
    near = np.abs(offsets) <= DARKEST_WITHIN_PX
    return np.asarray(np.flatnonzero(near)[smooth[:, near].argmin(axis=1)])


def _flank(smooth: Array, offsets: Array, middle: Array, level: Array, side: int) -> Array:
    """Returns the interpolated offset at which a profile first reaches `level`, from `middle` to one `side`."""
    count = smooth.shape[1]
    columns = np.arange(count)
    beyond = columns > middle[:, None] if side > 0 else columns < middle[:, None]
    above = (smooth >= level[:, None]) & beyond
    ordered = above if side > 0 else above[:, ::-1]
    first = ordered.argmax(axis=1)
    column = first if side > 0 else count - 1 - first
    column = np.where(ordered.any(axis=1), column, count - 1 if side > 0 else 0)
    rows, before = np.arange(len(smooth)), np.clip(column - side, 0, count - 1)
    low, high = smooth[rows, before], smooth[rows, column]
    share = np.clip((level - low) / np.where(high - low > 1e-6, high - low, 1.0), 0, 1)
    return np.asarray(offsets[before] + share * (offsets[column] - offsets[before]))


def _level_inside(smooth: Array, offsets: Array, left: Array, right: Array, floor: Array) -> Array:
    """Returns the level inside a crack: the mean of the inner half if the crack is wide, otherwise `floor`, its darkest
    level."""
    quarter = (right - left) / 4
    inner = (offsets >= (left + quarter)[:, None]) & (offsets <= (right - quarter)[:, None])
    count = inner.sum(axis=1)
    mean = np.where(inner, smooth, 0).sum(axis=1) / np.maximum(count, 1)
    return np.where((right - left >= 4) & (count >= 3), mean, floor)


def _background(
    smooth: Array, offsets: Array, left: Array, right: Array, left_level: Array, right_level: Array
) -> tuple[Array, Array, Array]:
    """Returns the background's level on the left (n,) and on the right (n,), and its noise (n,)."""
    reach = np.maximum(8.0, right - left)
    masks = (
        (offsets < (left - FLANK_MARGIN_PX)[:, None]) & (offsets > (left - FLANK_MARGIN_PX - reach)[:, None]),
        (offsets > (right + FLANK_MARGIN_PX)[:, None]) & (offsets < (right + FLANK_MARGIN_PX + reach)[:, None]),
    )
    levels, spreads = [], []
    for mask, former in zip(masks, (left_level, right_level), strict=True):
        enough = mask.sum(axis=1) >= 4
        level = np.where(enough, _median_where(smooth, mask), former)
        levels.append(level)
        spreads.append(1.4826 * np.where(enough, _median_where(np.abs(smooth - level[:, None]), mask), 0.0))
    return levels[0], levels[1], np.mean(spreads, axis=0)


def _median_where(values: Array, mask: Array) -> Array:
    """Returns the (lower) median of each row of `values` (n, k) where `mask` is set; 0 for a row without any."""
    ordered = np.sort(np.where(mask, values, np.inf), axis=1)
    middle = (mask.sum(axis=1) - 1).clip(0) // 2
    medians = ordered[np.arange(len(values)), middle]
    return np.where(np.isfinite(medians), medians, 0.0)


def _darkness(smooth: Array, offsets: Array, left: Array, right: Array, background: Array) -> Array:
    """Integrates the depth over the flanks and their blur; the background is interpolated between left and right."""
    reach = np.maximum(2.0, 0.75 * (right - left))
    inside = (offsets >= (left - reach)[:, None]) & (offsets <= (right + reach)[:, None])
    share = ((offsets[None] - left[:, None]) / np.maximum(right - left, 1e-6)[:, None]).clip(0, 1)
    level = background[:, :1] * (1 - share) + background[:, 1:] * share
    return np.asarray(np.where(inside, level - smooth, 0).sum(axis=1) * (offsets[1] - offsets[0]))


@dataclass(frozen=True)
class Sharpness:
    """The sharpness of a stretch of a crack; both values are NaN where the flanks do not show it.

    `blur_px`: standard deviation of the Gaussian that blurs it.
    `peak`: share of its true depth that remains in its middle, 0..1.
    """

    blur_px: float
    peak: float


def sharpness_of(profiles: Profiles, rows: Array) -> Sharpness:
    """Returns the sharpness of a stretch from the mean profile of its `rows` (m,), each shifted to its own middle.

    For a gap with straight flanks, blurred by a Gaussian, the widths at a quarter, half and three quarters of the depth
    depend on blur and width only.
    """
    middle = (profiles.left[rows] + profiles.right[rows]) / 2
    median_width = float(np.median(profiles.between_flanks[rows]))
    offsets = np.arange(-2 * median_width - 4, 2 * median_width + 4.01, SAMPLE_PX / 2)
    mean = np.mean(
        [
            np.interp(offsets + shift, profiles.offsets, level - background)
            for level, background, shift in zip(
                profiles.levels[rows], profiles.background[rows].mean(axis=1), middle, strict=True
            )
        ],
        axis=0,
    )
    start, centre = np.array([len(offsets) // 2]), np.array([mean[len(offsets) // 2]])
    sides = [[_flank(mean[None], offsets, start, centre * q, side)[0] for side in (1, -1)] for q in DEPTH_SHARES]
    return _sharpness(*(float(right - left) for right, left in sides))


def _sharpness(quarter: float, half: float, three_quarters: float) -> Sharpness:
    widths, ratios, halves = _blurred_gaps()
    if three_quarters <= 0:
        return Sharpness(np.nan, np.nan)
    ratio = quarter / three_quarters
    width_in_blurs = float(np.interp(-ratio, -ratios, widths))
    blur = half / float(np.interp(width_in_blurs, widths, halves))
    return Sharpness(blur, float(erf(width_in_blurs / (2 * np.sqrt(2)))))


@cache
def _blurred_gaps() -> tuple[Array, Array, Array]:
    """Returns three arrays for gaps with a blur of 1: true widths, ratios and widths at half depth.

    A ratio is the width at a quarter of the depth divided by that at three quarters.
    """
    widths = np.geomspace(0.2, 30, 200)
    offsets = np.linspace(0, 40, 8001)
    ratios, halves = [], []
    for width in widths:
        depth = erf((width / 2 - offsets) / np.sqrt(2)) + erf((width / 2 + offsets) / np.sqrt(2))
        quarter, half, three_quarters = (2 * np.interp(-q * depth[0], -depth, offsets) for q in DEPTH_SHARES)
        ratios.append(quarter / three_quarters)
        halves.append(half)
    return widths, np.array(ratios), np.array(halves)
