"""Reads the EXIF data of a photograph: orientation, focal length and position."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_lightning.data.images.reading import open_image, orientation_of

# EXIF tags
FOCAL_MM, FOCAL_35MM, DIGITAL_ZOOM = 0x920A, 0xA405, 0xA404
PLANE_X, PLANE_UNIT, PIXELS_X, PIXELS_Y = 0xA20E, 0xA210, 0xA002, 0xA003
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # millimetres in each unit that PLANE_UNIT can name
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)  # diagonal of 35-mm film, to which equivalent focal lengths refer
# For the GPS tags that name the hemispheres: the sign of the angle by the letter in the tag.
HEMISPHERE_SIGNS: dict[int, dict[str, int]] = {1: {"N": 1, "S": -1}, 3: {"E": 1, "W": -1}}
WGS84_LIKE_DATUMS = re.compile(r"WGS|JGD|ETRS|GDA|NAD.?83|CGCS")  # map datums within metres of WGS 84
FOCAL_RANGE_MM = (4.0, 3000.0)  # plausible focal lengths on 35-mm film
MAX_ZOOM = 100.0  # largest plausible digital zoom
FOCAL_TOLERANCE = 0.15  # largest relative difference of the two focal lengths in the same EXIF; they may be rounded
ASPECT_TOLERANCE = 0.02  # largest relative difference of a picture's aspect ratio from the one that the camera wrote


@dataclass(frozen=True)
class CameraFacts:
    """Facts from the EXIF of a photograph.

    `focal_35mm` is the focal length in millimetres, as its equivalent on 35-mm film; if it is None, `fault` says why.
    `position` is longitude, latitude (WGS 84) and altitude in metres, which may be None. `orientation` is 1 to 8.
    """

    focal_35mm: float | None
    position: tuple[float, float, float | None] | None
    fault: str = ""
    orientation: int = 1


def camera_facts(path: Path) -> CameraFacts:
    """Returns the facts in the EXIF of a photograph; missing ones are None, a missing orientation is 1."""
    try:
        with path.open("rb") as file, open_image(file, megapixels=float("inf")) as image:
            size, exif, orientation = image.size, image.getexif(), orientation_of(image)
            camera, gps = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
    except Exception:  # decoders raise whatever they like on damaged headers
        return CameraFacts(None, None, "its EXIF cannot be read")
    focal, fault = _focal(camera, size)
    return CameraFacts(focal, _position(gps), fault, orientation)


def _focal(camera: dict[int, Any], size: tuple[int, int]) -> tuple[float | None, str]:
    """Returns `focal_35mm` and `fault` of `CameraFacts`, from the EXIF tags and the size of the picture."""
    written_size = [_number(camera.get(tag)) for tag in (PIXELS_X, PIXELS_Y)]
    if all(written_size):
        written_aspect = max(written_size) / min(written_size)  # type: ignore[type-var, operator]
        if abs(written_aspect / (max(size) / min(size)) - 1) > ASPECT_TOLERANCE:
            return None, "it was cropped after it was taken, so that its focal length no longer fits"
    equivalent, focal = _number(camera.get(FOCAL_35MM)), _number(camera.get(FOCAL_MM))
    zoom = 1.0 if camera.get(DIGITAL_ZOOM) is None else _number(camera.get(DIGITAL_ZOOM))
    zoom = 1.0 if zoom == 0 else zoom  # 0 means that no digital zoom was used
    plausible = not equivalent or FOCAL_RANGE_MM[0] <= equivalent <= FOCAL_RANGE_MM[1]
    if zoom is None or not 1 <= zoom <= MAX_ZOOM or not plausible:
        return None, f"its EXIF has a digital zoom or a focal length that no camera has ({zoom}, {equivalent})"
    pixels_per_unit, unit = _number(camera.get(PLANE_X)), UNITS_MM.get(int(_number(camera.get(PLANE_UNIT)) or 2))
    if focal and pixels_per_unit and unit and written_size[0] and written_size[1]:
        diagonal_mm = math.hypot(written_size[0], written_size[1]) / pixels_per_unit * unit
        computed = focal * FILM_DIAGONAL_MM / diagonal_mm
        candidates = (computed, zoom * computed)  # cameras differ in whether the equivalent includes the zoom
        if equivalent and min(abs(equivalent / candidate - 1) for candidate in candidates) > FOCAL_TOLERANCE:
            lengths = f"{equivalent:g} and {computed:.3g} mm on 35-mm film"
            return None, f"its EXIF has two focal lengths that differ, {lengths}"
        return zoom * computed if zoom > 1 or not equivalent else equivalent, ""
    if equivalent and zoom == 1:
        return equivalent, ""
    if equivalent:
        return None, f"its EXIF has a digital zoom of {zoom:g}, and nothing says whether its focal length includes that"
    if focal is None and equivalent is None:
        return None, "its EXIF has no focal length"
    fault = "a focal length of 0" if not focal else "a focal length but neither its 35-mm equivalent nor a sensor size"
    return None, f"its EXIF has {fault}"


def _number(value: Any) -> float | None:
    """Returns a finite number from 0 up, None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _position(gps: dict[int, Any]) -> tuple[float, float, float | None] | None:
    try:
        latitude, longitude = (_degrees(gps[tag]) for tag in (2, 4))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    signs = [sign_of_letter.get(_upper_text(gps.get(tag))[:1]) for tag, sign_of_letter in HEMISPHERE_SIGNS.items()]
    if signs[0] is None or signs[1] is None or not WGS84_LIKE_DATUMS.match(_upper_text(gps.get(18)) or "WGS"):
        return None  # the hemisphere is not given, or the map datum is unknown
    latitude, longitude = latitude * signs[0], longitude * signs[1]
    altitude = _number(gps.get(6))
    below_sea_level = gps.get(5) in (1, b"\x01")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude == longitude == 0):
        return None
    return longitude, latitude, None if altitude is None else -altitude if below_sea_level else altitude


def _upper_text(value: Any) -> str:
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0").upper()


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    angle = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(angle):
        raise ValueError("not a finite angle")
    return angle
