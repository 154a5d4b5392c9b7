"""Reads EXIF: orientation, focal length, position."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_lightning.data.images.reading import opened, orientation_of

FOCAL_MM, FOCAL_35MM, DIGITAL_ZOOM = 0x920A, 0xA405, 0xA404
PLANE_X, PLANE_UNIT, PIXELS_X, PIXELS_Y = 0xA20E, 0xA210, 0xA002, 0xA003
UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)  # of the film to which equivalent focal lengths refer
SIGNS: dict[int, dict[str, int]] = {1: {"N": 1, "S": -1}, 3: {"E": 1, "W": -1}}
DATUMS = re.compile(r"WGS|JGD|ETRS|GDA|NAD.?83|CGCS")  # map datums that agree with WGS 84 within metres
FOCAL, MOST_ZOOM = (4.0, 3000.0), 100.0  # range of focal lengths on 35-mm film, and the largest digital zoom
DIFFER = 0.15  # share by which two focal lengths of one photograph, in whole millimetres, may differ
CROPPED = 0.02  # share by which the ratio of a picture's sides may differ from the one that the camera wrote


@dataclass(frozen=True)
class CameraFacts:
    """Facts from EXIF: `focal_35mm` is the equivalent on 35-mm film; `position` is longitude and latitude in WGS 84 and
    altitude in metres, which may be None; `fault` is why there is no focal length; `orientation` is 1 to 8."""

    focal_35mm: float | None
    position: tuple[float, float, float | None] | None
    fault: str = ""
    orientation: int = 1


def camera_facts(path: Path) -> CameraFacts:
    """Returns the facts in the EXIF of a photograph; they are empty where nothing is written or can be read."""
    try:
        with path.open("rb") as file, opened(file, megapixels=float("inf")) as image:
            size, exif, orientation = image.size, image.getexif(), orientation_of(image)
            camera, gps = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
    except Exception:  # decoders raise whatever they like on damaged headers
        return CameraFacts(None, None, "its EXIF cannot be read")
    focal, fault = _focal(camera, size)
    return CameraFacts(focal, _position(gps), fault, orientation)


def _focal(camera: dict[int, Any], size: tuple[int, int]) -> tuple[float | None, str]:
    written = [_number(camera.get(tag)) for tag in (PIXELS_X, PIXELS_Y)]
    if all(written) and abs(max(written) / min(written) / (max(size) / min(size)) - 1) > CROPPED:  # type: ignore[type-var, operator]
        return None, "it was cropped after it was taken, and no longer shows what its focal length says"
    equivalent, focal = _number(camera.get(FOCAL_35MM)), _number(camera.get(FOCAL_MM))
    zoom = 1.0 if camera.get(DIGITAL_ZOOM) is None else _number(camera.get(DIGITAL_ZOOM))
    zoom = 1.0 if zoom == 0 else zoom  # 0 means none
    if zoom is None or not 1 <= zoom <= MOST_ZOOM or (equivalent and not FOCAL[0] <= equivalent <= FOCAL[1]):
        return None, f"its EXIF has a digital zoom or a focal length that no camera has ({zoom}, {equivalent})"
    density, unit = _number(camera.get(PLANE_X)), UNITS_MM.get(int(_number(camera.get(PLANE_UNIT)) or 2))
    if focal and density and unit and written[0] and written[1]:
        diagonal_mm = math.hypot(written[0], written[1]) / density * unit
        computed = focal * FILM_DIAGONAL_MM / diagonal_mm
        if equivalent and min(abs(equivalent / candidate - 1) for candidate in (computed, zoom * computed)) > DIFFER:
            return (
                None,
                f"its EXIF has two focal lengths that differ, {equivalent:g} and {computed:.3g} mm on 35-mm film",
            )
        return zoom * computed if zoom > 1 or not equivalent else equivalent, ""
    if equivalent and zoom == 1:
        return equivalent, ""
    if equivalent:
        return None, f"its EXIF has a digital zoom of {zoom:g}, and nothing says whether its focal length includes that"
    if focal is None and equivalent is None:
        return None, "its EXIF has no focal length"
    zero = "a focal length of 0" if not focal else "a focal length but neither its 35-mm equivalent nor a sensor size"
    return None, f"its EXIF has {zero}"


def _number(value: Any) -> float | None:
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
    signs = [ways.get(_letters(gps.get(tag))[:1]) for tag, ways in SIGNS.items()]
    if signs[0] is None or signs[1] is None or not DATUMS.match(_letters(gps.get(18)) or "WGS"):
        return None  # the hemisphere, or the map datum, is not known
    latitude, longitude = latitude * signs[0], longitude * signs[1]
    altitude = _number(gps.get(6))
    below = gps.get(5) in (1, b"\x01")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude == longitude == 0):
        return None
    return longitude, latitude, None if altitude is None else -altitude if below else altitude


def _letters(value: Any) -> str:
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0").upper()


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    angle = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(angle):
        raise ValueError("no number")
    return angle
