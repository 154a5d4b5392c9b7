"""The scale of a photograph: millimetres per pixel in each direction, and their uncertainty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.data.images.exif import FILM_DIAGONAL_MM
from crack_lightning.errors import UserError
from crack_lightning.measurement.paths import length_of

Array = np.ndarray

MM_PER_PX_RANGE = (0.001, 20.0)  # smallest and largest accepted scale
MAX_DISAGREEMENT = 0.05  # largest relative difference between two scales of one photograph
MAX_TILT_DEGREES = 35.0  # nothing is measured on a surface that is tilted more than this
DISTANCE_UNCERTAINTY = 0.03  # relative uncertainty of a taped distance, and of a focal length


@dataclass(frozen=True)
class Scale:
    """A scale: `matrix` (2, 2) maps a step in pixels, x and y, to millimetres on the surface.

    `deviation` is its relative uncertainty (one standard error), and `source` describes where it comes from.
    """

    matrix: Array
    deviation: float
    source: str

    @property
    def mm_per_px(self) -> float:
        """Returns the millimetres per pixel along the direction that is not foreshortened."""
        return float(np.linalg.svd(self.matrix, compute_uv=False)[-1])

    def length_mm(self, line: Array) -> float:
        """Returns the length in millimetres of a line of points (n, 2) in pixels."""
        return length_of(line @ self.matrix.T)

    def width_mm(self, width_px: Array, along: Array) -> Array:
        """Returns widths (n,) in millimetres, from widths in pixels at right angles to directions `along` (n, 2).

        Where a line turns back its direction is (0, 0), and the mean scale counts.
        """
        lengths = np.hypot(*along.T)
        stretched = np.hypot(*(along @ self.matrix.T).T) / np.maximum(lengths, 1e-9)
        across = abs(np.linalg.det(self.matrix)) / np.maximum(stretched, 1e-12)
        return np.asarray(width_px * np.where(lengths > 1e-9, across, self.mm_per_px))


def check_scale(scale: Scale) -> Scale:
    """Returns the scale. Raises UserError for one outside MM_PER_PX_RANGE, as no structure has."""
    lowest, highest = MM_PER_PX_RANGE
    if not lowest <= scale.mm_per_px <= highest:
        raise UserError(
            f"{scale.source}: {scale.mm_per_px:.4g} mm a pixel: must be from {lowest:g} to {highest:g}, "
            "0.2 to 1 is usual"
        )
    return scale


def uniform_scale(mm_per_px: float, source: str, *, deviation: float = 0.0) -> Scale:
    """Returns a scale that is the same in all directions."""
    return Scale(np.eye(2) * mm_per_px, deviation, source)


def from_two_points(
    first: Sequence[float], second: Sequence[float], length_mm: float, source: str, *, click_px: float = 1.0
) -> Scale:
    """Returns the scale from two points, x and y in pixels, `length_mm` apart. Raises UserError if they are close.

    `click_px` is the size of a pixel of the screen on which the points were clicked, in pixels of the photograph.
    """
    apart = math.dist(first, second)
    if apart < 10 or length_mm <= 0:
        raise UserError(f"{source}: two points {apart:.1f} px apart for {length_mm:g} mm: give two that are far apart")
    return uniform_scale(length_mm / apart, source, deviation=max(1.0, click_px) / apart)


def from_distance(distance_m: float, *, focal_35mm: float, size: tuple[int, int]) -> Scale:
    """Returns the scale of a camera facing a surface, from its distance and its focal length in 35-mm equivalent."""
    mm_per_px = distance_m * 1000 * FILM_DIAGONAL_MM / (focal_35mm * math.hypot(*size))
    rounded = 0.3 / focal_35mm  # EXIF gives whole millimetres
    source = f"distance of {distance_m:g} m and a focal length of {focal_35mm:.4g} mm on 35-mm film"
    return uniform_scale(mm_per_px, source, deviation=math.hypot(DISTANCE_UNCERTAINTY, DISTANCE_UNCERTAINTY, rounded))


def from_jacobian(px_per_mm: Array, source: str, *, deviation: float) -> Scale:
    """Returns the scale from a matrix (2, 2) that maps millimetres on the surface to pixels.

    Raises UserError for a surface that is tilted by more than MAX_TILT_DEGREES.
    """
    long, short = np.linalg.svd(px_per_mm, compute_uv=False)
    tilt = math.degrees(math.acos(min(1.0, short / long)))
    if tilt > MAX_TILT_DEGREES:
        raise UserError(
            f"{source}: the surface is tilted by {tilt:.0f} degrees, at most {MAX_TILT_DEGREES:.0f} can be corrected: "
            "photograph it from the front"
        )
    if tilt > 8:  # a smaller tilt cannot be distinguished from the noise of the corners
        _, stretches, turns = np.linalg.svd(np.linalg.inv(px_per_mm))
        upright = turns.T @ np.diag(stretches) @ turns  # without the marker's own rotation
        return Scale(upright, deviation, f"{source}, tilt of {tilt:.0f} degrees corrected")
    return uniform_scale(1 / math.sqrt(long * short), source, deviation=deviation)


def agreed_scale(scales: Sequence[Scale]) -> Scale | None:
    """Returns the first of a photograph's scales; None if there is none.

    Raises UserError if another one differs from it by more than MAX_DISAGREEMENT.
    """
    for other in scales[1:]:
        first = scales[0]
        if abs(other.mm_per_px / first.mm_per_px - 1) > MAX_DISAGREEMENT:
            raise UserError(
                f"two scales disagree: {first.mm_per_px:.4g} mm a pixel by {first.source}, {other.mm_per_px:.4g} by "
                f"{other.source}: correct or leave out one of them"
            )
    return scales[0] if scales else None
