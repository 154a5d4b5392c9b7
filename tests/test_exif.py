"""What a camera wrote: where it stood, and how far it zoomed."""

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_scales import GREY, photograph

from crack_lightning.data.images.exif import (
    DIGITAL_ZOOM,
    EXIF_IFD,
    FOCAL_35MM,
    FOCAL_MM,
    PIXELS_X,
    PIXELS_Y,
    PLANE_UNIT,
    PLANE_X,
    camera_facts,
)


def test_positions_are_signed_degrees(tmp_path: Path) -> None:
    gps = {1: "S", 2: (33.0, 30.0, 36.0), 3: "W", 4: (70.0, 45.0, 0.0), 6: 12.0}
    assert camera_facts(photograph(tmp_path / "a.jpg", gps=gps)).position == pytest.approx((-70.75, -33.51, 12.0))
    for odd in ({2: (0.0,) * 3, 4: (0.0,) * 3}, {1: "", 3: ""}, {1: "N", 3: ""}, {1: "E"}, {18: "TOKYO"}):
        assert camera_facts(photograph(tmp_path / "b.jpg", gps={**gps, **odd})).position is None
    without = {tag: value for tag, value in gps.items() if tag not in (1, 3)}
    assert camera_facts(photograph(tmp_path / "c.jpg", gps=without)).position is None  # of which half of the globe?


ZOOMED = [
    ({FOCAL_MM: 18, PLANE_X: 2000, PLANE_UNIT: 2, DIGITAL_ZOOM: 2}, 2.0),  # the focal length of the lens, a sensor
    ({FOCAL_MM: 18, PLANE_X: 2000, PLANE_UNIT: 2, DIGITAL_ZOOM: 0}, 1.0),  # 0: none was used
    ({FOCAL_MM: 18, PLANE_X: 2000, PLANE_UNIT: 2, FOCAL_35MM: 123, DIGITAL_ZOOM: 2}, 2.0),
    ({FOCAL_35MM: 36, DIGITAL_ZOOM: 2}, "digital zoom of 2, and nothing says"),  # some cameras include it
    ({FOCAL_35MM: 36, DIGITAL_ZOOM: 100_000}, "that no camera has"),
    ({FOCAL_35MM: 65535}, "that no camera has"),
    ({FOCAL_MM: 18, PLANE_X: 2000, PLANE_UNIT: 2, FOCAL_35MM: 50}, "two focal lengths that differ, 50 and 123"),
]


@pytest.mark.parametrize(("camera", "zoom"), ZOOMED)
def test_digital_zoom_is_followed_or_refused(tmp_path: Path, camera: dict[int, Any], zoom: float | str) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update({**camera, PIXELS_X: 400, PIXELS_Y: 300})
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif)
    facts = camera_facts(tmp_path / "a.jpg")
    if isinstance(zoom, str):
        assert (facts.focal_35mm, zoom in facts.fault) == (None, True), facts.fault
    else:
        sensor_mm = math.hypot(400, 300) / 2000 * 25.4
        assert facts.focal_35mm == pytest.approx(zoom * 18 * math.hypot(36, 24) / sensor_mm)
