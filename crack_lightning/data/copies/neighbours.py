"""Finds pairs of points that are close together, without comparing all pairs.

The package has its own search because the alternatives are worse: OpenCV's trees take 5 to 12 times as long and find no
more, SciPy's take 3,000 times as long (docs/measurements.md, Audit). faiss-cpu has the same method, but its OpenMP
crashes beside that of torch on a Mac (faiss-wheels/faiss-wheels#73).
"""

import itertools

import numpy as np

POINTS_PER_CELL = 256  # approximate number of points in a cell
MAX_EXACT_POINTS = 1024  # up to this number of points, all pairs are compared
KMEANS_ROUNDS = 4  # few, since the cells need not be optimal
BLOCK_ROWS = 2048  # rows of the distance matrix computed at once

Array = np.ndarray


def close_pairs(points: Array, distance: float, *, probes: int = 3, seed: int = 0) -> Array:
    """Returns index pairs (M, 2) int64 of `points` (N, D) float32 that are no farther apart than `distance`.

    In each pair, the first index is the smaller one. Each point is put into the `probes` nearest cells of a coarse
    k-means and compared with the points there (the inverted file of Jégou, Douze and Schmid 2011). This finds nearly
    all pairs that are much closer than a cell is wide, in time proportional to N to the power of 1.5. The result is
    exact for up to MAX_EXACT_POINTS points.
    """
    if len(points) <= MAX_EXACT_POINTS:
        return _close_pairs_among(points, np.arange(len(points)), distance)
    centres = _kmeans_centres(points, seed)
    members, starts = _sort_by_cell(_nearest_centres(points, centres, min(probes, len(centres))), len(centres))
    pairs = [
        _close_pairs_among(points, np.sort(members[start:end]), distance) for start, end in itertools.pairwise(starts)
    ]
    return np.unique(np.concatenate(pairs), axis=0)


def _close_pairs_among(points: Array, indices: Array, distance: float) -> Array:
    """Returns the close pairs, as in `close_pairs`, among the points at `indices`."""
    pairs = [np.empty((0, 2), np.int64)]
    selected = points[indices]
    squared_norms = (selected**2).sum(axis=1)
    for start in range(0, len(indices), BLOCK_ROWS):
        block = selected[start : start + BLOCK_ROWS]
        norms = squared_norms[start : start + BLOCK_ROWS, None] + squared_norms[None, start:]
        squared_distances = norms - 2 * block @ selected[start:].T
        row, column = np.nonzero(np.triu(squared_distances <= distance**2, 1))
        pairs.append(np.stack([indices[start + row], indices[start + column]], axis=1))
    return np.concatenate(pairs)


def _kmeans_centres(points: Array, seed: int) -> Array:
    count = max(2, len(points) // POINTS_PER_CELL)
    random = np.random.default_rng(seed)
    sample = points[random.choice(len(points), min(len(points), 64 * count), replace=False)]
    centres = sample[:count].copy()
    for _ in range(KMEANS_ROUNDS):
        cell = _nearest_centres(sample, centres, 1)[:, 0]
        counts = np.bincount(cell, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, sample)
        filled = counts > 0
        centres[filled] = sums[filled] / counts[filled, None]
    return centres


def _nearest_centres(points: Array, centres: Array, count: int) -> Array:
    """Returns the indices (N, count) of the centres nearest to each point."""
    indices = []
    offset = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), BLOCK_ROWS):
        # Half of each squared distance, less half of the point's squared norm, which does not change the order.
        distances = offset[None] - points[start : start + BLOCK_ROWS] @ centres.T
        if count == 1:
            indices.append(distances.argmin(axis=1)[:, None])
        else:  # copied, since a view would keep the indices of all centres in memory
            indices.append(np.argpartition(distances, count - 1, axis=1)[:, :count].copy())
    return np.concatenate(indices)


def nearest_others(
    points: Array, owners: Array, queries: Array, *, probes: int = 1, seed: int = 0
) -> tuple[Array, Array]:
    """Returns for each of `queries` (N, D) the index of the nearest of `points` (N, D), and its similarity.

    Only points of another owner count: query k and point k both belong to `owners[k]` (N,). All rows have unit length.
    The indices are (N,) and so are the similarities, which are the scalar products, or -1 where no other owner has a
    point in the cells that were searched.
    """
    centres = _kmeans_centres(points, seed)
    order, starts = _sort_by_cell(_nearest_centres(points, centres, 1), len(centres))
    query_cells = _nearest_centres(queries, centres, min(probes, len(centres)))
    query_order, query_starts = _sort_by_cell(query_cells, len(centres))
    nearest, similarity = np.zeros(len(queries), np.int64), np.full(len(queries), -1, np.float32)
    for cell in range(len(centres)):
        members = order[starts[cell] : starts[cell + 1]]
        first, end = query_starts[cell], query_starts[cell + 1] if len(members) else query_starts[cell]
        for start in range(first, end, BLOCK_ROWS):
            block = query_order[start : min(start + BLOCK_ROWS, end)]
            products = queries[block] @ points[members].T
            products[owners[block][:, None] == owners[members]] = -1
            best = products.argmax(axis=1)
            best_product = products[np.arange(len(block)), best]
            better = best_product > similarity[block]
            nearest[block[better]], similarity[block[better]] = members[best[better]], best_product[better]
    return nearest, similarity


def _sort_by_cell(cells: Array, count: int) -> tuple[Array, Array]:
    """Sorts the rows of `cells` (N, probes) by the cells in them.

    Returns the row indices (N * probes,) and where the rows of each cell start among them (count + 1,).
    """
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    return order // cells.shape[1], np.searchsorted(flat[order], np.arange(count + 1))
