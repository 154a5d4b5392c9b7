"""Takes the corrections that people make in the page: checks them, completes them, and writes them into the journal."""

from typing import Any

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import ACCEPTED, REJECTED, UNSEEN, JudgedCrack, cut_by
from crack_lightning.corrections.undoing import made_at_once
from crack_lightning.errors import UserError
from crack_lightning.project.lines_by_hand import cut_values, draw_values, join_values, reshape_values
from crack_lightning.project.marks import in_pixels
from crack_lightning.project.project import REOPEN_HINT, Project
from crack_lightning.project.requested import Facts, clipped_lines, shown, wanted
from crack_lightning.project.rows import REVIEWED, state_of
from crack_lightning.project.shown_cracks import first_view
from crack_lightning.system.ranges import number_of

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
RUBBER_RADII_PX = (2.0, 400.0)  # smallest and largest


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
        return [{"lines": clipped_lines(project, key, facts, "lines"), **reason}]
    status = {"accept": ACCEPTED, "reject": REJECTED}[kind]
    cracks = wanted(project, key, facts)
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


def _erase_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    (stroke,) = (np.array(line, float) for line in clipped_lines(project, key, facts, "stroke"))
    radius_px = number_of(facts.get("radius_px"))
    if not RUBBER_RADII_PX[0] <= radius_px <= RUBBER_RADII_PX[1]:
        low, high = RUBBER_RADII_PX
        raise UserError(f"radius_px={str(facts.get('radius_px'))[:20]}: must be from {low:g} to {high:g}")
    cracks = shown(project, key, facts)
    parts = cut_by([crack.record for crack in cracks if crack.status != REJECTED], stroke, radius_px)
    if not parts:
        raise UserError("there is nothing marked to erase")
    return [{"lines": [line.tolist() for line in parts]}]


def _exclude_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    return [{"lines": clipped_lines(project, key, facts, "lines")}]


def _describe_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    (crack,) = wanted(project, key, facts)[:1]
    return [{"crack": crack.record.number, "label": facts.get("label", ""), "note": facts.get("note", "")}]


def _review_values(project: Project, key: str, facts: Facts) -> list[dict[str, Any]]:
    name, seen = project.photograph(key).name, first_view(project, key, shown(project, key, facts))
    if state_of(project.corrections_of(name), seen) == REVIEWED:
        raise UserError(f"{name} is reviewed already")
    return [{"seen": [crack.record.number for crack in seen if crack.status == UNSEEN]}]


_VALUES = {
    "accept": _judging_values,
    "reject": _judging_values,
    "draw": draw_values,
    "erase": _erase_values,
    "exclude": _exclude_values,
    "join": join_values,
    "reshape": reshape_values,
    "cut": cut_values,
    "describe": _describe_values,
    "review": _review_values,
}
