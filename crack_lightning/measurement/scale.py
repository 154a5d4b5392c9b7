"""How many millimetres a pixel shows, how well that is known, and in which direction it differs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.data.images.exif import FILM_DIAGONAL_MM
from crack_lightning.errors import UserError
from crack_lightning.measurement.paths import length_of

Array = np.ndarray

MM_PER_PX = (0.001, 20.0)
DISAGREE = 0.05  # share by which two scales of one photograph may differ
MOST_TILT = 35.0  # degrees of a surface against the picture, beyond which nothing is measured
DISTANCE_SHARE = 0.03  # deviation of a distance that somebody measured with a tape, and of a camera's focal length


@dataclass(frozen=True)
class Scale:
    """`matrix` (2, 2) takes a step in pixels, x and y, to millimetres on the surface; `deviation` is the share by which
    it is uncertain, of one deviation, and `source` says where it is from."""

    matrix: Array
    deviation: float
    source: str

    @property
    def mm_per_px(self) -> float:
        """Along the direction that is not foreshortened."""
        return float(np.linalg.svd(self.matrix, compute_uv=False)[-1])

    def length_mm(self, line: Array) -> float:
        """Of a line of points (n, 2) in pixels."""
        return length_of(line @ self.matrix.T)

    def width_mm(self, width_px: Array, along: Array) -> Array:
        """Of gaps (n,) in pixels, measured at right angles to the directions `along` (n, 2)."""
        unit = along / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        stretched = np.hypot(*(unit @ self.matrix.T).T)
        return np.asarray(width_px * abs(np.linalg.det(self.matrix)) / np.maximum(stretched, 1e-12))


def checked(scale: Scale) -> Scale:
    """Returns a scale. Raises UserError for one that no photograph of a structure has."""
    if not MM_PER_PX[0] <= scale.mm_per_px <= MM_PER_PX[1]:
        raise UserError(
            f"{scale.source}: {scale.mm_per_px:.4g} mm a pixel: at least {MM_PER_PX[0]:g}, at most {MM_PER_PX[1]:g}, "
            "0.2 to 1 is usual"
        )
    return scale


def even(mm_per_px: float, source: str, *, deviation: float = 0.0) -> Scale:
    """The same in all directions."""
    return Scale(np.eye(2) * mm_per_px, deviation, source)


def from_two_points(first: Sequence[float], second: Sequence[float], length_mm: float, source: str) -> Scale:
    """Of two points, x and y in pixels, that lie `length_mm` apart. Raises UserError for points too near each other."""
    apart = math.dist(first, second)
    if apart < 10 or length_mm <= 0:
        raise UserError(f"{source}: two points {apart:.1f} px apart for {length_mm:g} mm: give two that lie far apart")
    return even(length_mm / apart, source, deviation=1.0 / apart)


def from_distance(distance_m: float, *, focal_35mm: float, size: tuple[int, int]) -> Scale:
    """Of a camera at right angles to a surface, by the focal length that is equivalent on 35-mm film."""
    mm_per_px = distance_m * 1000 * FILM_DIAGONAL_MM / (focal_35mm * math.hypot(*size))
    rounded = 0.3 / focal_35mm  # EXIF has whole millimetres
    source = f"distance of {distance_m:g} m and a focal length of {focal_35mm:.4g} mm on 35-mm film"
    return even(mm_per_px, source, deviation=math.hypot(DISTANCE_SHARE, DISTANCE_SHARE, rounded))


def from_jacobian(px_per_mm: Array, source: str, *, deviation: float) -> Scale:
    """Of a matrix (2, 2) that takes millimetres on the surface to pixels. Raises UserError for a surface that is tilted
    by more than MOST_TILT."""
    long, short = np.linalg.svd(px_per_mm, compute_uv=False)
    tilt = math.degrees(math.acos(min(1.0, short / long)))
    if tilt > MOST_TILT:
        raise UserError(
            f"{source}: the surface is tilted by {tilt:.0f} degrees, {MOST_TILT:.0f} at most can be corrected: "
            "photograph it from the front"
        )
    if tilt > 8:  # less cannot be distinguished from the noise of the corners
        _, stretches, turns = np.linalg.svd(np.linalg.inv(px_per_mm))
        upright = turns.T @ np.diag(stretches) @ turns  # without the marker's own rotation
        return Scale(upright, deviation, f"{source}, tilt of {tilt:.0f} degrees corrected")
    return even(1 / math.sqrt(long * short), source, deviation=deviation)


def agreed(scales: Sequence[Scale]) -> Scale | None:
    """The first of the scales that are known of a photograph; None of none.

    Raises UserError where two of them differ by more than DISAGREE.
    """
    for one in scales[1:]:
        first = scales[0]
        if abs(one.mm_per_px / first.mm_per_px - 1) > DISAGREE:
            raise UserError(
                f"two scales disagree: {first.mm_per_px:.4g} mm a pixel by {first.source}, {one.mm_per_px:.4g} by "
                f"{one.source}: correct or leave out one of them"
            )
    return scales[0] if scales else None
