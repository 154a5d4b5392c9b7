"""The cracks that people draw, join, bend and cut: measured along their lines in the photograph."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from crack_lightning.corrections.correction import lines_of
from crack_lightning.corrections.lines import ACCEPTED, DRAWN, REJECTED, UNSEEN, JudgedCrack
from crack_lightning.corrections.nearness import REACH_PX, lines_near, near
from crack_lightning.errors import UserError
from crack_lightning.measurement.cracks import measure_crack
from crack_lightning.measurement.kept_records import restricted_to
from crack_lightning.measurement.network import Branch, centre_line
from crack_lightning.measurement.paths import length_of, passed_once, resampled, smoothed
from crack_lightning.measurement.record import CrackRecord, measured_again, pixel_records
from crack_lightning.project.marks import book_of, in_pixels
from crack_lightning.project.project import Project
from crack_lightning.project.requested import Facts, clipped_lines, shown, wanted
from crack_lightning.project.shown_cracks import longer_side

Array = np.ndarray

MIN_STROKE_PX = 12.0  # shorter strokes are refused
STROKE_BAND_PX = 6.0  # a drawn crack is looked for within this distance of its stroke
STROKE_STEP_PX, STROKE_SIGMA = 4.0, 2.0  # a stroke gets a point every 4 pixels, and is smoothed over 2 points
OVERLAP_PX = 3.0  # what is drawn along a crack that it continues, within this distance of it, does not count twice
MAX_GAP_SHARE = 0.25  # of the photograph's longer side: cracks farther apart are not joined
AT_AN_END = "the cut is at an end of the crack: cut it where it runs on to both sides"
JOIN_PX = 16.0  # what is drawn from an end of a crack, within this distance of it, belongs to that crack


def draw_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    """Returns the crack beneath the stroke of a request, joined with the cracks at whose ends the stroke ends."""
    (stroke,) = (np.array(line, float) for line in clipped_lines(project, key, facts, "stroke"))
    if length_of(stroke) < MIN_STROKE_PX:
        raise UserError(f"a stroke of {length_of(stroke):.0f} pixels is too short: draw along the crack")
    grey = project.grey_of(key)
    ends = [crack for crack in shown(project, key, facts) if _ends_meet(crack, stroke)]
    record = measured_along(passed_once(stroke, STROKE_BAND_PX, STROKE_STEP_PX), grey)
    if not ends:
        return [_crack("draw", record, book_of(project, key).next_free())]
    known = [line for crack in ends for line in crack.record.lines]
    beside = near(np.concatenate(list(record.lines)), lines_near(known), OVERLAP_PX)
    new = restricted_to(record, ~beside)
    joined = _joined([*([] if new is None else [new]), *(crack.record for crack in ends)], grey)
    return [_replacing("draw", joined, ends)]


def _ends_meet(crack: JudgedCrack, stroke: Array) -> bool:
    """Returns whether an end of a stroke is an end of an accepted or drawn crack."""
    if crack.status not in (ACCEPTED, DRAWN):
        return False
    ends = np.array([line[at] for line in crack.record.lines for at in (0, -1)])
    return any(float(np.hypot(*(ends - stroke[at]).T).min()) <= JOIN_PX for at in (0, -1))


def _crack(kind: str, record: CrackRecord, number: int) -> dict[str, Any]:
    feature = in_pixels(replace(record, number=number)).feature()
    return {"kind": kind, "lines": [line.tolist() for line in record.lines], "feature": feature, "crack": number}


def _replacing(kind: str, record: CrackRecord, cracks: Sequence[JudgedCrack]) -> dict[str, Any]:
    """Returns a crack that takes the place of others, and has the number of the first of them."""
    numbers = sorted(crack.record.number for crack in cracks)
    return _crack(kind, record, numbers[0]) | {"replaces": numbers}


def _kind_of(cracks: Sequence[JudgedCrack]) -> str:
    """Returns the kind of correction that leaves cracks as judged as they are. Raises UserError for rejected ones."""
    for crack in cracks:
        if crack.status == REJECTED:
            raise UserError(f"crack {crack.record.number} is rejected: accept it first, or undo that")
    statuses = {crack.status for crack in cracks}
    return "draw" if DRAWN in statuses else "mark" if statuses == {UNSEEN} else "accept"


def join_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    cracks = wanted(project, key, facts)
    if len(cracks) < 2:
        raise UserError("join needs two cracks or more: select them with Shift and a click")
    kind = _kind_of(cracks)
    _check_near(cracks, MAX_GAP_SHARE * longer_side(project, key))
    joined = _joined([crack.record for crack in cracks], project.grey_of(key))
    probabilities = [crack.record.probability for crack in cracks if crack.record.probability is not None]
    return [_replacing(kind, replace(joined, probability=max(probabilities, default=None)), cracks)]


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


def reshape_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    """Returns a crack with the lines of a request; one that nobody judged counts as drawn then."""
    (crack,) = wanted(project, key, facts)[:1]
    lines = [np.array(line, float) for line in clipped_lines(project, key, facts, "lines")]
    if sum(map(length_of, lines)) < MIN_STROKE_PX:
        raise UserError("the crack would be too short: reject it instead")
    kind = "draw" if crack.status == UNSEEN else _kind_of([crack])
    return [_replacing(kind, measured_along(lines, project.grey_of(key)), [crack])]


def cut_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    """Returns the two parts of a crack that is cut; the longer one keeps its number."""
    (crack,) = wanted(project, key, facts)[:1]
    kind = _kind_of([crack])
    (point,) = lines_of("cut", [[facts.get("at")]])
    lines = list(crack.record.lines)
    distances = [np.hypot(*(line - point[0]).T) for line in lines]
    nearest_px = min(float(distance.min()) for distance in distances)
    places = [(float(away.min()), number, int(away.argmin())) for number, away in enumerate(distances)]
    inner = [place for place in places if 1 < place[2] < len(lines[place[1]]) - 2]  # other lines may end there
    if not inner or min(inner)[0] > nearest_px + REACH_PX:
        raise UserError(AT_AN_END)
    _, cut, index = min(inner)
    halves = np.arange(len(lines[cut])) <= index
    parts = [_part(crack.record, cut, keep) for keep in (halves, ~halves)]
    first, second = sorted(parts, key=lambda part: -part.length_px)
    if second.length_px < MIN_STROKE_PX:
        raise UserError(AT_AN_END)
    return [_replacing(kind, first, [crack]), _crack(kind, second, book_of(project, key).next_free())]


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
        raise UserError(AT_AN_END)
    return part


def measured_along(strokes: Sequence[Array], grey: Array) -> CrackRecord:
    """Returns the crack beneath `strokes` (n, 2) in the grey levels (h, w) of a photograph, measured in pixels."""
    branches = []
    for stroke in strokes:
        points = smoothed(resampled(stroke, STROKE_STEP_PX), STROKE_SIGMA)
        branches.append(Branch(points, 1, STROKE_BAND_PX, np.ones(len(points))))
    parts = [(centre_line(grey, branch), branch) for branch in branches]
    (record,) = pixel_records([measure_crack(parts, grey)])
    return record


def _joined(records: Sequence[CrackRecord], grey: Array) -> CrackRecord:
    (record,) = pixel_records([measured_again(records, grey)])
    return record
