"""Pairs of points that lie close together, without comparing all pairs."""

import itertools

import numpy as np

CELL_POINTS = 256  # about so many points a cell
SMALL = 1024  # so few points are compared all at once
ROUNDS = 4  # of k-means; the cells need not be good ones
BLOCK = 2048  # rows of distances at a time

Array = np.ndarray


def close_pairs(points: Array, distance: float, *, probes: int = 3, seed: int = 0) -> Array:
    """Pairs (M, 2) int64, first below second, of `points` (N, D) float32 no farther apart than `distance`.

    Each point is put into its `probes` nearest cells of a coarse k-means, and compared with what lies there (the
    inverted file of Jégou, Douze and Schmid 2011): nearly all pairs much closer than cells are wide are found, in time
    that grows as N to the power of 1.5. Exact for up to SMALL points.
    """
    if len(points) <= SMALL:
        return _within(points, np.arange(len(points)), distance)
    centres = _centres(points, seed)
    cells = _nearest(points, centres, min(probes, len(centres)))  # (N, probes)
    order = np.argsort(cells.ravel(), kind="stable")
    starts = np.searchsorted(cells.ravel()[order], np.arange(len(centres) + 1))
    members = order // cells.shape[1]
    found = [_within(points, np.sort(members[start:end]), distance) for start, end in itertools.pairwise(starts)]
    return np.unique(np.concatenate(found), axis=0)


def _within(points: Array, places: Array, distance: float) -> Array:
    """Close pairs among the points at `places`."""
    found = [np.empty((0, 2), np.int64)]
    some = points[places]
    length = (some**2).sum(axis=1)
    for start in range(0, len(places), BLOCK):
        block = some[start : start + BLOCK]
        squared = length[start : start + BLOCK, None] + length[None, start:] - 2 * block @ some[start:].T
        row, column = np.nonzero(np.triu(squared <= distance**2, 1))
        found.append(np.stack([places[start + row], places[start + column]], axis=1))
    return np.concatenate(found)


def _centres(points: Array, seed: int) -> Array:
    count = max(2, len(points) // CELL_POINTS)
    random = np.random.default_rng(seed)
    some = points[random.choice(len(points), min(len(points), 64 * count), replace=False)]
    centres = some[:count].copy()
    for _ in range(ROUNDS):
        cell = _nearest(some, centres, 1)[:, 0]
        counts = np.bincount(cell, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, some)
        filled = counts > 0
        centres[filled] = sums[filled] / counts[filled, None]
    return centres


def _nearest(points: Array, centres: Array, count: int) -> Array:
    """(N, count) places of the nearest centres."""
    found = []
    offset = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), BLOCK):
        far = offset[None] - points[start : start + BLOCK] @ centres.T
        found.append(np.argpartition(far, count - 1, axis=1)[:, :count])
    return np.concatenate(found)
