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

from crack_lightning.errors import UserError
from crack_lightning.measurement.record import CrackRecord, Widths, collection
from crack_lightning.report import drawings
from crack_lightning.report.annotations import Drawn, coco, label_studio, outlines
from crack_lightning.report.cracks_section import Bar, CrackRow, CracksSection
from crack_lightning.report.word import Pictured, word_report
from crack_lightning.runs.inspection.further_formats import check_formats
from crack_lightning.system import libraries

SIZE = (400, 300)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools 2.0.11 with NumPy 2


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


def seen_by_pycocotools(folder: Path, drawn: list[Drawn]) -> Any:
    from pycocotools.coco import COCO

    (folder / "coco.json").write_text(json.dumps(coco(drawn, ["<= 0.4 mm", "> 0.4 mm"], version="1")))
    return COCO(folder / "coco.json")


def test_coco_has_images_annotations_and_categories(tmp_path: Path) -> None:
    found = seen_by_pycocotools(tmp_path, [replace(DRAWN[0], orientation=6), DRAWN[1]])
    assert [(each["file_name"], each["exif_orientation"]) for each in found.imgs.values()] == [
        ("north/a.jpg", 6),
        ("b.jpg", 1),
    ]
    names = {number: each["name"] for number, each in found.cats.items()}
    assert names == {1: "width not known", 2: "<= 0.4 mm", 3: "> 0.4 mm", 4: "joint", 5: "spall", 6: "other"}
    first, second = found.anns.values()
    assert [names[each["category_id"]] for each in (first, second)] == ["> 0.4 mm", "width not known"]
    assert first["bbox"] == pytest.approx([17, 47, 206, 6], abs=0.2)
    assert found.annToMask(first).sum() == pytest.approx(first["area"], rel=0.02) == pytest.approx(1228, rel=0.02)
    assert found.dataset["info"]["version"] == "1"
    assert {each["id"] for each in found.dataset["licenses"]} == {each["license"] for each in found.imgs.values()}


def test_numbers_of_categories_do_not_depend_on_what_occurs(tmp_path: Path) -> None:
    few, none = seen_by_pycocotools(tmp_path, DRAWN), seen_by_pycocotools(tmp_path, DRAWN[1:])
    assert (few.cats, none.anns) == (none.cats, {})


def test_what_people_call_a_joint_is_no_crack_in_any_file(tmp_path: Path) -> None:
    drawn = replace(
        DRAWN[0], records=[replace(record(1), kind="joint", note="filled"), replace(record(2), kind="crack")]
    )
    found = seen_by_pycocotools(tmp_path, [drawn])
    joint, crack = found.anns.values()
    assert [found.cats[each["category_id"]]["supercategory"] for each in (joint, crack)] == ["joint", "crack"]
    assert (joint["attributes"]["kind"], joint["attributes"]["note"]) == ("joint", "filled")
    labels = [
        each["value"]["polygonlabels"] for each in label_studio([drawn], version="1")[0]["predictions"][0]["result"]
    ]
    assert labels == [["joint"], ["crack"]]
    ezdxf = pytest.importorskip("ezdxf")
    content = drawings.drawing(drawn.records, {}, height_px=300, mm_per_px=None).decode()
    lines = ezdxf.read(io.StringIO(content)).modelspace().query("LWPOLYLINE")
    assert {line.dxf.layer for line in lines} == {"joint", "crack above 0.4 mm"}


def closed(radius: float, *, holes: int = 1) -> CrackRecord:
    """A crack around that many fields of sound concrete, as alligator cracking is."""
    turns = np.linspace(0, 2 * np.pi, 100)
    ring = np.column_stack([np.cos(turns), np.sin(turns)]) * radius
    centres = [np.array([60.0 + 2 * radius * k, 150.0]) for k in range(holes)]
    return replace(record(1, width=4.0), lines=[ring + centre for centre in centres])


@pytest.mark.parametrize("holes", [1, 3])
def test_a_crack_around_a_field_does_not_fill_it(tmp_path: Path, holes: int) -> None:
    crack = closed(50, holes=holes)
    wide = holes * 2 * np.pi * 50 * 4
    found = seen_by_pycocotools(tmp_path, [Drawn("a.jpg", SIZE, [crack])])
    assert found.annToMask(found.anns[1]).sum() == pytest.approx(wide, rel=0.05)
    (task,) = label_studio([Drawn("a.jpg", SIZE, [crack])], version="1")
    results = task["predictions"][0]["result"]
    shown = [shapely.Polygon(np.array(each["value"]["points"]) * SIZE / 100) for each in results]
    assert shapely.union_all(shown).area == pytest.approx(wide, rel=0.05)


def test_label_studio_has_percent_of_the_photograph() -> None:
    first, second = label_studio(DRAWN, version="1")
    assert (first["data"]["image"], second["predictions"][0]["result"]) == ("north/a.jpg", [])
    points = np.array(first["predictions"][0]["result"][0]["value"]["points"])
    assert points.min() >= 0
    assert points.max() <= 100
    assert points[:, 0].max() == pytest.approx(223 / 4, abs=0.1)


def test_label_studio_finds_a_photograph_by_its_prefix() -> None:
    prefix = "/data/local-files/?d=site/"
    (task,) = label_studio([Drawn("n/a b&c.jpg", SIZE, [])], version="1", prefix=prefix)
    assert task["data"]["image"] == f"{prefix}n/a%20b%26c.jpg"


