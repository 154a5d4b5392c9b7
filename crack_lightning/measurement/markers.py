"""Finds the scale from a marker of known size in the picture: ArUco, AprilTag or a checkerboard (OpenCV)."""

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
FAMILY_NAMES = "ArUco 4x4 to 7x7 (numbers 0 to 249) and original, and AprilTag 36h11 and 25h9"
# These families are only named in an error, and give no scale: noise is too often taken for one of their markers.
UNUSED_DICTIONARIES = (
    *("DICT_4X4_1000", "DICT_5X5_1000", "DICT_6X6_1000", "DICT_7X7_1000", "DICT_APRILTAG_36h10", "DICT_APRILTAG_16h5"),
    "DICT_ARUCO_MIP_36h12",
)
MIN_SIDE_PX = 24.0  # smallest side of a marker in the picture
CORNER_DEVIATION_PX = 0.25  # standard error of a corner's position
MIN_INNER_CORNERS = 4  # inner corners of a checkerboard in each direction


def marker_scale(grey: Array, marker_mm: float) -> Scale:
    """Returns the scale from square markers, whose black outlines have sides of `marker_mm`, in a picture (h, w) uint8.

    Raises UserError if no marker is completely in the picture, if one is too small or tilted, or if two disagree.
    """
    cv2 = opencv()
    squares = _marker_corners(cv2, grey)
    if not squares:
        other = next((name for name in UNUSED_DICTIONARIES if _corners_of_family(cv2, grey, name)), None)
        hint = f"a marker of {other.removeprefix('DICT_')} is in it" if other else "none of these is completely in it"
        raise UserError(
            f"{FAMILY_NAMES} are looked for, and {hint}: print one of these, "
            "photograph it completely, or give mm_per_px= or a table"
        )
    return agreed_scale([_scale_of_marker(cv2, corners, marker_mm) for corners in squares])  # type: ignore[return-value]


def _marker_corners(cv2: Any, grey: Array) -> list[Array]:
    """Returns the corners (4, 2) of each marker of the family with the most markers in the picture."""
    return max((_corners_of_family(cv2, grey, name) for name in DICTIONARIES), key=len)


def _corners_of_family(cv2: Any, grey: Array, name: str) -> list[Array]:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    family = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    corners, _, _ = cv2.aruco.ArucoDetector(family, parameters).detectMarkers(grey)
    return [np.asarray(square, np.float64).reshape(4, 2) for square in corners]


def _scale_of_marker(cv2: Any, corners: Array, marker_mm: float) -> Scale:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * marker_mm
    return _plane_scale(cv2, square, corners, f"marker of {marker_mm:g} mm")


def checkerboard_scale(grey: Array, square_mm: float) -> Scale:
    """Returns the scale from a checkerboard, whose squares have sides of `square_mm`, in a picture (h, w) uint8.

    Raises UserError as `marker_scale` does.
    """
    cv2 = opencv()
    flags = cv2.CALIB_CB_LARGER | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_NORMALIZE_IMAGE
    size = (MIN_INNER_CORNERS, MIN_INNER_CORNERS)
    detected, corners, meta = cv2.findChessboardCornersSBWithMeta(grey, size, flags)
    if not detected:
        raise UserError(
            f"no checkerboard with {MIN_INNER_CORNERS} x {MIN_INNER_CORNERS} or more inner corners is completely in "
            "the picture: photograph it completely, or give mm_per_px= or a table"
        )
    rows, columns = meta.shape[:2]
    points_mm = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * square_mm
    source = f"checkerboard of {square_mm:g} mm"
    return _plane_scale(cv2, points_mm.astype(np.float64), corners.reshape(-1, 2), source)


def _plane_scale(cv2: Any, points_mm: Array, corners_px: Array, source: str) -> Scale:
    """Returns the scale in the middle of points (n, 2) whose positions on the surface and in the picture are known."""
    sides = np.hypot(*(corners_px.max(axis=0) - corners_px.min(axis=0)))
    if sides / np.sqrt(2) < MIN_SIDE_PX:
        raise UserError(
            f"{source}: only {sides / np.sqrt(2):.0f} px wide, at least {MIN_SIDE_PX:.0f} are needed: go nearer"
        )
    homography, _ = cv2.findHomography(points_mm, corners_px)
    if homography is None:
        raise UserError(f"{source}: all its corners are on one line")
    jacobian = _jacobian(homography, points_mm.mean(axis=0))
    return from_jacobian(jacobian, source, deviation=float(np.hypot(CORNER_DEVIATION_PX * np.sqrt(2) / sides, 0.005)))


def _jacobian(homography: Array, point_mm: Sequence[float] | Array) -> Array:
    """Returns the derivative (2, 2) of x and y in the picture with respect to the point on the surface."""
    x, y, w = homography @ np.append(point_mm, 1.0)
    return np.asarray((homography[:2, :2] - np.outer([x / w, y / w], homography[2, :2])) / w)
