"""Finds what lies near lines: search trees of their points, and boxes by which those far away are left out."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from scipy.spatial import cKDTree

from crack_lightning.measurement.paths import resampled

Array = np.ndarray
PointTree: TypeAlias = cKDTree | None

REACH_PX = 8.0  # two cells; a point this near to a line belongs to its crack
SAME_SHARE = 0.5  # two cracks are the same if at least this share of one runs along the other
ENOUGH_POINTS = 100  # of a crack, to say whether most of it is near another
POINT_STEP_PX = 2.0  # distance between the points of a tree


class WithTree(Protocol):
    """Something that lies along lines."""

    @property
    def tree(self) -> PointTree: ...


Placed = TypeVar("Placed", bound=WithTree)


class Places(Generic[Placed]):
    """Things that lie along lines, by the boxes around them."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        pairs = [(thing, tree) for thing in placed if (tree := thing.tree) is not None]
        self.placed = [thing for thing, _ in pairs]
        boxes = [np.concatenate([tree.mins - REACH_PX, tree.maxes + REACH_PX]) for _, tree in pairs]
        self._boxes = np.array(boxes).reshape(-1, 4)

    def beside(self, points: Array) -> list[Placed]:
        """Returns those whose boxes come within REACH_PX of points (n, 2), in their order."""
        return self.beside_all(box_of(points)[None])[0]

    def beside_all(self, boxes: Array) -> list[list[Placed]]:
        """Returns those that come within REACH_PX of each of `boxes` (n, 4): left, top, right, bottom."""
        meets = (self._boxes[None, :, :2] <= boxes[:, None, 2:]).all(axis=2)
        meets &= (self._boxes[None, :, 2:] >= boxes[:, None, :2]).all(axis=2)
        result: list[list[Placed]] = [[] for _ in boxes]
        for row, column in zip(*np.nonzero(meets), strict=True):
            result[row].append(self.placed[column])
        return result


def box_of(points: Array) -> Array:
    """Returns the box (4,) around points (n, 2): left, top, right, bottom."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def name_of(lines: Iterable[Array]) -> str:
    """Returns a name for lines (n, 2), which changes with them."""
    content = b"".join(np.round(line, 1).tobytes() for line in lines)
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def lines_near(lines: Iterable[Array]) -> PointTree:
    """Returns a search tree of points along lines (n, 2); None if there are no lines."""
    points = [resampled(line, POINT_STEP_PX) for line in lines]
    return cKDTree(np.concatenate(points)) if points else None


def near(points: Array, tree: PointTree, reach_px: float = REACH_PX) -> Array:
    """Returns which points (n, 2) are within `reach_px` of the lines of `tree`, which `lines_near` made."""
    if tree is None:
        return np.zeros(len(points), bool)
    return np.asarray(np.isfinite(tree.query(points, distance_upper_bound=reach_px)[0]))


def runs_along(points: Array, tree: PointTree) -> bool:
    """Returns whether most of a crack's points (n, 2) is near the lines of `tree`: then both are the same crack."""
    some = points[:: max(1, len(points) // ENOUGH_POINTS)]
    return float(near(some, tree).mean()) >= SAME_SHARE


def near_any(points: Array, trees: Sequence[PointTree], reach_px: float = REACH_PX) -> Array:
    """Returns which points (n, 2) are within `reach_px` of the lines of one of the trees."""
    result = np.zeros(len(points), bool)
    for tree in trees:
        result |= near(points, tree, reach_px)
    return result
