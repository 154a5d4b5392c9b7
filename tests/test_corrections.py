"""What people say of cracks: kept in a journal, applied to lines, taken back, and turned into labels."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.journal import Journal
from crack_lightning.corrections.lines import (
    cut_by,
    excluded_areas,
    judged_cracks,
    rejections,
    standing_judgements,
    surface_share,
)
from crack_lightning.corrections.undoing import active, to_redo, to_undo
from crack_lightning.errors import UserError
from crack_lightning.measurement.kept_records import record_from, restricted_to, whole_record
from crack_lightning.measurement.record import CrackRecord, Widths

NAME = "wall.jpg"


def line(y: float, start: float = 0, end: float = 200) -> np.ndarray:
    x = np.arange(start, end + 1, 2.0)
    return np.column_stack([x, np.full(len(x), y)])


def record(*lines: np.ndarray, number: int = 1) -> CrackRecord:
    points = sum(map(len, lines))
    length = sum(float(np.hypot(*np.diff(part, axis=0).T).sum()) for part in lines)
    widths, along = Widths(4.0, 5.0, 6.0, 0.3), np.linspace(2.0, 6.0, points)
    return CrackRecord(number, lines, length, widths, (0.0, 0.0), 0.9, 0.6, touches_edge=False, along_px=along)


def said(number: int, kind: str, *lines: np.ndarray, of: int | None = None, photograph: str = NAME) -> Correction:
    feature = record(*lines).feature() if kind in ("accept", "draw") else None
    named = "" if kind in ("undo", "redo") else photograph
    return Correction(number, kind, "now", named, lines=lines, of=of, feature=feature)


def states(records: list[CrackRecord], *corrections: Correction) -> list[tuple[str, float]]:
    found = judged_cracks(records, active(corrections))
    numbers = [one.record.number for one in found]
    assert numbers == sorted(set(numbers))
    return sorted(((one.status, round(one.record.length_px)) for one in found), key=lambda pair: (-pair[1], pair[0]))


def test_a_kept_record_is_read_as_it_was() -> None:
    one = record(line(10), line(50, 0, 80))
    again = record_from(json.loads(json.dumps(one.feature())))
    assert again.facts() == one.facts()
    in_mm = replace(
        one, length_mm=3.0, width_mm=Widths(0.3, 0.4, 0.5, 0.1), width_class="c", lines_mm=one.lines, status="drawn"
    )
    assert whole_record(json.loads(json.dumps(in_mm.feature()))).facts() == in_mm.facts()
    assert np.allclose(again.along_px, one.along_px, atol=0.01)  # type: ignore[arg-type]
    below = json.loads(json.dumps(one.feature()))
    below["properties"]["widths_px"][0][0] = -0.05  # as earlier versions wrote where a line is no darker than beside it
    assert record_from(below).along_px[0] == 0  # type: ignore[index]
    with pytest.raises(UserError, match=r"not a crack record as in cracks\.geojson"):
        record_from({"properties": {}, "geometry": {}})


def test_parts_of_a_crack_have_their_own_length_and_widths() -> None:
    one = record(line(10))
    kept = np.ones(101, bool)
    kept[40:60] = False
    left = restricted_to(one, kept)
    assert left is not None
    assert [len(part) for part in left.lines] == [40, 41]
    assert left.length_px == pytest.approx(78 + 80)
    assert left.width_px.maximum == 6.0
    assert restricted_to(one, ~np.ones(101, bool)) is None
    assert restricted_to(one, np.ones(101, bool)) is one


def test_the_later_of_two_corrections_counts() -> None:
    crack = [record(line(10))]
    assert states(crack) == [("unseen", 200)]
    assert states(crack, said(1, "reject", line(10))) == [("rejected", 200)]
    assert states(crack, said(1, "reject", line(10)), said(2, "accept", line(10))) == [("accepted", 200)]
    assert states(crack, said(1, "accept", line(10)), said(2, "reject", line(12))) == [("rejected", 200)]


def test_what_was_accepted_stays_when_the_map_changes() -> None:
    accepted = said(1, "accept", line(10))
    assert states([], accepted) == [("accepted", 200)]
    longer = [record(line(13, 0, 300))]
    assert states(longer, accepted) == [("accepted", 200), ("unseen", 92)]
    assert states([record(line(10)), record(line(90, 0, 300))], said(1, "reject", line(90, 0, 300))) == [
        ("rejected", 300),
        ("unseen", 200),
    ]  # numbers do not move with what is said
    assert states([record(line(13, 0, 225))], accepted) == [("accepted", 200)]  # a rest of 17 px is none


def test_what_somebody_called_a_crack_is_likely() -> None:
    reject = said(1, "reject", line(10))
    unlikely = replace(record(line(10)), probability=0.1, likely=False)
    accepted = replace(said(1, "accept", line(10)), feature=unlikely.feature())
    (crack,) = judged_cracks([unlikely], [accepted])
    assert (crack.status, crack.record.likely) == ("accepted", True)
    (crack,) = judged_cracks([unlikely], [reject])
    assert (crack.status, crack.record.likely) == ("rejected", False)


def test_a_judgement_stands_until_a_later_one_contradicts_it() -> None:
    accept, reject, draw = said(1, "accept", line(10)), said(2, "reject", line(11)), said(3, "draw", line(90))
    assert standing_judgements([accept, reject, draw]) == [reject, draw]
    assert standing_judgements([accept, said(2, "accept", line(11)), said(3, "erase", line(10))])[0] == accept
    assert standing_judgements([reject, said(3, "accept", line(10))])[0].kind == "accept"


def test_rejections_are_counted_as_decisions() -> None:
    pieces = [record(line(10, 0, 90)), record(line(10, 110, 200))]
    reject = said(1, "reject", line(10))
    assert [status for status, _ in states(pieces, reject)] == ["rejected", "rejected"]
    assert (rejections([reject]), rejections([reject, said(2, "accept", line(10))])) == (1, 0)
    assert rejections([said(1, "accept", line(10)), said(2, "reject", line(10)), said(3, "reject", line(90))]) == 2
    assert rejections([reject, said(2, "reject", line(11))]) == 1, "rejected again, for another reason"


def test_a_drawn_crack_takes_the_place_of_what_the_map_marks_there() -> None:
    drawn = said(1, "draw", line(40))
    assert states([record(line(10)), record(line(42))], drawn) == [("drawn", 200), ("unseen", 200)]
    assert states([], drawn, said(2, "reject", line(40))) == [("rejected", 200)]
    assert states([], drawn, said(2, "draw", line(41))) == [("drawn", 200)]
    assert states([], drawn, said(2, "draw", line(41, 0, 80))) == [("drawn", 112), ("drawn", 80)]  # none counts twice
    across = np.column_stack([np.full(101, 100.0), np.arange(101.0)])
    assert states([record(line(42))], said(1, "draw", across)) == [("unseen", 200), ("drawn", 100)]  # it only crosses


def test_rubbing_out_cuts_what_was_there_before() -> None:
    gone = said(2, "erase", line(10, 80, 120))
    assert states([record(line(10))], gone) == [("unseen", 144)]
    assert states([], said(1, "draw", line(10)), gone) == [("drawn", 144)]
    assert states([], gone, said(3, "draw", line(10))) == [("drawn", 200)]
    assert cut_by([record(line(10)), record(line(90))], line(12, 50, 60), 5.0)[0][:, 0].max() <= 66
    assert cut_by([record(line(90))], line(12), 5.0) == []


def test_what_is_no_surface_holds_no_crack() -> None:
    area = np.array([[99.0, -10], [400, -10], [400, 400], [99, 400]])
    out = said(1, "exclude", area)
    assert states([record(line(10))], out) == [("unseen", 98)]
    assert states([], said(2, "draw", line(10)), out) == [("drawn", 98)]
    assert surface_share(excluded_areas([out]), (198, 100)) == pytest.approx(0.5)
    crossed = np.array([[0.0, 0], [100, 100], [100, 0], [0, 100]])  # a bow tie
    assert surface_share(excluded_areas([said(1, "exclude", crossed)]), (100, 100)) == pytest.approx(0.5)


def test_undo_and_redo_are_corrections_too() -> None:
    one, two = said(1, "reject", line(10)), said(2, "reject", line(50))
    assert [each.number for each in active([one, two])] == [1, 2]
    assert (to_undo(active([one, two]), NAME, [NAME]), to_redo([one, two], NAME, [NAME])) == (2, None)
    back = [one, two, said(3, "undo", of=2)]
    assert [each.number for each in active(back)] == [1]
    assert (to_undo(active(back), NAME, [NAME]), to_redo(back, NAME, [NAME])) == (1, 2)
    again = [*back, said(4, "redo", of=2)]
    assert ([each.number for each in active(again)], to_redo(again, NAME, [NAME])) == ([1, 2], None)
    assert to_redo([*back, said(4, "reject", line(90))], NAME, [NAME]) is None  # something new was said
    assert to_undo([], NAME, [NAME]) is None


def test_a_short_way_round_a_confirmed_crack_is_that_crack() -> None:
    x = np.arange(0.0, 201.0, 2)
    bow = np.column_stack([x, 10 + 20 * np.sin(np.pi * x / 200)])  # 20 px beside it in the middle
    crack = said(1, "accept", line(10, end=200))
    assert states([record(bow)], crack) == [("accepted", 200)]
    far = np.column_stack([x, 10 + 60 * np.sin(np.pi * x / 200)])
    assert sorted(status for status, _ in states([record(far)], crack)) == ["accepted", "unseen"]
    beyond = np.column_stack([x, np.where(x < 100, 10.0, 10 + (x - 100) / 5)])  # it leaves, and does not come back
    assert sorted(status for status, _ in states([record(beyond)], crack)) == ["accepted", "unseen"]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"kind": "acept"}, "did you mean accept"),
        ({"kind": ["accept"]}, "kind="),
        ({"kind": "accept", "photograph": NAME}, "needs lines"),
        ({"kind": "accept", "photograph": NAME, "lines": [[[1, 2, 3]]]}, r"lists of points \(x, y\)"),
        ({"kind": "accept", "photograph": NAME, "lines": [[[1, float("nan")]]]}, "not a number"),
        ({"kind": "accept", "photograph": NAME, "lines": [["ab"]]}, r"lists of points \(x, y\)"),
        ({"kind": "draw", "photograph": NAME, "lines": [[[1, 2]]]}, "2 points"),
        ({"kind": "draw", "photograph": NAME, "lines": [[[1, 2]] * 20_001]}, "20000"),
        ({"kind": "draw", "lines": [[[1, 2], [3, 4]]]}, "name of a photograph"),
        ({"kind": "draw", "photograph": 3, "lines": [[[1, 2], [3, 4]]]}, "photograph must be a text"),
        ({"kind": "exclude", "photograph": NAME, "lines": [[[1, 2]] * 2001]}, "2000 points"),
        ({"kind": "reject", "photograph": NAME, "lines": [[[1, 2]]], "reason": "joints"}, "must be one of joint, edge"),
        ({"kind": "draw", "photograph": NAME, "lines": [[[1, 2], [3, 4]]], "reason": "joint"}, "not have a reason"),
        ({"kind": "reject", "photograph": NAME, "lines": [[[1, 2]]], "probability": 2}, "from 0 to 1"),
        ({"kind": "undo"}, "of="),
        ({"kind": "undo", "of": True}, "of="),
        ({"kind": "accept", "photograph": NAME, "of": 1, "lines": [[[1, 2]]]}, "of="),
        ({"kind": "scale", "scale": {"xx": 1}}, "scale needs"),
        (
            {"kind": "scale", "scale": dict.fromkeys(("xx", "xy", "yx", "yy", "deviation"), 0.0) | {"source": ""}},
            "singular",
        ),
        ({"kind": "accept", "photograph": NAME, "lines": [[[1, 2]]], "colour": 1}, "no key 'colour'"),
        ({"kind": "accept", "photograph": NAME, "by": "x" * 81, "lines": [[[1, 2]]]}, "by must be a text"),
    ],
)
def test_what_is_no_correction_is_refused(facts: dict[str, Any], words: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "corrections.jsonl")
    with pytest.raises(UserError, match=words):
        journal.append(facts)
    assert not (tmp_path / "corrections.jsonl").exists()
