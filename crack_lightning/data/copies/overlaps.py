"""Finds crops of one photograph that share a part of it, also mirrored or turned by any angle.

Each point that stands out (SIFT, Lowe 2004) is matched with the most similar one of another picture; two pictures share
a part if enough of their matches agree on how the two lie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.copies.neighbours import nearest_others
from crack_lightning.data.images.reading import read_image
from crack_lightning.system.libraries import opencv
from crack_lightning.system.processes import in_processes

SMALL_PX = 112  # pictures are resized to this first
MOST = 80  # points a picture
CONTRAST = 0.005  # of the faintest point, an eighth of OpenCV's default: concrete is even
SIMILAR = 0.95  # product of two descriptors from which on they are examined
AGREEING = 3  # matches: two say how the pictures lie
TOLERANCE_PX = 1.5  # by which a match may miss
SCALES = (0.95, 1.05)  # of one picture to the other

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """K `points` (K, 2) float32 of a picture of SMALL_PX, x and y, and their `descriptors` (K, 128) uint8."""

    points: Array
    descriptors: Array


def find_overlaps(paths: Sequence[Path], *, workers: int | None) -> Array:
    """Returns pairs (M, 2) of places in `paths`, first below second, whose pictures share a part."""
    return overlapping(in_processes(read_local_features, paths, "reading crops", workers=workers))


def read_local_features(path: Path) -> LocalFeatures:
    """Returns the features of a file; none for one that cannot be read."""
    try:
        return local_features(read_image(path))
    except ValueError:
        return local_features(Image.new("L", (SMALL_PX, SMALL_PX)))


def local_features(image: Image.Image) -> LocalFeatures:
    """Returns the points that stand out most from their surroundings; none in a picture of one colour."""
    grey = np.asarray(image.convert("L").resize((SMALL_PX, SMALL_PX), Image.Resampling.BILINEAR))
    keys, descriptors = opencv().SIFT.create(MOST, contrastThreshold=CONTRAST).detectAndCompute(grey, None)
    if not keys:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    points = np.array([key.pt for key in keys[:MOST]], np.float32)  # more than MOST where points are of equal strength
    return LocalFeatures(points, descriptors[:MOST].astype(np.uint8))


def mirrored(descriptors: Array) -> Array:
    """Returns the descriptors (K, 128) that the same points have in the mirrored picture."""
    cells = descriptors.reshape(-1, 4, 4, 8)  # across and along the direction of the point, directions of edges
    return cells[:, ::-1, :, -np.arange(8)].reshape(-1, 128)


def overlapping(features: Sequence[LocalFeatures]) -> Array:
    """Returns what `find_overlaps` does, from pictures that were read."""
    owners = np.repeat(np.arange(len(features)), [len(picture.points) for picture in features])
    if len(owners) < 2:
        return np.empty((0, 2), np.int64)
    points = np.concatenate([picture.points for picture in features])
    # Roots of shares (Arandjelović and Zisserman 2012), so that a strong edge does not outweigh all else.
    descriptors = np.concatenate([picture.descriptors for picture in features]).astype(np.float32)
    descriptors = np.sqrt(descriptors / descriptors.sum(axis=1, keepdims=True).clip(1))
    pairs = [np.empty((0, 2), np.int64)]
    for query_points, queries in ((points, descriptors), (points * (-1, 1), mirrored(descriptors))):
        for matches in _matches(owners, descriptors, queries):
            if _agree(query_points[matches[:, 0]], points[matches[:, 1]]):
                pairs.append(owners[matches[:1]])
    return np.unique(np.concatenate(pairs), axis=0)


def _matches(owners: Array, descriptors: Array, queries: Array) -> Iterator[Array]:
    """Yields the places (M, 2) of points that look alike, for each two pictures with enough of them."""
    nearest, nearness = nearest_others(descriptors, owners, queries, probes=2)
    similar = np.flatnonzero(nearness >= SIMILAR)
    matches = np.unique(np.sort(np.stack([similar, nearest[similar]], axis=1), axis=1), axis=0)
    _, pair, counts = np.unique(owners[matches] @ (len(owners), 1), return_inverse=True, return_counts=True)
    order = np.argsort(pair, kind="stable")
    order = order[counts[pair[order]] >= AGREEING]
    yield from np.split(matches[order], np.flatnonzero(np.diff(pair[order])) + 1) if len(order) else ()


def _agree(points: Array, targets: Array) -> bool:
    """Returns whether one turn, shift and scale brings enough of `points` (M, 2) onto `targets`."""
    matrix, inliers = opencv().estimateAffinePartial2D(points, targets, ransacReprojThreshold=TOLERANCE_PX)
    if matrix is None or not SCALES[0] < np.hypot(*matrix[0, :2]) < SCALES[1]:
        return False
    return len(np.unique(np.rint(points[inliers.ravel() > 0]), axis=0)) >= AGREEING  # a point may have two directions
