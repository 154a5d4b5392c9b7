"""The scale of photographs: key, table, marker, checkerboard, distance; and where they disagree."""

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.images.exif import (
    EXIF_IFD,
    FOCAL_35MM,
    FOCAL_MM,
    GPS_IFD,
)
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.scale import Scale, agreed_scale, from_distance, from_two_points, uniform_scale
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.inspection.scales import Scales, scales_of

GREY = np.full((300, 400), 150, np.uint8)


def options(**given: Any) -> InspectOptions:
    return InspectOptions(source="x", **given)


def photograph(path: Path, *, focal_35mm: float | None = None, focal_mm: float | None = None, gps: Any = None) -> Path:
    image = Image.fromarray(GREY).convert("RGB")
    exif = image.getexif()
    camera = exif.get_ifd(EXIF_IFD)
    if focal_35mm is not None:
        camera[FOCAL_35MM] = focal_35mm
    if focal_mm is not None:
        camera[FOCAL_MM] = focal_mm
    exif.get_ifd(GPS_IFD).update(gps or {})
    image.save(path, exif=exif)
    return path


def test_without_anything_there_is_no_scale() -> None:
    assert scales_of(options(), []).of(Path("wall.jpg"), "wall.jpg", GREY) == (None, "")


def test_a_key_is_the_scale_of_all() -> None:
    scale, fault = scales_of(options(mm_per_px=0.3), []).of(Path("wall.jpg"), "wall.jpg", GREY)
    assert scale is not None
    assert (scale.mm_per_px, scale.source, fault) == (pytest.approx(0.3), "mm_per_px", "")


def table(tmp_path: Path, text: str, names: Sequence[str] = ("a.jpg", "north/b.jpg", "c.jpg")) -> Scales:
    (tmp_path / "scales.csv").write_text(text)
    return scales_of(options(scale=str(tmp_path / "scales.csv")), [Photograph(tmp_path / each, each) for each in names])


def test_a_table_gives_each_photograph_its_own(tmp_path: Path) -> None:
    scales = table(tmp_path, "photograph;mm_per_px\na.jpg;0,25\nnorth/b.jpg;0.5\n")
    for name, expected in (("a.jpg", 0.25), ("north/b.jpg", 0.5)):
        scale, _ = scales.of(tmp_path / name, name, GREY)
        assert scale is not None
        assert scale.mm_per_px == pytest.approx(expected)
    scale, fault = scales.of(tmp_path / "c.jpg", "c.jpg", GREY)
    assert scale is None
    assert "has no row for c.jpg" in fault


SPELLINGS = {
    "north\\b.jpg": "north/b.jpg",
    "B.JPG": "B.jpg",
    unicodedata.normalize("NFD", "Brücke.jpg"): "Brücke.jpg",
    "north/b.jpg": "bridges/north/b.jpg",
    "b": "north/b.jpg",
}


@pytest.mark.parametrize("row", SPELLINGS)
def test_a_row_is_found_however_it_is_spelled(tmp_path: Path, row: str) -> None:
    name = SPELLINGS[row]
    scale, fault = table(tmp_path, f"photograph,mm_per_px\n{row},0.5\n", [name, "other.jpg"]).of(Path(name), name, GREY)
    assert scale is not None, fault


def test_a_row_that_may_be_of_two_photographs_is_of_none(tmp_path: Path) -> None:
    names = ["100/DJI_1.JPG", "101/DJI_1.JPG", "102/DJI_1.JPG"]
    scales = table(tmp_path, "photograph,mm_per_px\nDJI_1.JPG,0.5\n102/DJI_1.JPG,0.2\n", names)
    for name in names[:2]:
        scale, fault = scales.of(tmp_path / name, name, GREY)
        assert scale is None
        assert f"names DJI_1.JPG, which matches several photographs: write {name} there" in fault
    scale, _ = scales.of(tmp_path / names[2], names[2], GREY)
    assert scale is not None
    assert scale.mm_per_px == pytest.approx(0.2)


def test_rows_of_no_photograph_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(tmp_path, "photograph,mm_per_px\na.jpg,0.5\nd.jpg,0.5\n")
    assert "1 rows of the table of scales match no photograph: d.jpg" in caplog.text


