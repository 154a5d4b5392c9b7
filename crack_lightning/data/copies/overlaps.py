"""Finds crops of the same photograph that overlap, even if one is mirrored or turned by any angle.

Each point that stands out (SIFT, Lowe 2004) is matched with the most similar point of another picture. Two pictures
overlap if enough of their matches agree on how one is turned and shifted against the other.
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

SMALL_PX = 112  # side of the square to which pictures are resized first
MAX_POINTS = 80  # largest number of points in a picture
MIN_CONTRAST = 0.005  # contrast of the faintest point: an eighth of OpenCV's default, since concrete is so even
MIN_SIMILARITY = 0.95  # smallest product of two descriptors that make a match
MIN_AGREEING = 3  # smallest number of agreeing matches; any two always agree on a turn, shift and scale
TOLERANCE_PX = 1.5  # largest distance between the points of a match after turning and shifting one picture
SCALE_RANGE = (0.95, 1.05)  # allowed scale of one picture relative to the other

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """K points that stand out in a picture resized to SMALL_PX.

    `points` (K, 2) float32 are their x and y. `descriptors` (K, 128) uint8 describe their surroundings.
    """

    points: Array
    descriptors: Array


def find_overlaps(paths: Sequence[Path], *, workers: int | None) -> Array:
    """Returns pairs (M, 2) of indices of `paths` whose pictures overlap, the smaller index first."""
    return overlapping(in_processes(read_local_features, paths, "reading crops", workers=workers))


def read_local_features(path: Path) -> LocalFeatures:
    """Returns the features of a file; they are empty if it cannot be read."""
    try:
        return local_features(read_image(path))
    except ValueError:
        return local_features(Image.new("L", (SMALL_PX, SMALL_PX)))


def local_features(image: Image.Image) -> LocalFeatures:
    """Returns the features of a picture; they are empty if it is of one colour."""
    grey = np.asarray(image.convert("L").resize((SMALL_PX, SMALL_PX), Image.Resampling.BILINEAR))
    keys, descriptors = opencv().SIFT.create(MAX_POINTS, contrastThreshold=MIN_CONTRAST).detectAndCompute(grey, None)
    if not keys:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    points = np.array([key.pt for key in keys[:MAX_POINTS]], np.float32)  # SIFT gives more if some are equally strong
    return LocalFeatures(points, descriptors[:MAX_POINTS].astype(np.uint8))


def mirror_descriptors(descriptors: Array) -> Array:
    """Returns the descriptors (K, 128) that the same points have in the mirrored picture."""
    cells = descriptors.reshape(-1, 4, 4, 8)  # position across and along the point's direction, direction of edges
    return cells[:, ::-1, :, -np.arange(8)].reshape(-1, 128)


def overlapping(features: Sequence[LocalFeatures]) -> Array:
    """Returns the pairs of overlapping pictures, as `find_overlaps` does, from the features of every picture."""
    owners = np.repeat(np.arange(len(features)), [len(picture.points) for picture in features])
    if len(owners) < 2:
        return np.empty((0, 2), np.int64)
    points = np.concatenate([picture.points for picture in features])
    # Roots of shares of the sum (Arandjelović and Zisserman 2012), so that a strong edge does not outweigh all else.
    descriptors = np.concatenate([picture.descriptors for picture in features]).astype(np.float32)
    descriptors = np.sqrt(descriptors / descriptors.sum(axis=1, keepdims=True).clip(1))
    pairs = [np.empty((0, 2), np.int64)]
    for query_points, queries in ((points, descriptors), (points * (-1, 1), mirror_descriptors(descriptors))):
        for matches in _matches(owners, descriptors, queries):
            if _agree(query_points[matches[:, 0]], points[matches[:, 1]]):
                pairs.append(owners[matches[:1]])
    return np.unique(np.concatenate(pairs), axis=0)


def _matches(owners: Array, descriptors: Array, queries: Array) -> Iterator[Array]:
    """Yields the indices (M, 2) of matching points for each pair of pictures that has enough of them."""
    nearest, nearness = nearest_others(descriptors, owners, queries, probes=2)
    similar = np.flatnonzero(nearness >= MIN_SIMILARITY)
    matches = np.unique(np.sort(np.stack([similar, nearest[similar]], axis=1), axis=1), axis=0)
    _, pair, counts = np.unique(owners[matches] @ (len(owners), 1), return_inverse=True, return_counts=True)
    order = np.argsort(pair, kind="stable")
    order = order[counts[pair[order]] >= MIN_AGREEING]
    yield from np.split(matches[order], np.flatnonzero(np.diff(pair[order])) + 1) if len(order) else ()


def _agree(points: Array, targets: Array) -> bool:
    """Returns whether a single turn, shift and scaling moves enough of `points` (M, 2) onto their `targets` (M, 2)."""
    matrix, inliers = opencv().estimateAffinePartial2D(points, targets, ransacReprojThreshold=TOLERANCE_PX)
    if matrix is None or not SCALE_RANGE[0] < np.hypot(*matrix[0, :2]) < SCALE_RANGE[1]:
        return False
    # Counted by position, since SIFT returns a point with two directions twice.
    return len(np.unique(np.rint(points[inliers.ravel() > 0]), axis=0)) >= MIN_AGREEING
