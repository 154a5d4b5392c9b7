"""A person's correction of a photograph's cracks: an entry of the journal, which is checked before it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np

from crack_lightning.corrections.nearness import PointTree, box_of, lines_near, name_of, runs_along
from crack_lightning.errors import UserError
from crack_lightning.measurement.kept_records import checked_lines, record_from
from crack_lightning.measurement.record import KINDS, CrackRecord
from crack_lightning.system.ranges import number_of

Array = np.ndarray

# Accept or reject a marked crack, draw a crack, join or cut marks that nobody judged (mark), erase parts of cracks,
# exclude an area that is not surface, set a scale, describe a crack, call a photograph reviewed; undo a correction, or
# redo one that was undone.
CORRECTION_KINDS = (
    "accept",
    "reject",
    "draw",
    "mark",
    "erase",
    "exclude",
    "scale",
    "describe",
    "review",
    "undo",
    "redo",
)
# What a rejected mark is instead of a crack.
REASONS = ("joint", "edge", "writing", "plant", "shadow", "pit", "other")
# Kinds that confirm a crack; kinds that undo or redo an earlier correction; kinds that hold a crack; that need lines.
CONFIRMING_KINDS, UNDO_OR_REDO = ("accept", "draw"), ("undo", "redo")
RECORD_KINDS = (*CONFIRMING_KINDS, "mark")
LINE_KINDS = (*RECORD_KINDS, "reject", "erase", "exclude")
JUDGING_KINDS = (*CONFIRMING_KINDS, "reject")  # kinds that say whether a mark is a crack
MAX_NOTE_LENGTH = 500  # characters
MIN_POINTS = {"exclude": 3, "draw": 2}  # points of each line, by kind; 1 for every other kind
MAX_POINTS, MAX_LINES = 20_000, 2_000  # points of all lines of a correction together; number of its lines
MAX_NAME_LENGTH = 80  # characters of a person's name
MAX_SCALE = 1000.0  # millimetres per pixel
MAX_COUNT = 10**9  # numbers of cracks and corrections are not larger
MAX_OUTLINE_POINTS = 2_000  # points of an outline; few, because all pairs of its sides are checked for crossings
KEYS = (
    "number",
    "time",
    "kind",
    "photograph",
    "by",
    "lines",
    "feature",
    "of",
    "scale",
    "picture",
    "probability",
    "reason",
    "crack",
    "replaces",
    "label",
    "note",
    "batch",
    "seen",
)


@dataclass(frozen=True)
class Correction:
    """A correction by a person.

    `number` counts from 1. `photograph` is the name of the photograph, empty for a scale of all photographs. `by` is
    the name of the person. `lines` are (n, 2) each, x and y in pixels of the upright photograph: the lines of the crack
    for accept, reject, draw and mark; the erased parts for erase; the outline of the area for exclude. `feature` is the
    measurement of a crack that is accepted, drawn, or joined or cut, as in cracks.geojson. `of` is the number of the
    correction that is undone or redone. `scale` is a matrix from pixels to millimetres with its uncertainty and source,
    or empty. `picture` identifies the corrected picture, since another one may get its name later; it is empty if not
    known. `probability` is that which the mark had to be a crack, None if it is not known. `reason` says what a
    rejected mark is. `crack` is the number of the crack in its photograph, which it keeps for life; None in journals of
    earlier versions. `replaces` are the numbers of cracks that this one takes the place of. `label` and `note` describe
    a crack. Corrections that were made at once have the number of the first of them as `batch`; they are undone at
    once. `seen` are the numbers of the marks that a review left as they were.
    """

    number: int
    kind: str
    time: str
    photograph: str = ""
    by: str = ""
    lines: Sequence[Array] = ()
    feature: Mapping[str, Any] | None = None
    of: int | None = None
    scale: Mapping[str, Any] | None = None
    picture: str = ""
    probability: float | None = None
    reason: str = ""
    crack: int | None = None
    replaces: Sequence[int] = ()
    label: str = ""
    note: str = ""
    batch: int | None = None
    seen: Sequence[int] = ()

    @cached_property
    def tree(self) -> PointTree:
        """Returns a search tree of points along the lines, None without lines."""
        return lines_near(self.lines)

    @cached_property
    def points(self) -> Array:
        """Returns the points (n, 2) of all lines."""
        return np.concatenate(list(self.lines)) if self.lines else np.zeros((0, 2))

    @cached_property
    def name(self) -> str:
        """Returns the name of the lines, which is that of the crack that was corrected."""
        return name_of(self.lines)

    @cached_property
    def box(self) -> Array:
        """Returns the box (4,) around the lines, which must be some: left, top, right, bottom."""
        return box_of(self.points)

    @cached_property
    def _shares(self) -> dict[int, bool]:
        return {}

    def runs_along(self, other: "Correction") -> bool:
        """Returns whether most of these lines runs along those of another correction of the photograph."""
        if other.number not in self._shares:
            self._shares[other.number] = runs_along(self.points, other.tree)
        return self._shares[other.number]

    @cached_property
    def record(self) -> CrackRecord | None:
        """Returns the crack of RECORD_KINDS in pixels, None for other kinds."""
        if self.kind not in RECORD_KINDS or self.feature is None:
            return None
        record = replace(record_from(self.feature), likely=True)
        return record if self.crack is None else replace(record, number=self.crack)

    def facts(self) -> dict[str, Any]:
        """Returns plain values from which `correction_of` restores the correction."""
        facts: dict[str, Any] = {"number": self.number, "time": self.time, "kind": self.kind}
        facts |= {"photograph": self.photograph, "by": self.by}
        facts |= {name: value for name in ("picture", "reason", "label", "note") if (value := getattr(self, name))}
        if self.lines:
            facts["lines"] = [np.round(line, 2).tolist() for line in self.lines]
        for name in ("feature", "of", "scale", "probability", "crack", "batch"):
            if (value := getattr(self, name)) is not None:
                facts[name] = value
        lists = {"replaces": list(self.replaces), "seen": list(self.seen)}
        return facts | {name: numbers for name, numbers in lists.items() if numbers}


def correction_of(facts: Mapping[str, object], *, number: int) -> Correction:
    """Returns the correction that plain values describe. Raises UserError if a value is not valid."""
    kind = _kind(facts.get("kind"))
    if unknown := sorted(set(facts) - set(KEYS)):
        raise UserError(f"a correction has no key {unknown[0][:40]!r}; it may have {', '.join(KEYS)}")
    photograph, by = _text(facts, "photograph", 4096), _text(facts, "by", MAX_NAME_LENGTH)
    if kind in (*LINE_KINDS, "describe", "review") and not photograph:
        raise UserError(f"{kind} needs the name of a photograph")
    of, scale, feature = facts.get("of"), facts.get("scale"), facts.get("feature")
    if not isinstance(of, int | None) or (kind in UNDO_OR_REDO) != (type(of) is int):
        raise UserError(
            f"{kind}: of={str(of)[:40]!r}; undo and redo need the number of a correction, other kinds must not have one"
        )
    if not isinstance(feature, dict | None):
        raise UserError("feature is not a GeoJSON feature")
    if feature is not None:
        record_from(feature)
    return Correction(
        number=number,
        kind=kind,
        time=_text(facts, "time", 40) or datetime.now().astimezone().isoformat(timespec="seconds"),
        photograph=photograph,
        by=by,
        lines=lines_of(kind, facts.get("lines")) if kind in LINE_KINDS else (),
        feature=feature,
        of=of,
        scale=checked_scale(scale) if kind == "scale" else None,
        picture=_text(facts, "picture", 64),
        probability=_probability(facts.get("probability")),
        reason=_choice(facts, "reason", REASONS if kind == "reject" else ()),
        crack=_whole(facts, "crack"),
        replaces=_numbers(facts, "replaces"),
        seen=_numbers(facts, "seen"),
        label=_choice(facts, "label", KINDS if kind == "describe" else ()),
        note=_text(facts, "note", MAX_NOTE_LENGTH),
        batch=_whole(facts, "batch"),
    )


def _kind(given: object) -> str:
    if given not in CORRECTION_KINDS:
        near = get_close_matches(str(given), CORRECTION_KINDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"kind={str(given)[:40]!r}: must be one of {', '.join(CORRECTION_KINDS)}{hint}")
    return str(given)


def _probability(value: object) -> float | None:
    if value is None:
        return None
    probability = number_of(value)
    if not 0 <= probability <= 1:
        raise UserError(f"probability={str(value)[:20]}: must be from 0 to 1")
    return probability


def _choice(facts: Mapping[str, object], name: str, choices: Sequence[str]) -> str:
    text = _text(facts, name, 40)
    if text and text not in choices:
        kind, known = facts.get("kind"), ", ".join(choices)
        raise UserError(f"{name}={text!r}: must be one of {known}" if choices else f"{kind} must not have a {name}")
    return text


def _whole(facts: Mapping[str, object], name: str) -> int | None:
    value = facts.get(name)
    if value is not None and (type(value) is not int or not 0 < value <= MAX_COUNT):
        raise UserError(f"{name}={str(value)[:20]!r}: must be a whole number from 1 to {MAX_COUNT}")
    return value


def _numbers(facts: Mapping[str, object], name: str) -> tuple[int, ...]:
    given = facts.get(name) or []
    if not isinstance(given, list) or len(given) > MAX_LINES:
        raise UserError(f"{name} must be a list of the numbers of cracks")
    return tuple(number for value in given if (number := _whole({name: value}, name)) is not None)


def _text(facts: Mapping[str, object], name: str, max_length: int) -> str:
    value = facts.get(name) or ""
    if not isinstance(value, str) or len(value) > max_length:
        raise UserError(f"{name} must be a text of at most {max_length} characters")
    return value


def lines_of(kind: str, given: object) -> list[Array]:
    """Returns lines (n, 2) from lists of points (x, y). Raises UserError if they are not valid lines, or too many."""
    min_points = MIN_POINTS.get(kind, 1)
    if not isinstance(given, list) or not given or len(given) > MAX_LINES:
        raise UserError(f"{kind} needs lines: from 1 to {MAX_LINES}, each a list of points (x, y) in pixels")
    try:
        lines = checked_lines(given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{kind}: its lines are not lists of points (x, y) in pixels: {error}") from error
    if sum(map(len, lines)) > MAX_POINTS or any(len(line) < min_points for line in lines):
        raise UserError(f"{kind}: each line needs {min_points} points or more, and all together at most {MAX_POINTS}")
    if kind == "exclude" and sum(map(len, lines)) > MAX_OUTLINE_POINTS:
        raise UserError(f"exclude: its outline has more than {MAX_OUTLINE_POINTS} points: draw it with fewer")
    return lines


def checked_scale(scale: object) -> dict[str, Any]:
    """Returns the scale. Raises UserError unless it is {} or has a matrix (xx, xy, yx, yy), deviation and source."""
    numbers = ("xx", "xy", "yx", "yy", "deviation")
    if scale == {}:
        return {}
    if not isinstance(scale, dict) or set(scale) != {*numbers, "source"} or not isinstance(scale["source"], str):
        raise UserError(f"scale needs {', '.join(numbers)} and source, or {{}} to remove the scale")
    for name in numbers:
        if not abs(number_of(scale[name])) <= MAX_SCALE:
            raise UserError(
                f"scale: {name}={str(scale[name])[:40]} is not a number from -{MAX_SCALE:g} to {MAX_SCALE:g}"
            )
    if abs(scale["xx"] * scale["yy"] - scale["xy"] * scale["yx"]) < 1e-12:
        raise UserError("scale: its matrix is singular")
    return scale
