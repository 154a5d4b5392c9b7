"""Takes the corrections that people make in the page: checks them, completes them, and writes them into the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from crack_lightning.corrections.correction import MAX_LINES, Correction, lines_of
from crack_lightning.corrections.lines import ACCEPTED, DRAWN, REJECTED, UNSEEN, JudgedCrack, cut_by
from crack_lightning.corrections.nearness import lines_near, near
from crack_lightning.corrections.undoing import made_at_once
from crack_lightning.errors import UserError
from crack_lightning.measurement.cracks import measure_crack
from crack_lightning.measurement.kept_records import restricted_to
from crack_lightning.measurement.network import Branch, centre_line
from crack_lightning.measurement.paths import length_of, passed_once, resampled, smoothed
from crack_lightning.measurement.record import CrackRecord, pixel_records
from crack_lightning.project.marks import MIN_THRESHOLD, book_of, in_pixels, inspected_of, shown_threshold
from crack_lightning.project.project import REOPEN_HINT, Project
from crack_lightning.project.rows import REVIEWED, state_of
from crack_lightning.project.shown_cracks import first_view, longer_side, shown_cracks
from crack_lightning.system.ranges import number_of

Array = np.ndarray
Facts = Mapping[str, object]

REQUESTS = (
    "accept",
    "reject",
    "draw",
    "erase",
    "exclude",
    "join",
    "reshape",
    "cut",
    "describe",
    "review",
    "undo",
    "redo",
)
MIN_STROKE_PX = 12.0  # shorter strokes are refused
STROKE_BAND_PX = 6.0  # a drawn crack is looked for within this distance of its stroke
STROKE_STEP_PX, STROKE_SIGMA = 4.0, 2.0  # a stroke gets a point every 4 pixels, and is smoothed over 2 points
RUBBER_RADII_PX = (2.0, 400.0)  # smallest and largest
MAX_SIDE_SUMS = 4.0  # greatest length of a stroke or outline, as a multiple of the photograph's width plus height
OVERLAP_PX = 3.0  # what is drawn along a crack that it continues, within this distance of it, does not count twice
MAX_GAP_SHARE = 0.25  # of the photograph's longer side: cracks farther apart are not joined
JOIN_PX = 16.0  # what is drawn from an end of a crack, within this distance of it, belongs to that crack


def correct(project: Project, facts: Facts) -> list[Correction]:
    """Writes what a person corrected into the journal, and returns the corrections once they are on disk.

    Its `kind`, one of REQUESTS, needs further values in `facts`. accept and reject need the name of the `crack` at
    `threshold`, or a list of `cracks`; reject takes `lines` instead where there is no crack. draw and erase need the
    `stroke`, erase also the rubber's `radius_px`. exclude needs the outline as `lines`, join two `cracks` or more,
    reshape a `crack` and its new `lines`, cut a `crack` and the point `at`, describe a `crack`. undo and redo need the
    number `of` a correction. Raises UserError, and writes nothing, for invalid values.
    """
    kind, name = facts.get("kind"), str(facts.get("photograph") or "")
    if kind not in REQUESTS:
        raise UserError(f"kind={str(kind)[:40]!r}: must be one of {', '.join(REQUESTS)}")
    if kind in ("undo", "redo"):
        with project.journal.guard:
            return _turn(project, str(kind), facts)
    key = project.key_of(name)
    if project.is_stale(key):
        raise UserError(f"the file of {name} changed after it was inspected: {REOPEN_HINT}")
    entry = {"photograph": name, "by": facts.get("by", ""), "picture": project.picture_of(name)}
    with project.journal.guard:  # otherwise two windows could write the same correction
        values = _VALUES[str(kind)](project, key, facts)
        return project.journal.append_all([{**entry, "kind": kind, **value} for value in values])


def _turn(project: Project, kind: str, facts: Facts) -> list[Correction]:
    """Undoes or redoes a correction with all that were made at once with it."""
    of, corrections = facts.get("of"), project.journal.corrections
    if type(of) is not int or of not in {correction.number for correction in corrections}:
        raise UserError(f"{kind}: there is no correction {str(of)[:20]} to {kind}")
    in_force = {correction.number for correction in project.journal.active}
    numbers = [correction.number for correction in made_at_once(corrections, of)]
    turned = [number for number in numbers if (number in in_force) == (kind == "undo")]
    entries = [{"kind": kind, "of": number, "by": facts.get("by", "")} for number in turned or [of]]
    return project.journal.append_all(entries)


def _judging_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    kind = str(facts["kind"])
    reason = {"reason": facts["reason"]} if facts.get("reason") else {}
    if kind == "reject" and "lines" in facts:
        return [{"lines": _clipped_lines(project, key, facts, "lines"), **reason}]
    status = {"accept": ACCEPTED, "reject": REJECTED}[kind]
    cracks = _wanted(project, key, facts)
    others = [crack for crack in cracks if crack.status != status or (reason and crack.reason != reason["reason"])]
    if not others:
        raise UserError(f"{'that crack is' if len(cracks) == 1 else 'all of these are'} {status} already")
    return [_of_crack(crack, kind) | reason for crack in others]


def _of_crack(crack: JudgedCrack, kind: str) -> dict[str, Any]:
    record = crack.record
    values: dict[str, Any] = {"lines": [line.tolist() for line in record.lines], "crack": record.number}
    if kind == "accept":
        values["feature"] = in_pixels(record).feature()
    return values | ({} if record.probability is None else {"probability": record.probability})


def _wanted(project: Project, key: str, facts: Facts) -> list[JudgedCrack]:
    """Returns the cracks with the requested `JudgedCrack.name`."""
    names = facts.get("cracks", [facts.get("crack")])
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not isinstance(names, list) or not valid or not 0 < len(names) <= MAX_LINES:
        raise UserError(f"crack must be the name of a crack, cracks a list of 1 to {MAX_LINES}")
    by_name = {crack.name: crack for crack in _shown(project, key, facts)}
    if any(name not in by_name for name in names):
        raise UserError("that crack is not there any more: it was changed in another window, or by another threshold")
    return [by_name[name] for name in dict.fromkeys(names)]


def _shown(project: Project, key: str, facts: Facts) -> list[JudgedCrack]:
    """Returns the cracks that the window of a request shows, which are measured already."""
    return shown_cracks(project, key, shown_threshold(project, key, threshold_in(project, facts)))


def threshold_in(project: Project, facts: Facts) -> float:
    """Returns the threshold of a request, that of the project if it gives none. Raises UserError if it is not valid."""
    value = facts.get("threshold")
    if value is None:
        return project.settings.threshold
    threshold = number_of(value)
    if not MIN_THRESHOLD <= threshold <= 1 - MIN_THRESHOLD:
        raise UserError(f"threshold={str(value)[:20]}: must be from {MIN_THRESHOLD:g} to {1 - MIN_THRESHOLD:g}")
    return threshold


def _draw_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    """Returns the crack beneath the stroke of a request, joined with the cracks at whose ends the stroke ends."""
    (stroke,) = (np.array(line, float) for line in _clipped_lines(project, key, facts, "stroke"))
    if length_of(stroke) < MIN_STROKE_PX:
        raise UserError(f"a stroke of {length_of(stroke):.0f} pixels is too short: draw along the crack")
    grey = project.grey_of(key)
    ends = [crack for crack in _shown(project, key, facts) if _ends_meet(crack, stroke)]
    record = measured_along(passed_once(stroke, STROKE_BAND_PX, STROKE_STEP_PX), grey)
    if not ends:
        return [_drawn(record, book_of(project, key).next_free())]
    known = [line for crack in ends for line in crack.record.lines]
    beside = near(np.concatenate(list(record.lines)), lines_near(known), OVERLAP_PX)
    new = restricted_to(record, ~beside)
    joined = measured_along([*([] if new is None else new.lines), *known], grey, smooth=False)
    return [_replacing(joined, ends)]


def _ends_meet(crack: JudgedCrack, stroke: Array) -> bool:
    """Returns whether an end of a stroke is an end of an accepted or drawn crack."""
    if crack.status not in (ACCEPTED, DRAWN):
        return False
    ends = np.array([line[at] for line in crack.record.lines for at in (0, -1)])
    return any(float(np.hypot(*(ends - stroke[at]).T).min()) <= JOIN_PX for at in (0, -1))


def _drawn(record: CrackRecord, number: int) -> dict[str, Any]:
    feature = in_pixels(replace(record, number=number)).feature()
    return {"kind": "draw", "lines": [line.tolist() for line in record.lines], "feature": feature, "crack": number}


def _replacing(record: CrackRecord, cracks: Sequence[JudgedCrack]) -> dict[str, Any]:
    """Returns a drawn crack that takes the place of others, and has the number of the first of them."""
    numbers = sorted(crack.record.number for crack in cracks)
    return _drawn(record, numbers[0]) | {"replaces": numbers}


def _join_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    cracks = _wanted(project, key, facts)
    if len(cracks) < 2:
        raise UserError("join needs two cracks or more: select them with Shift and a click")
    _check_near(cracks, MAX_GAP_SHARE * longer_side(project, key))
    lines = [line for crack in cracks for line in crack.record.lines]
    return [_replacing(measured_along(lines, project.grey_of(key), smooth=False), cracks)]


def _check_near(cracks: Sequence[JudgedCrack], most_px: float) -> None:
    """Raises UserError where one of the cracks lies farther than `most_px` from all that are joined so far."""
    joined, rest = [cracks[0]], list(cracks[1:])
    while rest:
        tree = cKDTree(np.concatenate([line for crack in joined for line in crack.record.lines]))
        distances = [float(tree.query(np.concatenate(list(crack.record.lines)))[0].min()) for crack in rest]
        nearest = int(np.argmin(distances))
        if distances[nearest] > most_px:
            raise UserError(
                f"crack {rest[nearest].record.number} lies {distances[nearest]:.0f} pixels from the others: draw what "
                "joins them, where the photograph shows it"
            )
        joined.append(rest.pop(nearest))


def _reshape_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    (crack,) = _wanted(project, key, facts)[:1]
    lines = [np.array(line, float) for line in _clipped_lines(project, key, facts, "lines")]
    if sum(map(length_of, lines)) < MIN_STROKE_PX:
        raise UserError("the crack would be too short: reject it instead")
    return [_replacing(measured_along(lines, project.grey_of(key)), [crack])]


def _cut_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    """Returns the two parts of a crack that is cut; the longer one keeps its number."""
    (crack,) = _wanted(project, key, facts)[:1]
    (point,) = lines_of("cut", [[facts.get("at")]])
    lines = list(crack.record.lines)
    distances = [np.hypot(*(line - point[0]).T) for line in lines]
    cut = int(np.argmin([distance.min() for distance in distances]))
    index = int(distances[cut].argmin())
    if not 1 < index < len(lines[cut]) - 2:
        raise UserError("the cut is at an end of the crack: cut it where it runs on to both sides")
    halves = np.arange(len(lines[cut])) <= index
    parts = [_part(crack.record, cut, keep) for keep in (halves, ~halves)]
    first, second = sorted(parts, key=lambda part: -part.length_px)
    return [_replacing(first, [crack]), _drawn(second, book_of(project, key).next_free())]


def _part(record: CrackRecord, cut: int, keep: Array) -> CrackRecord:
    """Returns the part of a crack with the points `keep` of line `cut`, and the other lines that lie nearer to it."""
    line, kept = record.lines[cut], list[Array]()
    for index, other in enumerate(record.lines):
        if index == cut:
            kept.append(keep)
            continue
        away = [
            float(np.hypot(*(line[side][:, None] - other[None]).transpose(2, 0, 1)).min()) for side in (keep, ~keep)
        ]
        mine = away[0] < away[1] or (away[0] == away[1] and bool(keep[0]))
        kept.append(np.full(len(other), mine))
    part = restricted_to(record, np.concatenate(kept))
    if part is None:
        raise UserError("the cut is at an end of the crack: cut it where it runs on to both sides")
    return part


def measured_along(strokes: Sequence[Array], grey: Array, *, smooth: bool = True) -> CrackRecord:
    """Returns the crack beneath `strokes` (n, 2) in the grey levels (h, w) of a photograph, measured in pixels."""
    branches = []
    for stroke in strokes:
        points = smoothed(resampled(stroke, STROKE_STEP_PX), STROKE_SIGMA) if smooth else stroke
        branches.append(Branch(points, 1, STROKE_BAND_PX, np.ones(len(points))))
    parts = [(centre_line(grey, branch), branch) for branch in branches]
    (record,) = pixel_records([measure_crack(parts, grey)])
    return record


def _erase_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    (stroke,) = (np.array(line, float) for line in _clipped_lines(project, key, facts, "stroke"))
    radius_px = number_of(facts.get("radius_px"))
    if not RUBBER_RADII_PX[0] <= radius_px <= RUBBER_RADII_PX[1]:
        low, high = RUBBER_RADII_PX
        raise UserError(f"radius_px={str(facts.get('radius_px'))[:20]}: must be from {low:g} to {high:g}")
    cracks = _shown(project, key, facts)
    parts = cut_by([crack.record for crack in cracks if crack.status != REJECTED], stroke, radius_px)
    if not parts:
        raise UserError("there is nothing marked to erase")
    return [{"lines": [line.tolist() for line in parts]}]


def _exclude_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    return [{"lines": _clipped_lines(project, key, facts, "lines")}]


def _describe_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    (crack,) = _wanted(project, key, facts)[:1]
    return [{"crack": crack.record.number, "label": facts.get("label", ""), "note": facts.get("note", "")}]


def _review_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    name, shown = project.photograph(key).name, first_view(project, key, _shown(project, key, facts))
    if state_of(project.corrections_of(name), shown) == REVIEWED:
        raise UserError(f"{name} is reviewed already")
    return [{"seen": [crack.record.number for crack in shown if crack.status == UNSEEN]}]


_VALUES = {
    "accept": _judging_values,
    "reject": _judging_values,
    "draw": _draw_values,
    "erase": _erase_values,
    "exclude": _exclude_values,
    "join": _join_values,
    "reshape": _reshape_values,
    "cut": _cut_values,
    "describe": _describe_values,
    "review": _review_values,
}


def _clipped_lines(project: Project, key: str, facts: Facts, name: str) -> list[Any]:
    """Returns the lines that a request gives under `name`, clipped to the photograph.

    Raises UserError where they are far outside the photograph, or too long.
    """
    inspected, value = inspected_of(project, key), facts.get(name)
    kind = "draw" if facts.get("kind") == "reshape" else str(facts.get("kind"))
    lines = lines_of(kind, [value] if name == "stroke" else value)
    high = np.array([inspected.width_px, inspected.height_px], float)
    if any((line < -high).any() or (line > 2 * high).any() for line in lines):
        raise UserError(f"{name} is outside the photograph's {inspected.width_px} x {inspected.height_px} pixels")
    if sum(map(length_of, lines)) > MAX_SIDE_SUMS * high.sum():
        raise UserError(
            f"{name} is longer than {MAX_SIDE_SUMS:g} times the photograph's width + height: draw one crack at a time"
        )
    return [line.clip(0, high).tolist() for line in lines]
