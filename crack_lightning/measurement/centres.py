"""Moves lines of cells, accurate to four pixels, onto the dark middle of the crack, at the photograph's resolution."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from crack_lightning.measurement.paths import across, normals, resampled, smoothed

Array = np.ndarray

STEP_PX = 2.0  # distance between the points of a line
# The middle of a crack is searched for up to SEARCH_PX beyond its marked band, and up to MAX_SEARCH_PX from the line.
SEARCH_PX, MAX_SEARCH_PX = 6.0, 40.0
ASIDE_COST = 0.4  # cost of a step one pixel aside, in standard deviations of the grey levels
EDGE_COST = 1.0  # cost of a point at the edge of the strip that is searched, in the same unit
MAX_ASIDE_PX = 2  # how far aside the middle may move from one point to the next
SMOOTH_POINTS = 2.0  # standard deviation of the Gaussian that smooths the path


def centred(grey: Array, points: Array, radius_px: float) -> Array:
    """Returns points (n, 2), x and y, STEP_PX apart, along the darkest path near the line `points` (m, 2).

    The marked band of the line reaches `radius_px` to each side.
    """
    line = resampled(smoothed(points, 2.0), STEP_PX)
    if len(line) < 3:
        return line
    side = round(min(radius_px + SEARCH_PX, MAX_SEARCH_PX))
    offsets = np.arange(-side, side + 1.0)
    across_line = normals(line, 4.0)
    strip = across(grey, line, across_line, offsets)
    path = darkest_path(strip, max(1.0, radius_px / 4))
    moved = line + across_line * smoothed(offsets[path][:, None], SMOOTH_POINTS)
    return resampled(smoothed(moved, SMOOTH_POINTS), STEP_PX)


def darkest_path(strip: Array, blur: float, *, first: int | None = None) -> Array:
    """Returns the column (n,) of the darkest path in each row of a strip (n, k) of grey levels across a line.

    It is a shortest path whose steps aside cost ASIDE_COST a pixel. It begins in column `first` if given.
    """
    level = strip - np.median(strip, axis=1, keepdims=True)
    dark = ndimage.gaussian_filter(level, (1.5, blur))
    deviation = 1.4826 * np.median(np.abs(dark - np.median(dark))) + 1e-3
    columns = np.linspace(-1, 1, strip.shape[1])
    cost = (dark / deviation).clip(-8, 4) + EDGE_COST * columns**2
    if first is not None:
        cost[0, np.arange(strip.shape[1]) != first] = np.inf
    to_previous, width = np.zeros(strip.shape, np.int8), strip.shape[1]
    padded = np.full(width + 2 * MAX_ASIDE_PX, np.inf, cost.dtype)  # costs up to a row, beside them what is no path
    total = padded[MAX_ASIDE_PX:-MAX_ASIDE_PX]
    before = sliding_window_view(padded, width)  # for each step aside, the costs of the columns that it comes from
    aside = (ASIDE_COST * np.abs(np.arange(-MAX_ASIDE_PX, MAX_ASIDE_PX + 1))).astype(cost.dtype)[:, None]
    total[:] = cost[0]
    for row in range(1, len(strip)):
        moved = before + aside
        to_previous[row] = moved.argmin(axis=0) - MAX_ASIDE_PX
        np.add(moved.min(axis=0), cost[row], out=total)
    path = np.empty(len(strip), int)
    path[-1] = total.argmin()
    for row in range(len(strip) - 1, 0, -1):
        path[row - 1] = path[row] + to_previous[row, path[row]]
    return path
