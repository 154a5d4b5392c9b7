"""Pairs of points that lie close together, without comparing all pairs.

An own search: the trees of OpenCV find no more in 5 to 12 times the time, those of SciPy take 3,000 times as long
(docs/measurements.md, Audit); faiss-cpu has the same method, and an OpenMP that crashes beside torch's on a Mac
(faiss-wheels/faiss-wheels#73).
"""

import itertools

import numpy as np

CELL_POINTS = 256  # about that many points in each cell
SMALL = 1024  # that many points or fewer are compared all at once
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
    members, starts = _by_cell(_nearest(points, centres, min(probes, len(centres))), len(centres))
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
        near = far.argmin(axis=1)[:, None] if count == 1 else np.argpartition(far, count - 1, axis=1)[:, :count]
        found.append(near.copy())  # a view would keep the places of all centres
    return np.concatenate(found)


def nearest_others(
    points: Array, owners: Array, queries: Array, *, probes: int = 1, seed: int = 0
) -> tuple[Array, Array]:
    """For each of `queries` (N, D) the place of its nearest of `points` (N, D) that another owner has, and how near.

    Query k belongs to `owners[k]` (N,), as point k does; rows are of unit length, and nearness is their product (N,),
    -1 where no other owner has a point in the cells that the query falls into.
    """
    centres = _centres(points, seed)
    order, starts = _by_cell(_nearest(points, centres, 1), len(centres))
    asked, first = _by_cell(_nearest(queries, centres, min(probes, len(centres))), len(centres))
    found, near = np.zeros(len(queries), np.int64), np.full(len(queries), -1, np.float32)
    for cell in range(len(centres)):
        members = order[starts[cell] : starts[cell + 1]]
        for start in range(first[cell], first[cell + 1] if len(members) else first[cell], BLOCK):
            some = asked[start : min(start + BLOCK, first[cell + 1])]
            alike = queries[some] @ points[members].T
            alike[owners[some][:, None] == owners[members]] = -1
            best = alike.argmax(axis=1)
            value = alike[np.arange(len(some)), best]
            better = value > near[some]
            found[some[better]], near[some[better]] = members[best[better]], value[better]
    return found, near


def _by_cell(cells: Array, count: int) -> tuple[Array, Array]:
    """Rows of `cells` (N, probes) in the order of their cells, and where each of `count` cells starts, (count + 1,)."""
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    return order // cells.shape[1], np.searchsorted(flat[order], np.arange(count + 1))
