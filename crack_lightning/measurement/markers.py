"""Finds the scale from a marker of known size in the picture: ArUco or AprilTag, or a checkerboard (OpenCV)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.measurement.scale import Scale, agreed_scale, from_jacobian
from crack_lightning.system.libraries import opencv

Array = np.ndarray

DICTIONARIES = (
    *("DICT_4X4_250", "DICT_5X5_250", "DICT_6X6_250", "DICT_7X7_250", "DICT_ARUCO_ORIGINAL"),
    *("DICT_APRILTAG_36h11", "DICT_APRILTAG_25h9"),
)
FAMILIES = "ArUco 4x4 to 7x7 (numbers 0 to 249) and original, and AprilTag 36h11 and 25h9"
# Families that are recognised but not used to measure: noise is more often taken for one of their markers.
OTHERS = (
    *("DICT_4X4_1000", "DICT_5X5_1000", "DICT_6X6_1000", "DICT_7X7_1000", "DICT_APRILTAG_36h10", "DICT_APRILTAG_16h5"),
    "DICT_ARUCO_MIP_36h12",
)
LEAST_SIDE_PX = 24.0  # of a marker, whose corners are accurate to CORNER_PX
CORNER_PX = 0.25
LEAST_CORNERS = 4  # inside a checkerboard, in each direction


def marker_scale(grey: Array, marker_mm: float) -> Scale:
    """Returns the scale by square markers whose black outline is `marker_mm` wide, in a picture (h, w) uint8.

    Raises UserError where none lies whole in the picture, where one is too small or tilted, or where two disagree.
    """
    cv2 = opencv()
    squares = _squares(cv2, grey)
    if not squares:
        other = next((name for name in OTHERS if _corners_of_family(cv2, grey, name)), None)
        hint = f"a marker of {other.removeprefix('DICT_')} lies in it" if other else "none of these lies whole in it"
        raise UserError(
            f"{FAMILIES} are looked for, and {hint}: print one of these, photograph it whole, or give mm_per_px= or a "
            "table"
        )
    return agreed_scale([_square_scale(cv2, corners, marker_mm) for corners in squares])  # type: ignore[return-value]


def _squares(cv2: Any, grey: Array) -> list[Array]:
    """Returns the corners (4, 2) of each marker, of the family that has the most in the picture."""
    return max((_corners_of_family(cv2, grey, name) for name in DICTIONARIES), key=len)


def _corners_of_family(cv2: Any, grey: Array, name: str) -> list[Array]:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    family = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    corners, _, _ = cv2.aruco.ArucoDetector(family, parameters).detectMarkers(grey)
    return [np.asarray(square, np.float64).reshape(4, 2) for square in corners]


def _square_scale(cv2: Any, corners: Array, marker_mm: float) -> Scale:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * marker_mm
    return _plane_scale(cv2, square, corners, f"marker of {marker_mm:g} mm")


def checkerboard_scale(grey: Array, square_mm: float) -> Scale:
    """Returns the scale by a checkerboard of squares of `square_mm` in a picture (h, w) uint8. Raises as
    `marker_scale`."""
    cv2 = opencv()
    flags = cv2.CALIB_CB_LARGER | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_NORMALIZE_IMAGE
    size = (LEAST_CORNERS, LEAST_CORNERS)
    detected, corners, meta = cv2.findChessboardCornersSBWithMeta(grey, size, flags)
    if not detected:
        raise UserError(
            f"no checkerboard with {LEAST_CORNERS} x {LEAST_CORNERS} inner corners or more lies whole in the picture: "
            "photograph it whole, or give mm_per_px= or a table"
        )
    rows, columns = meta.shape[:2]
    places = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * square_mm
    return _plane_scale(cv2, places.astype(np.float64), corners.reshape(-1, 2), f"checkerboard of {square_mm:g} mm")


def _plane_scale(cv2: Any, places_mm: Array, corners_px: Array, source: str) -> Scale:
    """Returns the scale in the middle of points (n, 2) that are known on the surface and in the picture."""
    sides = np.hypot(*(corners_px.max(axis=0) - corners_px.min(axis=0)))
    if sides / np.sqrt(2) < LEAST_SIDE_PX:
        raise UserError(f"{source}: only {sides / np.sqrt(2):.0f} px wide, {LEAST_SIDE_PX:.0f} are needed: go nearer")
    homography, _ = cv2.findHomography(places_mm, corners_px)
    if homography is None:
        raise UserError(f"{source}: its corners lie on a line")
    jacobian = _jacobian(homography, places_mm.mean(axis=0))
    return from_jacobian(jacobian, source, deviation=float(np.hypot(CORNER_PX * np.sqrt(2) / sides, 0.005)))


def _jacobian(homography: Array, place: Sequence[float] | Array) -> Array:
    """Returns the derivative (2, 2) of the picture's x and y by the place on the surface."""
    x, y, w = homography @ np.append(place, 1.0)
    return np.asarray((homography[:2, :2] - np.outer([x / w, y / w], homography[2, :2])) / w)
