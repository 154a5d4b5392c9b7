"""Two photographs of one place brought onto each other by a homography (OpenCV)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_lightning.errors import UserError
from crack_lightning.system.libraries import opencv

Array = np.ndarray

SIDE_PX = 1400  # longer side of the copies in which points are looked for
POINTS = 6000
RATIO = 0.8  # of the distances to the best and the second best match (Lowe 2004)
RANSAC_PX = 3.0
LEAST_POINTS, LEAST_SHARE = 25, 0.15  # that must agree, and their share of the matches
SCALES = (0.25, 4.0)  # of one photograph to the other
MOST_SHEAR = 3.0  # how much more one direction may be stretched than the other
LEAST_OVERLAP = 0.1  # of the smaller photograph


@dataclass(frozen=True)
class Described:
    """Points (n, 2) of a photograph of `size` (width, height), in its pixels, and their descriptors (n, k)."""

    points: Array
    descriptors: Array
    size: tuple[int, int]


@dataclass(frozen=True)
class Alignment:
    """`matrix` (3, 3) takes x and y of the earlier photograph to those of the later; `points` agree."""

    matrix: Array
    points: int

    def moved(self, line: Array) -> Array:
        """Points (n, 2) of the earlier photograph in the later one."""
        return _moved(self.matrix, line)

    def back(self, line: Array) -> Array:
        """Points (n, 2) of the later photograph in the earlier one."""
        return _moved(np.linalg.inv(self.matrix), line)

    def enlarged(self, line: Array) -> float:
        """How much larger the later photograph shows what lies around points (n, 2) of the earlier."""
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


def described(image: Image.Image) -> Described:
    """Points that are found again in another photograph of the same place, light evened out (SIFT, Lowe 2004)."""
    cv2 = opencv()
    small = image.convert("L")
    small.thumbnail((SIDE_PX, SIDE_PX))
    even = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(np.asarray(small))
    keys, descriptors = cv2.SIFT.create(POINTS, contrastThreshold=0.02).detectAndCompute(even, None)
    factor = np.array(image.size) / np.array(small.size)
    points = np.array([key.pt for key in keys], float).reshape(-1, 2) + 0.5
    return Described(points * factor, descriptors if len(keys) else np.empty((0, 128), np.float32), image.size)


def aligned(before: Described, after: Described) -> Alignment:
    """Raises UserError, with the reason, where too few points agree or what agrees is no view of one surface."""
    cv2 = opencv()
    if min(len(before.points), len(after.points)) < LEAST_POINTS:
        raise UserError("too few points to be found again: the surface shows no texture")
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(before.descriptors, after.descriptors, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance]
    if len(good) < LEAST_POINTS:
        raise UserError(
            f"only {len(good)} points look alike, {LEAST_POINTS} are needed: not the same place, or too far"
        )
    first = np.array([before.points[match.queryIdx] for match in good])
    second = np.array([after.points[match.trainIdx] for match in good])
    reach = RANSAC_PX * max(after.size) / SIDE_PX
    matrix, inliers = cv2.findHomography(first, second, cv2.USAC_MAGSAC, max(reach, 1.0), maxIters=5000)
    count = 0 if matrix is None else int(inliers.sum())
    if count < LEAST_POINTS or count < LEAST_SHARE * len(good):
        raise UserError(
            f"only {count} of {len(good)} points agree, {LEAST_POINTS} and a share of {LEAST_SHARE:g} are needed"
        )
    found = Alignment(matrix, count)
    _check(found, before.size, after.size)
    return found


def _check(found: Alignment, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Raise UserError for a homography that no camera before a wall gives."""
    moved = found.moved(corners_of(before))
    sides = np.diff(np.concatenate([moved, moved[:1]]), axis=0)
    turns = np.cross(np.column_stack([sides, np.zeros(4)]), np.column_stack([np.roll(sides, -1, axis=0), np.zeros(4)]))
    stretched = np.hypot(*sides.T) / np.tile(np.array(before, float), 2)
    inside = (moved.clip(0, np.array(after, float)) == moved).all(axis=1).any()
    low, high = stretched.min(), stretched.max()
    if not (turns[:, 2] > 0).all() or low < SCALES[0] or high > SCALES[1] or high / low > MOST_SHEAR:
        raise UserError("what agrees is no view of one surface: the photographs show different places, or not a plane")
    if not inside and overlap_of(found, before, after).mean() < LEAST_OVERLAP:
        raise UserError("the photographs share less than a tenth")


def overlap_of(found: Alignment, before: tuple[int, int], after: tuple[int, int]) -> Array:
    """Of a grid of places of the earlier photograph, which lie in the later one."""
    x, y = np.meshgrid(np.linspace(0, before[0], 40), np.linspace(0, before[1], 40))
    moved = found.moved(np.column_stack([x.ravel(), y.ravel()]))
    return np.asarray(((moved >= 0) & (moved <= np.array(after, float))).all(axis=1))


def warped(image: Image.Image, found: Alignment, factors: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """The earlier picture, reduced by the first of `factors`, as the later one, reduced by the second, shows it."""
    cv2 = opencv()
    before, after = (np.diag([factor, factor, 1.0]) for factor in factors)
    matrix = after @ found.matrix @ np.linalg.inv(before)
    pixels = cv2.warpPerspective(np.asarray(image.convert("RGB")), matrix, size, flags=cv2.INTER_AREA)
    return Image.fromarray(pixels)
