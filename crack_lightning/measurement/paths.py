"""Resamples and smooths lines; computes their lengths, their normals and the grey levels across them."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

Array = np.ndarray

CHUNK_POINTS = 64  # points of a line whose pixels are interpolated at once


def resampled(points: Array, step: float) -> Array:
    """Returns points (n, 2) about `step` apart along the line through `points` (m, 2); both ends are kept."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    kept = np.concatenate([[True], lengths > 1e-9])
    points, along = points[kept], np.concatenate([[0.0], np.cumsum(lengths[lengths > 1e-9])])
    if len(points) < 2:
        return points
    count = max(2, round(along[-1] / step) + 1)
    places = np.linspace(0, along[-1], count)
    return np.column_stack([np.interp(places, along, column) for column in points.T])


def smoothed(points: Array, sigma: float) -> Array:
    """Smooths points (n, 2) along the line by a Gaussian of `sigma` points; the ends stay where they are.

    Beyond each end, the line's mirror image through that end continues it. A closed line is smoothed as a ring.
    """
    if len(points) < 4 or sigma <= 0:
        return points
    reach = min(len(points) - 1, int(4 * sigma) + 1)
    if np.array_equal(points[0], points[-1]):
        around = ndimage.gaussian_filter1d(points[:-1], sigma, axis=0, mode="wrap")
        return np.concatenate([around, around[:1]])
    before, behind = 2 * points[0] - points[reach:0:-1], 2 * points[-1] - points[-2 : -2 - reach : -1]
    whole = ndimage.gaussian_filter1d(np.concatenate([before, points, behind]), sigma, axis=0)
    return np.asarray(whole[reach : reach + len(points)])


def passed_once(points: Array, reach: float, step: float) -> list[Array]:
    """Returns the parts (n, 2) of a line without the stretches that run along what the line passed before, within
    `reach`; where it only crosses itself or closes a ring, it stays whole. Points are about `step` apart."""
    points = resampled(points, step)
    lag = int(np.ceil(3 * reach / step))
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    again = np.zeros(len(points), bool)
    again[pairs[pairs[:, 1] - pairs[:, 0] > lag, 1]] = True
    runs, _ = ndimage.label(again)
    again &= np.bincount(runs)[runs] > lag
    parts, count = ndimage.label(~again)
    return [points[parts == part + 1] for part in range(count) if (parts == part + 1).sum() > 1]


def normals(points: Array, sigma: float) -> Array:
    """Returns unit vectors (n, 2) across the line of `points` (n, 2), x and y, whose direction is taken over about
    `sigma` points."""
    along = np.gradient(smoothed(points, sigma), axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    return np.column_stack([-along[:, 1], along[:, 0]])


def length_of(points: Array) -> float:
    """Returns the length of the line of `points` (n, 2)."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def across(grey: Array, points: Array, normal: Array, offsets: Array) -> Array:
    """Returns grey levels (n, k) of a picture (h, w) `offsets` (k,) pixels along the normals of points (n, 2).

    Interpolates cubically, and repeats the pixels of the edge beyond it. The middle of the first pixel is (0.5, 0.5).
    """
    levels = np.empty((len(points), len(offsets)), np.float32)
    for start in range(0, len(points), CHUNK_POINTS):
        part = slice(start, start + CHUNK_POINTS)
        places = points[part, None] + normal[part, None] * offsets[:, None] - 0.5  # (n, k, 2)
        low = np.floor(places.min(axis=(0, 1))).astype(int) - 3
        high = np.ceil(places.max(axis=(0, 1))).astype(int) + 4
        (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, grey.shape[::-1])
        if right - left < 1 or bottom - top < 1:
            levels[part] = np.nan
            continue
        inside = np.moveaxis(places, 2, 0)[::-1] - np.array([top, left])[:, None, None]
        cut = grey[top:bottom, left:right].astype(np.float32)
        levels[part] = ndimage.map_coordinates(cut, inside, order=3, mode="nearest")
    return levels


def root_of(joined: Mapping[int, int], piece: int) -> int:
    """Returns the piece that represents all those joined with `piece`; `joined` maps a piece to one joined with it."""
    while joined.get(piece, piece) != piece:
        piece = joined[piece]
    return piece
