"""Finds pairs of points that lie close together, without comparing all pairs.

The search is the package's own: the trees of OpenCV find no more in 5 to 12 times the time, those of SciPy take 3,000
times as long (docs/measurements.md, Audit); faiss-cpu has the same method, and an OpenMP that crashes beside torch's on
a Mac (faiss-wheels/faiss-wheels#73).
"""

import itertools

import numpy as np

CELL_POINTS = 256  # about that many points in each cell
SMALL = 1024  # that many points or fewer are compared all at once
ROUNDS = 4  # of k-means; the cells need not be the best
BLOCK = 2048  # rows of distances at a time

Array = np.ndarray


def close_pairs(points: Array, distance: float, *, probes: int = 3, seed: int = 0) -> Array:
    """Returns pairs (M, 2) int64, first below second, of `points` (N, D) float32 no farther apart than `distance`.

    Each point is put into its `probes` nearest cells of a coarse k-means, and compared with the points there (the
    inverted file of Jégou, Douze and Schmid 2011): nearly all pairs much closer than a cell is wide are found, in time
    that grows as N to the power of 1.5. Exact for up to SMALL points.
    """
    if len(points) <= SMALL:
        return _within(points, np.arange(len(points)), distance)
    centres = _centres(points, seed)
    members, starts = _by_cell(_nearest(points, centres, min(probes, len(centres))), len(centres))
    pairs = [_within(points, np.sort(members[start:end]), distance) for start, end in itertools.pairwise(starts)]
    return np.unique(np.concatenate(pairs), axis=0)


def _within(points: Array, places: Array, distance: float) -> Array:
    """Returns the close pairs among the points at `places`."""
    pairs = [np.empty((0, 2), np.int64)]
    selected = points[places]
    length = (selected**2).sum(axis=1)
    for start in range(0, len(places), BLOCK):
        block = selected[start : start + BLOCK]
        squared = length[start : start + BLOCK, None] + length[None, start:] - 2 * block @ selected[start:].T
        row, column = np.nonzero(np.triu(squared <= distance**2, 1))
        pairs.append(np.stack([places[start + row], places[start + column]], axis=1))
    return np.concatenate(pairs)


def _centres(points: Array, seed: int) -> Array:
    count = max(2, len(points) // CELL_POINTS)
    random = np.random.default_rng(seed)
    sample = points[random.choice(len(points), min(len(points), 64 * count), replace=False)]
    centres = sample[:count].copy()
    for _ in range(ROUNDS):
        cell = _nearest(sample, centres, 1)[:, 0]
        counts = np.bincount(cell, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, sample)
        filled = counts > 0
        centres[filled] = sums[filled] / counts[filled, None]
    return centres


def _nearest(points: Array, centres: Array, count: int) -> Array:
    """Returns the places (N, count) of the nearest centres."""
    places = []
    offset = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), BLOCK):
        far = offset[None] - points[start : start + BLOCK] @ centres.T
        near = far.argmin(axis=1)[:, None] if count == 1 else np.argpartition(far, count - 1, axis=1)[:, :count]
        places.append(near.copy())  # a view would keep the places of all centres
    return np.concatenate(places)


def nearest_others(
    points: Array, owners: Array, queries: Array, *, probes: int = 1, seed: int = 0
) -> tuple[Array, Array]:
    """Returns for each of `queries` (N, D) the place of the nearest of `points` (N, D) of another owner, and how near.

    Query k belongs to `owners[k]` (N,), as point k does; rows are of unit length, and nearness is their product (N,),
    -1 where no other owner has a point in the cells that the query falls into.
    """
    centres = _centres(points, seed)
    order, starts = _by_cell(_nearest(points, centres, 1), len(centres))
    query_order, first = _by_cell(_nearest(queries, centres, min(probes, len(centres))), len(centres))
    nearest, nearness = np.zeros(len(queries), np.int64), np.full(len(queries), -1, np.float32)
    for cell in range(len(centres)):
        members = order[starts[cell] : starts[cell + 1]]
        for start in range(first[cell], first[cell + 1] if len(members) else first[cell], BLOCK):
            block = query_order[start : min(start + BLOCK, first[cell + 1])]
            products = queries[block] @ points[members].T
            products[owners[block][:, None] == owners[members]] = -1
            best = products.argmax(axis=1)
            product = products[np.arange(len(block)), best]
            better = product > nearness[block]
            nearest[block[better]], nearness[block[better]] = members[best[better]], product[better]
    return nearest, nearness


def _by_cell(cells: Array, count: int) -> tuple[Array, Array]:
    """Returns rows of `cells` (N, probes) in order of their cells, and where each cell starts, (count + 1,)."""
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    return order // cells.shape[1], np.searchsorted(flat[order], np.arange(count + 1))
