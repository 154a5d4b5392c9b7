"""Aligns two photographs of one place by a homography (OpenCV)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_lightning.errors import UserError
from crack_lightning.system.libraries import opencv

Array = np.ndarray

SIDE_PX = 1400  # longer side of the copies in which points are detected
POINTS = 6000
RATIO = 0.8  # largest ratio of the distances to the best and the second best match (Lowe 2004)
RANSAC_PX = 3.0
LEAST_POINTS, LEAST_SHARE = 25, 0.15  # matches that must agree, and their share of all matches
SCALES = (0.25, 4.0)  # of one photograph relative to the other, least and most
MOST_SHEAR = 3.0  # how many times as much one direction may be stretched as the other
LEAST_OVERLAP = 0.1  # share of the earlier photograph that the later one must show


@dataclass(frozen=True)
class Keypoints:
    """Points (n, 2) detected in a photograph of `size` (width, height), in its pixels, and their descriptors (n, k)."""

    points: Array
    descriptors: Array
    size: tuple[int, int]


@dataclass(frozen=True)
class Alignment:
    """A homography: `matrix` (3, 3) maps x and y in the earlier photograph to the later one; `points` of them agree."""

    matrix: Array
    points: int

    def moved(self, line: Array) -> Array:
        """Returns points (n, 2) of the earlier photograph in pixels of the later one."""
        return _moved(self.matrix, line)

    def back(self, line: Array) -> Array:
        """Returns points (n, 2) of the later photograph in pixels of the earlier one."""
        return _moved(np.linalg.inv(self.matrix), line)

    def enlarged(self, line: Array) -> float:
        """Returns how many times as large the later photograph shows what is around points (n, 2) of the earlier."""
        middle = np.mean(line, axis=0)
        corner = self.moved(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        return float(np.sqrt(abs(np.linalg.det(np.stack([corner[1] - corner[0], corner[2] - corner[0]])))))


def corners_of(size: tuple[int, int]) -> Array:
    """Returns the corners (4, 2) of a picture of `size` (width, height)."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def _moved(matrix: Array, line: Array) -> Array:
    whole = np.column_stack([line, np.ones(len(line))]) @ matrix.T
    return np.asarray(whole[:, :2] / whole[:, 2:])


def detect_keypoints(image: Image.Image) -> Keypoints:
    """Detects points to find again in another photograph of the place, with the light evened out (SIFT, Lowe 2004)."""
    cv2 = opencv()
    small = image.convert("L")
    small.thumbnail((SIDE_PX, SIDE_PX))
    equalised = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(np.asarray(small))
    keys, descriptors = cv2.SIFT.create(POINTS, contrastThreshold=0.02).detectAndCompute(equalised, None)
    factor = np.array(image.size) / np.array(small.size)
    points = np.array([key.pt for key in keys], float).reshape(-1, 2) + 0.5
    return Keypoints(points * factor, descriptors if len(keys) else np.empty((0, 128), np.float32), image.size)


def align(before: Keypoints, after: Keypoints) -> Alignment:
    """Aligns two photographs. Raises UserError, with the reason, where too few points agree, or not on one surface."""
    cv2 = opencv()
    if min(len(before.points), len(after.points)) < LEAST_POINTS:
        raise UserError("too few points to be found again: the surface shows no texture")
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(before.descriptors, after.descriptors, k=2)
    matches = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance]
    if len(matches) < LEAST_POINTS:
        raise UserError(
            f"only {len(matches)} points look alike, {LEAST_POINTS} are needed: not the same place, or too far"
        )
    first = np.array([before.points[match.queryIdx] for match in matches])
    second = np.array([after.points[match.trainIdx] for match in matches])
    reach = RANSAC_PX * max(after.size) / SIDE_PX
    matrix, inliers = cv2.findHomography(first, second, cv2.USAC_MAGSAC, max(reach, 1.0), maxIters=5000)
    count = 0 if matrix is None else int(inliers.sum())
    if count < LEAST_POINTS or count < LEAST_SHARE * len(matches):
        raise UserError(
            f"only {count} of {len(matches)} points agree, {LEAST_POINTS} and a share of {LEAST_SHARE:g} are needed"
        )
    alignment = Alignment(matrix, count)
    _check(alignment, before.size, after.size)
    return alignment


def _check(alignment: Alignment, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Raises UserError for a homography that no camera facing a wall gives."""
    moved = alignment.moved(corners_of(before))
    sides = np.diff(np.concatenate([moved, moved[:1]]), axis=0)
    turns = np.cross(np.column_stack([sides, np.zeros(4)]), np.column_stack([np.roll(sides, -1, axis=0), np.zeros(4)]))
    stretched = np.hypot(*sides.T) / np.tile(np.array(before, float), 2)
    inside = (moved.clip(0, np.array(after, float)) == moved).all(axis=1).any()
    low, high = stretched.min(), stretched.max()
    if not (turns[:, 2] > 0).all() or low < SCALES[0] or high > SCALES[1] or high / low > MOST_SHEAR:
        raise UserError(
            "the matching points do not show one flat surface: different places, or a surface that is not flat"
        )
    if not inside and overlap_of(alignment, before, after).mean() < LEAST_OVERLAP:
        raise UserError("the photographs share less than a tenth")


def overlap_of(alignment: Alignment, before: tuple[int, int], after: tuple[int, int]) -> Array:
    """Returns which places of a grid over the earlier photograph lie in the later one."""
    x, y = np.meshgrid(np.linspace(0, before[0], 40), np.linspace(0, before[1], 40))
    moved = alignment.moved(np.column_stack([x.ravel(), y.ravel()]))
    return np.asarray(((moved >= 0) & (moved <= np.array(after, float))).all(axis=1))


def warped(
    image: Image.Image, alignment: Alignment, factors: tuple[float, float], size: tuple[int, int]
) -> Image.Image:
    """Returns the earlier picture, reduced by the first of `factors`, as seen in the later one, reduced by the
    second."""
    cv2 = opencv()
    before, after = (np.diag([factor, factor, 1.0]) for factor in factors)
    matrix = after @ alignment.matrix @ np.linalg.inv(before)
    pixels = cv2.warpPerspective(np.asarray(image.convert("RGB")), matrix, size, flags=cv2.INTER_AREA)
    return Image.fromarray(pixels)
