"""Cracks as other programs read them: DXF, COCO, Label Studio, Word, GeoJSON."""

import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

from crack_lightning.measurement.record import CrackRecord, Widths
from crack_lightning.report import drawings, word
from crack_lightning.report.annotations import Drawn, coco, label_studio, outlines
from crack_lightning.report.cracks_section import Bar, CrackRow, CracksSection
from crack_lightning.report.word import Pictured, word_report
from crack_lightning.runs.inspection.further_formats import check_formats

SIZE = (400, 300)


def record(number: int, *, width: float | None = 6.0, name: str = "> 0.4 mm", parts: int = 1) -> CrackRecord:
    lines = [np.array([[20.0, 50.0 * number], [220.0, 50.0 * number]])]
    lines += [np.array([[120.0, 50.0 * number], [120.0, 290.0]])] * (parts - 1)
    on_surface = [np.array([[2.0, 5.0 * number], [22.0, 5.0 * number]])]
    facts = {"length_mm": 20.0, "width_mm": Widths(0.6), "lines_mm": on_surface, "width_class": name}
    return CrackRecord(number, lines, 200.0, Widths(width), None, 0.8, 0.6, touches_edge=False, **facts)  # type: ignore[arg-type]


DRAWN = [Drawn("north/a.jpg", SIZE, [record(1), record(2, width=None, name="", parts=2)]), Drawn("b.jpg", SIZE, [])]


def test_an_outline_is_as_wide_as_the_crack() -> None:
    (polygon,) = outlines(record(1), SIZE)
    assert shapely.Polygon(polygon).area == pytest.approx(200 * 6 + np.pi * 9, rel=0.02)
    assert polygon[:, 1].min() == pytest.approx(47, abs=0.1)


def test_outlines_stay_within_the_photograph() -> None:
    (polygon,) = outlines(record(6), SIZE)  # along the lower edge
    assert polygon[:, 1].max() <= SIZE[1]


def test_coco_has_images_annotations_and_categories() -> None:
    found = coco(DRAWN)
    assert [image["file_name"] for image in found["images"]] == ["north/a.jpg", "b.jpg"]
    assert {category["name"] for category in found["categories"]} == {"crack", "> 0.4 mm"}
    first, second = found["annotations"]
    assert first["bbox"] == pytest.approx([17, 47, 206, 6], abs=0.2)
    assert first["area"] == pytest.approx(1228, rel=0.02)
    assert second["image_id"] == 1
    known = {category["id"] for category in found["categories"]}
    assert all(annotation["category_id"] in known for annotation in found["annotations"])
    assert all(len(ring) % 2 == 0 and len(ring) >= 6 for each in found["annotations"] for ring in each["segmentation"])


def test_label_studio_has_percent_of_the_photograph() -> None:
    first, second = label_studio(DRAWN, version="1")
    assert (first["data"]["image"], second["predictions"][0]["result"]) == ("north/a.jpg", [])
    points = np.array(first["predictions"][0]["result"][0]["value"]["points"])
    assert points.min() >= 0
    assert points.max() <= 100
    assert points[:, 0].max() == pytest.approx(223 / 4, abs=0.1)


def test_without_cracks_formats_are_still_whole() -> None:
    found = coco([Drawn("b.jpg", SIZE, [])])
    assert (found["annotations"], [category["name"] for category in found["categories"]]) == ([], ["crack"])


@pytest.mark.skipif(find_spec("ezdxf") is None, reason="needs the extra reports")
@pytest.mark.parametrize("mm_per_px", [None, 0.1])
def test_a_drawing_has_a_layer_for_each_class_and_true_size(mm_per_px: float | None) -> None:
    import ezdxf

    records = [record(1), record(2, name="")]
    if mm_per_px is None:
        records = [replace(each, lines_mm=None) for each in records]
    content = drawings.drawing(records, {"> 0.4 mm": "#e03131"}, height_px=300, mm_per_px=mm_per_px)
    document = ezdxf.read(io.StringIO(content.decode()))
    lines = list(document.modelspace().query("LWPOLYLINE"))
    assert {line.dxf.layer for line in lines} == {"crack above 0.4 mm", "crack width not known"}
    assert document.layers.get("crack above 0.4 mm").rgb == (0xE0, 0x31, 0x31)
    assert [text.dxf.text for text in document.modelspace().query("TEXT")] == ["1", "2"]
    first = np.array(lines[0].get_points("xy"))
    length = 200 if mm_per_px is None else 20
    assert np.ptp(first[:, 0]) == pytest.approx(length)
    assert first[0, 1] == pytest.approx(250 if mm_per_px is None else 25)  # upwards from the lower left
    assert document.units == (0 if mm_per_px is None else 4)


@pytest.mark.skipif(find_spec("docx") is None, reason="needs the extra reports")
def test_a_word_report_has_table_pictures_and_limits(tmp_path: Path) -> None:
    import docx

    Image.new("RGB", (300, 200)).save(tmp_path / "overlay.png")
    (tmp_path / "close_ups").mkdir()
    Image.new("RGB", (72, 100)).save(tmp_path / "close_ups/1.png")
    row = CrackRow(
        "a.jpg",
        1,
        "20 mm",
        20,
        "0.60 ± 0.10 mm",
        0.6,
        "0.90 mm",
        0.9,
        "> 0.4 mm",
        "#e03131",
        touches_edge=True,
        place=(0.5, 0.5),
        close_up="close_ups/1.png",
    )
    section = CracksSection([row], 1, {"> 0.4 mm": "#e03131"}, "ec2", [row], [Bar("0 to 1", 1, 1.0)], "mm", 0, ["key"])
    shown = [Pictured("a.jpg", tmp_path / "overlay.png", "cracked")]
    content = word_report(tmp_path, "1 photographs", {"source": "x"}, section, shown)
    document = docx.Document(io.BytesIO(content))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "a width is no depth" in text
    assert [cell.text for cell in document.tables[0].rows[1].cells][:3] == ["a.jpg", "1", "20 mm"]
    assert len(document.inline_shapes) == 2


@pytest.mark.parametrize(("library", "name"), [(drawings, "dxf"), (word, "word")])
def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, library: Any, name: str) -> None:
    def missing(module: str) -> Any:
        raise ImportError(module)

    monkeypatch.setattr(library, "import_module", missing)
    with pytest.raises(ValueError, match=rf'formats={name} needs .*pip install -e "\.\[reports\]"'):
        check_formats([name], measured=True)


def test_formats_need_a_crack_map() -> None:
    with pytest.raises(ValueError, match="formats=coco needs a crack map"):
        check_formats(["coco"], measured=False)


def test_what_is_written_is_json() -> None:
    assert json.loads(json.dumps(coco(DRAWN)))["images"][0]["width"] == 400
