"""Turns marked cells into the lines of cracks.

Thins the cells, cuts spurs, bridges gaps between ends that point at each other, and splits the lines into branches.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.draw import line
from skimage.morphology import skeletonize

from crack_lightning.measurement.paths import root_of

Array = np.ndarray
Cell = tuple[int, int]

EIGHT_NEIGHBOURS = np.ones((3, 3), int)
MAX_HOLE_CELLS = 12  # a hole of at most this many cells within a marked band is filled
MIN_BRANCH_CELLS = 4  # a branch with a free end is cut if it is shorter than this plus half the band's width
MAX_GAP_CELLS = 14  # longest gap that is bridged: 56 px
MIN_TURN_COSINE = math.cos(math.radians(40))  # an end may turn by up to 40 degrees into a gap
DIRECTION_CELLS = 6  # cells at the end of a branch that give its direction
MAX_GAP_DOUBT = 3.0  # a gap's mean log-odds may be this far below the threshold


@dataclass(frozen=True)
class Skeleton:
    """The lines through marked cells.

    `branches`: rows and columns (n, 2) of cells, from one end or fork to the next.
    `groups`: for each branch, the number of the connected crack that it belongs to.
    `radius` (h, w): half the width of the marked band, in cells.
    """

    branches: list[Array]
    groups: list[int]
    radius: Array


def skeleton_of(marked: Array, odds: Array) -> Skeleton:
    """Returns the lines through the `marked` cells (h, w).

    `odds` (h, w) are log-odds, 0 at the threshold; where they are too low, a gap is not bridged.
    """
    band = fill_holes(marked)
    radius = ndimage.distance_transform_edt(np.pad(band, 1))[1:-1, 1:-1]
    thin = without_spurs(skeletonize(band), radius)
    bridged = skeletonize(thin | bridges_of(thin, odds)) if thin.any() else thin
    thin = without_spurs(bridged, radius)
    labels, _ = ndimage.label(thin, EIGHT_NEIGHBOURS)
    branches = [
        (cells_of_branch, int(labels[cell])) for cells_of_branch, cell in branches_of(thin) if len(cells_of_branch) > 1
    ]
    return Skeleton([cells_of_branch for cells_of_branch, _ in branches], [group for _, group in branches], radius)


def fill_holes(marked: Array) -> Array:
    """Fills small holes within the marked cells: a wide crack may be marked at its flanks only."""
    holes, count = ndimage.label(~marked)
    sizes = np.bincount(holes.ravel(), minlength=count + 1)
    small = sizes <= MAX_HOLE_CELLS
    small[0] = False
    return np.asarray(marked | small[holes])


def count_neighbours(thin: Array) -> Array:
    """Counts for each set cell (h, w) how many of its eight neighbours are set."""
    return np.asarray(ndimage.convolve(thin.astype(np.int8), EIGHT_NEIGHBOURS, mode="constant") - thin) * thin


def without_spurs(thin: Array, radius: Array) -> Array:
    """Returns the skeleton (h, w) bool without its spurs: short branches with one free end and a fork at the other."""
    for _ in range(2):
        forks = count_neighbours(thin) > 2
        spurs = [cells for cells in simple_paths(thin & ~forks) if _is_spur(cells, forks) and _is_short(cells, radius)]
        if not spurs:
            break
        thin = thin.copy()
        for cells in spurs:
            thin[tuple(cells.T)] = False
        thin = skeletonize(thin)
    return thin


def _is_spur(cells: Array, forks: Array) -> bool:
    at_fork = [_fork_at(forks, cell) > 0 for cell in (cells[0], cells[-1])]
    if len(cells) == 1:
        row, column = cells[0]
        return at_fork[0] and forks[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].sum() == 1
    return sum(at_fork) == 1


def _is_short(cells: Array, radius: Array) -> bool:
    return bool(len(cells) < MIN_BRANCH_CELLS + radius[tuple(cells.T)].max())


def simple_paths(simple: Array) -> Iterator[Array]:
    """Yields the ordered cells (n, 2) of each connected piece of a skeleton without forks; a ring begins anywhere."""
    labels, _ = ndimage.label(simple, EIGHT_NEIGHBOURS)
    counts = count_neighbours(simple)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        cells = np.argwhere(labels[box] == number) + [side.start for side in box]
        yield _ordered(cells, counts)


def _ordered(cells: Array, counts: Array) -> Array:
    remaining = {tuple(cell) for cell in cells.tolist()}
    ends = [cell for cell in remaining if counts[cell] <= 1]
    current = min(ends or remaining)
    order = [current]
    remaining.discard(current)
    while remaining:
        row, column = current
        # Straight steps come before diagonal ones, so that the path does not cut a corner.
        steps = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
        following = next(((row + y, column + x) for y, x in steps if (row + y, column + x) in remaining), None)
        if following is None:
            break
        order.append(following)
        remaining.discard(following)
        current = following
    return np.array(order)


def branches_of(thin: Array) -> Iterator[tuple[Array, Cell]]:
    """Yields the rows and columns (n, 2) of each branch, including forks at its ends, and one of its cells.

    A ring ends where it begins.
    """
    forks = count_neighbours(thin) > 2
    labels, count = ndimage.label(forks, EIGHT_NEIGHBOURS)
    middles = np.array(ndimage.center_of_mass(forks, labels, range(1, count + 1))).reshape(-1, 2)
    for cells in simple_paths(thin & ~forks):
        first, last = (_fork_at(labels, cell) for cell in (cells[0], cells[-1]))
        parts = [cells.astype(float)]
        if first:
            parts.insert(0, middles[first - 1][None])
        if last and (len(cells) > 1 or last != first):
            parts.append(middles[last - 1][None])
        if not first and not last and len(cells) > 4 and np.abs(cells[0] - cells[-1]).max() <= 1:
            parts.append(cells[:1].astype(float))
        row, column = cells[0].tolist()
        yield np.concatenate(parts), (row, column)


def _fork_at(labels: Array, cell: Array) -> int:
    row, column = cell
    return int(labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max())


@dataclass(frozen=True)
class End:
    """A free end: its cell, the direction in which it points, and the number of its piece of the skeleton."""

    cell: Cell
    direction: Array
    piece: int


def free_ends(thin: Array) -> list[End]:
    """Returns the ends of a skeleton (h, w) that are not at a fork."""
    labels, _ = ndimage.label(thin, EIGHT_NEIGHBOURS)
    forks = count_neighbours(thin) > 2
    ends = []
    for cells in simple_paths(thin & ~forks):
        if len(cells) < 3:
            continue
        for ordered in (cells, cells[::-1]):
            row, column = ordered[0]
            if not _fork_at(forks, ordered[0]):
                along = ordered[0] - ordered[min(DIRECTION_CELLS, len(ordered) - 1)]
                ends.append(End((int(row), int(column)), along / np.hypot(*along), int(labels[row, column])))
    return ends


def bridges_of(thin: Array, odds: Array) -> Array:
    """Returns the cells (h, w) of straight bridges between free ends that point at each other."""
    ends, bridges = free_ends(thin), np.zeros_like(thin)
    if len(ends) < 2:
        return bridges
    tree = cKDTree([end.cell for end in ends])
    costs = []
    for first, second in tree.query_pairs(MAX_GAP_CELLS):
        cost = _gap_cost(ends[first], ends[second], odds)
        if cost is not None:
            costs.append((cost, first, second))
    joined, taken = dict[int, int](), set[int]()
    for _, first, second in sorted(costs):
        pieces = root_of(joined, ends[first].piece), root_of(joined, ends[second].piece)
        if first in taken or second in taken or pieces[0] == pieces[1]:
            continue
        taken |= {first, second}
        joined[pieces[0]] = pieces[1]
        bridges[line(*ends[first].cell, *ends[second].cell)] = True
    return bridges


def _gap_cost(first: End, second: End, odds: Array) -> float | None:
    """Returns the cost of bridging a gap, which is higher for a longer or more crooked one; None if it must stay."""
    between = np.subtract(second.cell, first.cell)
    length = float(np.hypot(*between))
    if length < 2:
        return length
    cosines = first.direction @ between / length, -(second.direction @ between) / length
    if min(cosines) < (MIN_TURN_COSINE if length > 4 else 0.0):
        return None
    inside = odds[line(*first.cell, *second.cell)][1:-1]
    if len(inside) and inside.mean() < -MAX_GAP_DOUBT:
        return None
    return float(length * (3 - sum(cosines)))


def lengths_of(skeleton: Skeleton) -> dict[int, float]:
    """Returns the length of each crack of the skeleton, in cells."""
    lengths = dict[int, float]()
    for cells, group in zip(skeleton.branches, skeleton.groups, strict=True):
        steps = sum(math.dist(a, b) for a, b in itertools.pairwise(cells.tolist()))
        lengths[group] = lengths.get(group, 0.0) + steps
    return lengths