def test_a_table_may_give_two_points_of_known_length(tmp_path: Path) -> None:
    scales = table(tmp_path, "photograph,mm_per_px,x1,y1,x2,y2,length_mm\na.jpg,,0,0,400,300,100\n")
    scale, _ = scales.of(tmp_path / "a.jpg", "a.jpg", GREY)
    assert scale is not None
    assert scale.mm_per_px == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photograph,mm_per_px\na.jpg,zero\n", "mm_per_px='zero' is not a number above 0"),
        ("photograph,mm_per_px\na.jpg,-1\n", "is not a number above 0"),
        ("photograph,mm_per_px\n", "has no row"),
        ("name,mm\na,1\n", "needs columns photograph"),
        ("photograph,x1,y1,x2,y2,length_mm\na.jpg,0,0,3,4,100\n", "two points 5.0 px apart"),
    ],
)
def test_odd_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(tmp_path, text)


def test_two_scales_that_disagree_are_refused() -> None:
    assert agreed_scale([uniform_scale(0.3, "a"), uniform_scale(0.31, "b")]) is not None
    with pytest.raises(ValueError, match=r"two scales disagree: 0.3 mm a pixel by a, 0.32 by b"):
        agreed_scale([uniform_scale(0.3, "a"), uniform_scale(0.32, "b")])


