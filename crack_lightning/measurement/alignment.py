"""Aligns two photographs of the same place by a homography (OpenCV)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_lightning.errors import UserError
from crack_lightning.system.libraries import opencv

Array = np.ndarray

DETECTION_SIDE_PX = 1400  # longer side of the reduced copies in which keypoints are detected
MAX_KEYPOINTS = 6000
MAX_DISTANCE_RATIO = 0.8  # distance to the best match, relative to the second best one (Lowe 2004)
RANSAC_PX = 3.0  # distance between matched points that agree, at DETECTION_SIDE_PX
MIN_MATCHES, MIN_MATCH_SHARE = 25, 0.15  # matches that must agree: their count, and their share of all matches
SCALE_RANGE = (0.25, 4.0)  # smallest and largest scale of one photograph relative to the other
MAX_STRETCH_RATIO = 3.0  # largest scale of a side, relative to the smallest one
MIN_OVERLAP = 0.1  # share of the earlier photograph that the later one must show


@dataclass(frozen=True)
class Keypoints:
    """The keypoints detected in a photograph.

    `points` (n, 2) are x and y in its pixels, `descriptors` (n, k) describe them, and `size` is its width and height.
    """

    points: Array
    descriptors: Array
    size: tuple[int, int]


@dataclass(frozen=True)
class Alignment:
    """A homography: `matrix` (3, 3) maps x and y in the earlier photograph to the later one.

    `points` is the number of matches that agree with it.
    """

    matrix: Array
    points: int

    def moved(self, line: Array) -> Array:
        """Returns points (n, 2) of the earlier photograph in pixels of the later one."""
        return _transformed(self.matrix, line)

    def back(self, line: Array) -> Array:
        """Returns points (n, 2) of the later photograph in pixels of the earlier one."""
        return _transformed(np.linalg.inv(self.matrix), line)

    def enlargement_at(self, line: Array) -> float:
        """Returns the size in the later photograph, relative to the earlier one, near points (n, 2) of the earlier."""
        middle = np.mean(line, axis=0)
        corner = self.moved(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        return float(np.sqrt(abs(np.linalg.det(np.stack([corner[1] - corner[0], corner[2] - corner[0]])))))


def corners_of(size: tuple[int, int]) -> Array:
    """Returns the corners (4, 2) of a picture of `size` (width, height)."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def _transformed(matrix: Array, line: Array) -> Array:
    homogeneous = np.column_stack([line, np.ones(len(line))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def detect_keypoints(image: Image.Image) -> Keypoints:
    """Detects keypoints (SIFT, Lowe 2004) in a photograph whose contrast is equalised first."""
    cv2 = opencv()
    small = image.convert("L")
    small.thumbnail((DETECTION_SIDE_PX, DETECTION_SIDE_PX))
    equalised = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(np.asarray(small))
    keys, descriptors = cv2.SIFT.create(MAX_KEYPOINTS, contrastThreshold=0.02).detectAndCompute(equalised, None)
    factor = np.array(image.size) / np.array(small.size)
    points = np.array([key.pt for key in keys], float).reshape(-1, 2) + 0.5
    return Keypoints(points * factor, descriptors if len(keys) else np.empty((0, 128), np.float32), image.size)


def align(before: Keypoints, after: Keypoints) -> Alignment:
    """Aligns two photographs. Raises UserError if too few points agree or they show no flat surface."""
    cv2 = opencv()
    if min(len(before.points), len(after.points)) < MIN_MATCHES:
        raise UserError("too few keypoints to match: the surface shows no texture")
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(before.descriptors, after.descriptors, k=2)
    matches = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < MAX_DISTANCE_RATIO * pair[1].distance]
    if len(matches) < MIN_MATCHES:
        raise UserError(
            f"only {len(matches)} points look alike, at least {MIN_MATCHES} are needed: another place, or too far away"
        )
    first = np.array([before.points[match.queryIdx] for match in matches])
    second = np.array([after.points[match.trainIdx] for match in matches])
    reach = RANSAC_PX * max(after.size) / DETECTION_SIDE_PX
    matrix, inliers = cv2.findHomography(first, second, cv2.USAC_MAGSAC, max(reach, 1.0), maxIters=5000)
    count = 0 if matrix is None else int(inliers.sum())
    if count < MIN_MATCHES or count < MIN_MATCH_SHARE * len(matches):
        raise UserError(
            f"only {count} of {len(matches)} points agree: at least {MIN_MATCHES} and {MIN_MATCH_SHARE:.0%} must agree"
        )
    alignment = Alignment(matrix, count)
    _check_plausible(alignment, before.size, after.size)
    return alignment


def _check_plausible(alignment: Alignment, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Raises UserError for a homography that is impossible for two photographs of one wall."""
    moved = alignment.moved(corners_of(before))
    sides = np.diff(np.concatenate([moved, moved[:1]]), axis=0)
    turns = np.cross(np.column_stack([sides, np.zeros(4)]), np.column_stack([np.roll(sides, -1, axis=0), np.zeros(4)]))
    side_scales = np.hypot(*sides.T) / np.tile(np.array(before, float), 2)
    inside = (moved.clip(0, np.array(after, float)) == moved).all(axis=1).any()
    low, high = side_scales.min(), side_scales.max()
    badly_scaled = low < SCALE_RANGE[0] or high > SCALE_RANGE[1] or high / low > MAX_STRETCH_RATIO
    if badly_scaled or not (turns[:, 2] > 0).all():
        raise UserError(
            "the matching points do not show one flat surface: different places, or a surface that is not flat"
        )
    if not inside and overlap_of(alignment, before, after).mean() < MIN_OVERLAP:
        raise UserError(f"the photographs overlap by less than {MIN_OVERLAP:.0%}")


def overlap_of(alignment: Alignment, before: tuple[int, int], after: tuple[int, int]) -> Array:
    """Returns whether each point (1600,) of a grid over the earlier photograph is inside the later one."""
    x, y = np.meshgrid(np.linspace(0, before[0], 40), np.linspace(0, before[1], 40))
    moved = alignment.moved(np.column_stack([x.ravel(), y.ravel()]))
    return np.asarray(((moved >= 0) & (moved <= np.array(after, float))).all(axis=1))


def warped(
    image: Image.Image, alignment: Alignment, factors: tuple[float, float], size: tuple[int, int]
) -> Image.Image:
    """Returns the earlier picture in the view of the later one, as a picture of `size` (width, height).

    `factors` are the scales of the earlier and the later picture, relative to the photographs that were aligned.
    """
    cv2 = opencv()
    before, after = (np.diag([factor, factor, 1.0]) for factor in factors)
    matrix = after @ alignment.matrix @ np.linalg.inv(before)
    pixels = cv2.warpPerspective(np.asarray(image.convert("RGB")), matrix, size, flags=cv2.INTER_AREA)
    return Image.fromarray(pixels)