@pytest.mark.parametrize("parts", [1, 2])
def test_geojson_is_what_shapely_reads(parts: int) -> None:
    features = collection([record(1, parts=parts)], None)
    (line,) = shapely.get_parts(shapely.from_geojson(json.dumps(features)))
    assert line.is_valid
    assert line.length == pytest.approx(200 + 240 * (parts - 1))


@pytest.mark.skipif(find_spec("ezdxf") is None, reason="needs the extra reports")
@pytest.mark.parametrize("mm_per_px", [None, 0.1])
def test_a_drawing_has_a_layer_for_each_class_and_true_size(mm_per_px: float | None) -> None:
    import ezdxf

    records = [record(1), record(2, name=""), replace(record(3), likely=False)]
    if mm_per_px is None:
        records = [replace(each, lines_mm=None) for each in records]
    content = drawings.drawing(records, {"> 0.4 mm": "#e03131"}, height_px=300, mm_per_px=mm_per_px)
    document = ezdxf.read(io.StringIO(content.decode()))
    assert not document.audit().has_errors
    lines = list(document.modelspace().query("LWPOLYLINE"))
    assert {line.dxf.layer for line in lines} == {"crack above 0.4 mm", "crack width not known"}
    assert document.layers.get("crack above 0.4 mm").rgb == (0xE0, 0x31, 0x31)
    assert [text.dxf.text for text in document.modelspace().query("TEXT")] == ["1", "2"]
    first = np.array(lines[0].get_points("xy"))
    length = 200 if mm_per_px is None else 20
    assert np.ptp(first[:, 0]) == pytest.approx(length)
    assert first[0, 1] == pytest.approx(250 if mm_per_px is None else 25)  # upwards from the lower left
    assert document.units == (0 if mm_per_px is None else 4)


def section(run: Path) -> CracksSection:
    """The crack number 1 of a.jpg, with a close-up below the folder `run`."""
    (run / "close_ups").mkdir()
    Image.new("RGB", (72, 100)).save(run / "close_ups/1.png")
    texts = ("a.jpg", 1, "20 mm", 20, "0.60 ± 0.10 mm", 0.6, "0.90 mm", 0.9, "=1+1", "#e03131")
    judged = {"probability": 0.93, "likely": True, "place": (0.5, 0.5), "close_up": "close_ups/1.png"}
    row = CrackRow(*texts, touches_edge=True, **judged)  # type: ignore[arg-type]
    return CracksSection([row], 1, 0, {"=1+1": "#e03131"}, "ec2", [row], [Bar("0 to 1", 1, 1.0)], "mm", 0, ["key"])


@pytest.mark.skipif(find_spec("docx") is None, reason="needs the extra reports")
def test_a_word_report_names_all_and_fits_its_pages(tmp_path: Path) -> None:
    import docx

    pictured = []
    for number, size in enumerate([(300, 200), (200, 600), (2000, 300)] * 4):  # some upright, more than eight
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
        pictured.append(Pictured(f"{number}.jpg", f"{number}.png", "cracked", "1", "20 mm", "cracked"))
    pictured.append(Pictured("@gone.jpg", "", "error", "", "", "it cannot be read"))
    content = word_report(tmp_path, "13 photographs", {"source": "x"}, section(tmp_path), pictured)
    document = docx.Document(io.BytesIO(content))
    assert "a width is not a depth" in "\n".join(paragraph.text for paragraph in document.paragraphs)
    cracks, photographs = document.tables
    assert [cell.text for cell in cracks.rows[1].cells] == [
        *("a.jpg", "1", "20 mm", "0.60 ± 0.10 mm", "0.90 mm", "'=1+1", "touches", "")
    ]
    assert [row.cells[0].text for row in photographs.rows[1:]] == [*(f"{k}.jpg" for k in range(12)), "'@gone.jpg"]
    page = document.sections[0]
    room = page.page_width - page.left_margin - page.right_margin, page.page_height - page.top_margin * 2
    shapes = list(document.inline_shapes)
    assert len(shapes) == 12 + 1
    assert all(shape.width <= room[0] and shape.height <= 0.8 * room[1] for shape in shapes)
    assert sum(bool(each.paragraph_format.page_break_before) for each in document.paragraphs) == 12


MISSING = [
    (ModuleNotFoundError("no module", name="{0}"), r'formats={1} needs .*pip install -e "\.\[reports\]"'),
    (ModuleNotFoundError("No module named 'lxml'", name="lxml"), "{0} is installed and cannot be imported: .*lxml"),
    (ImportError("libGL.so.1: cannot open shared object file"), "{0} is installed and cannot be .*libGL.so.1"),
]


@pytest.mark.parametrize(("module", "name"), [("ezdxf", "dxf"), ("docx", "word")])
@pytest.mark.parametrize(("reason", "words"), MISSING)
def test_a_library_is_missing_or_named_with_its_own_reason(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, reason: ImportError, words: str
) -> None:
    def refused(_: str) -> Any:
        raise type(reason)(*reason.args, name=reason.name and reason.name.format(module))

    monkeypatch.setattr(libraries, "import_module", refused)
    with pytest.raises(UserError, match=words.format(module, name)):
        check_formats([name], measured=True)


def test_formats_need_a_crack_map() -> None:
    with pytest.raises(ValueError, match="formats=coco needs a crack map"):
        check_formats(["coco"], measured=False)