def test_a_distance_gives_the_scale_with_the_focal_length(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.jpg", focal_35mm=36)
    scale, _ = scales_of(options(distance_m=2.0), []).of(path, "a.jpg", GREY)
    assert scale is not None
    assert scale.mm_per_px == pytest.approx(2000 * math.hypot(36, 24) / (36 * 500))
    assert 0.02 < scale.deviation < 0.1
    assert from_distance(2.0, focal_35mm=36, size=(400, 300)).mm_per_px == pytest.approx(scale.mm_per_px)


@pytest.mark.parametrize(
    ("focal", "fault"),
    [
        ({}, "its EXIF has no focal length"),
        ({"focal_35mm": 0}, "a focal length of 0"),
        ({"focal_mm": 0}, "a focal length of 0"),
        ({"focal_mm": 4.2}, "neither its 35-mm equivalent nor a sensor size"),
    ],
)
def test_a_distance_without_a_focal_length_is_a_fault(tmp_path: Path, focal: dict[str, float], fault: str) -> None:
    path = photograph(tmp_path / "a.jpg", **focal)
    scale, found = scales_of(options(distance_m=2.0), []).of(path, "a.jpg", GREY)
    assert scale is None
    assert fault in found
    kept, found = scales_of(options(distance_m=2.0, mm_per_px=0.3), []).of(path, "a.jpg", GREY)
    assert kept is not None  # what else was given still holds
    assert fault in found


def test_a_width_is_finite_where_a_line_turns_back() -> None:
    scale = Scale(np.array([[0.5, 0.0], [0.0, 0.4]]), 0.0, "test")
    widths = scale.width_mm(np.array([2.0, 2.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    assert widths == pytest.approx([0.8, 1.0, 2 * scale.mm_per_px])


def test_points_too_near_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="give two that are far apart"):
        from_two_points((0, 0), (1, 1), 10, "points")


@pytest.mark.parametrize("given", [{"scale": "marker"}, {"marker_mm": 50.0}, {"scale": "marker", "marker_mm": -1.0}])
def test_a_marker_needs_its_size(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="marker_mm"):
        options(**given)


def sheet(side: int = 600) -> np.ndarray:
    import cv2

    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    found = np.full((side * 3 // 2,) * 2, 255, np.uint8)
    edge = side // 4
    found[edge : edge + side, edge : edge + side] = cv2.aruco.generateImageMarker(family, 3, side)
    return found


def seen(picture: np.ndarray, tilt: float, mm: float) -> np.ndarray:
    """A sheet, `mm` millimetres a pixel, at one metre from a camera of 3000 px focal length."""
    import cv2

    turn, _ = cv2.Rodrigues(np.array([0.6, 0.8, 0]) * math.radians(tilt))
    half = picture.shape[0] / 2 * mm
    plane = np.array([[mm, 0, -half], [0, mm, -half], [0, 0, 1]])
    camera = np.array([[3000.0, 0, 500], [0, 3000.0, 400], [0, 0, 1]])
    matrix = camera @ np.column_stack([turn[:, 0], turn[:, 1], [0, 0, 1000.0]]) @ plane
    return np.asarray(cv2.warpPerspective(picture, matrix, (1000, 800), flags=cv2.INTER_AREA, borderValue=180))


@pytest.mark.parametrize(("tilt", "share"), [(0, 0.01), (15, 0.03), (30, 0.03)])
def test_a_marker_gives_the_scale(tilt: float, share: float) -> None:
    from crack_lightning.measurement.markers import marker_scale

    assert abs(marker_scale(seen(sheet(), tilt, 50 / 600), 50.0).mm_per_px * 3 - 1) < share


def test_a_checkerboard_gives_the_scale() -> None:
    from crack_lightning.measurement.markers import checkerboard_scale

    board = np.full((900, 900), 255, np.uint8)
    for row in range(8):
        for column in range(7):
            if (row + column) % 2 == 0:
                board[100 + row * 80 : 180 + row * 80, 150 + column * 80 : 230 + column * 80] = 0
    assert abs(checkerboard_scale(seen(board, 10, 0.15), 12.0).mm_per_px * 3 - 1) < 0.02


def test_what_is_wrong_with_a_marker_is_said() -> None:
    from crack_lightning.measurement.markers import checkerboard_scale, marker_scale

    whole = seen(sheet(), 0, 50 / 600)
    cut = whole[:, : whole.shape[1] // 2]
    with pytest.raises(ValueError, match="AprilTag 36h11 and 25h9 are looked for, and none of these"):
        marker_scale(np.ascontiguousarray(cut), 50.0)
    with pytest.raises(ValueError, match="tilted by"):
        marker_scale(seen(sheet(), 50, 50 / 600), 50.0)
    with pytest.raises(ValueError, match="two scales disagree"):
        marker_scale(np.concatenate([whole, seen(sheet(), 0, 25 / 600)], axis=1), 50.0)
    with pytest.raises(ValueError, match="no checkerboard"):
        checkerboard_scale(whole, 10.0)


@pytest.mark.parametrize(("family", "number"), [("4X4_1000", 500), ("APRILTAG_36h10", 5)])
def test_a_marker_of_another_family_is_named(family: str, number: int) -> None:
    import cv2

    from crack_lightning.measurement.markers import marker_scale

    picture = np.full((400, 500), 200, np.uint8)
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{family}"))
    picture[150:250, 150:250] = cv2.aruco.generateImageMarker(known, number, 100)
    with pytest.raises(UserError, match=rf"4x4 to 7x7 .* are looked for, and a marker of {family} is in it"):
        marker_scale(picture, 50.0)


BOUNDS = ["a.jpg,25", "a.jpg,0.00001"]


@pytest.mark.parametrize("row", BOUNDS)
def test_a_table_is_held_to_the_bounds_of_a_scale(tmp_path: Path, row: str) -> None:
    with pytest.raises(ValueError, match=r"scales.csv, line 2: .* mm a pixel: must be from 0.001 to 20"):
        table(tmp_path, f"photograph,mm_per_px\n{row}\n")


def test_points_of_a_row_must_agree_with_its_scale(tmp_path: Path) -> None:
    text = "photograph,mm_per_px,x1,y1,x2,y2,length_mm\na.jpg,0.3,0,0,100,0,90\n"
    scale, fault = table(tmp_path, text).of(tmp_path / "a.jpg", "a.jpg", GREY)
    assert scale is None
    assert "two scales disagree" in fault


def test_rows_of_one_photograph_must_agree(tmp_path: Path) -> None:
    scale, fault = table(tmp_path, "photograph,mm_per_px\na.jpg,0.2\na.jpg,0.5\n").of(tmp_path / "a.jpg", "a.jpg", GREY)
    assert scale is None
    assert "two scales disagree" in fault


def test_points_outside_the_photograph_are_a_fault(tmp_path: Path) -> None:
    scales = table(tmp_path, "photograph,mm_per_px,x1,y1,x2,y2,length_mm\na.jpg,,0,0,5000,0,100\n")
    scale, fault = scales.of(tmp_path / "a.jpg", "a.jpg", GREY)
    assert scale is None
    assert "are outside its 400 x 300 pixels" in fault


def test_an_unknown_kind_of_scale_is_named() -> None:
    with pytest.raises(ValueError, match="scale=markr: must be one of marker, checkerboard, or a table"):
        scales_of(options(scale="markr"), [])


def test_millimetres_that_show_no_crack_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mm_per_px=234: .* from 0.001 to 20"):
        options(mm_per_px=234.0)
