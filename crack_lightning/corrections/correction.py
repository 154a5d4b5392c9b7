"""A person's correction of a photograph's cracks, as a line of the journal holds it, checked when it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.measurement.kept_records import checked_lines, record_from
from crack_lightning.system.ranges import number_of

Array = np.ndarray

# Accept or reject a marked crack, draw one, rub out parts of one, outline what is not surface, set a scale; undo a
# correction, and redo it.
KINDS = ("accept", "reject", "draw", "erase", "exclude", "scale", "undo", "redo")
# Those by which a crack is there; those that undo or redo an earlier correction.
CONFIRMING, TURNING = ("accept", "draw"), ("undo", "redo")
OF_LINES = (*CONFIRMING, "reject", "erase", "exclude")
LEAST_POINTS = {"exclude": 3, "draw": 2}
MOST_POINTS, MOST_LINES, MOST_NAME = 20_000, 2_000, 80
MOST_SCALE = 1000.0  # millimetres per pixel
MOST_OUTLINE = 2_000  # points of an outline: all pairs of its sides are checked for crossings
KEYS = ("number", "time", "kind", "photograph", "by", "lines", "feature", "of", "scale", "picture")


@dataclass(frozen=True)
class Correction:
    """A correction. `number` counts from 1; `photograph` is its name, empty for a scale of all photographs.

    `lines` (n, 2) each, x and y in pixels of the upright photograph: for accept and reject the lines of the crack, for
    draw the crack as it was drawn, for erase the parts that are gone, for exclude the outline of an area. `feature` is
    the measurement of an accepted or drawn crack, as cracks.geojson has it; `of` the number of the correction that is
    undone or redone; `scale` is a matrix from pixels to millimetres, or empty. `picture` identifies the picture that
    was corrected, empty where it is not known: another picture may take its name.
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

    def facts(self) -> dict[str, Any]:
        """Returns plain values, from which `correction_of` makes an equal correction."""
        facts: dict[str, Any] = {"number": self.number, "time": self.time, "kind": self.kind}
        facts |= {"photograph": self.photograph, "by": self.by}
        facts |= {"picture": self.picture} if self.picture else {}
        if self.lines:
            facts["lines"] = [np.round(line, 2).tolist() for line in self.lines]
        for name in ("feature", "of", "scale"):
            if (value := getattr(self, name)) is not None:
                facts[name] = value
        return facts


def correction_of(facts: Mapping[str, object], *, number: int) -> Correction:
    """Returns the checked correction that plain values describe. Raises UserError that names what is wrong."""
    kind = facts.get("kind")
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"kind={str(kind)[:40]!r}: one of {', '.join(KINDS)}{hint}")
    if unknown := sorted(set(facts) - set(KEYS)):
        raise UserError(f"a correction has no {unknown[0][:40]!r}: {', '.join(KEYS)}")
    photograph, by = _text(facts, "photograph", 4096), _text(facts, "by", MOST_NAME)
    if kind in OF_LINES and not photograph:
        raise UserError(f"{kind} needs the name of a photograph")
    of, scale, feature = facts.get("of"), facts.get("scale"), facts.get("feature")
    if not isinstance(of, int | None) or (kind in TURNING) != (type(of) is int):
        raise UserError(f"{kind}: of={str(of)[:40]!r}; undo and redo name the number of a correction, no other does")
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
        lines=lines_of(kind, facts.get("lines")) if kind in OF_LINES else (),
        feature=feature,
        of=of,
        scale=checked_scale(scale) if kind == "scale" else None,
        picture=_text(facts, "picture", 64),
    )


def _text(facts: Mapping[str, object], name: str, most: int) -> str:
    value = facts.get(name) or ""
    if not isinstance(value, str) or len(value) > most:
        raise UserError(f"{name} is not a text of at most {most} characters")
    return value


def lines_of(kind: str, given: object) -> list[Array]:
    """Returns lines (n, 2) from lists of x and y. Raises UserError where they are not lines, or too many."""
    least = LEAST_POINTS.get(kind, 1)
    if not isinstance(given, list) or not given or len(given) > MOST_LINES:
        raise UserError(f"{kind} needs lines: from 1 to {MOST_LINES}, each a list of x and y in pixels")
    try:
        lines = checked_lines(given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{kind}: its lines are no lists of x and y in pixels: {error}") from error
    if sum(map(len, lines)) > MOST_POINTS or any(len(line) < least for line in lines):
        raise UserError(f"{kind}: its lines have {least} points at least, and {MOST_POINTS} together at most")
    if kind == "exclude" and sum(map(len, lines)) > MOST_OUTLINE:
        raise UserError(f"exclude: its outline has more than {MOST_OUTLINE} points: draw it with fewer")
    return lines


def checked_scale(scale: object) -> dict[str, Any]:
    """Returns a scale. Raises UserError for neither {} nor a matrix xx, xy, yx, yy with deviation and source."""
    numbers = ("xx", "xy", "yx", "yy", "deviation")
    if scale == {}:
        return {}
    if not isinstance(scale, dict) or set(scale) != {*numbers, "source"} or not isinstance(scale["source"], str):
        raise UserError(f"scale needs {', '.join(numbers)} and source, or nothing to forget it")
    for name in numbers:
        if not abs(number_of(scale[name])) <= MOST_SCALE:
            raise UserError(f"scale: {name}={str(scale[name])[:40]} is not a number of at most {MOST_SCALE:g}")
    if abs(scale["xx"] * scale["yy"] - scale["xy"] * scale["yx"]) < 1e-12:
        raise UserError("scale: its matrix shows no surface")
    return scale


def active(corrections: Sequence[Correction]) -> list[Correction]:
    """Returns the corrections in force: without undo and redo, and without those that were undone."""
    undone = set[int]()
    for correction in corrections:
        if correction.kind in TURNING and correction.of is not None:
            (undone.add if correction.kind == "undo" else undone.discard)(correction.of)
    return [
        correction for correction in corrections if correction.kind not in TURNING and correction.number not in undone
    ]


def to_undo(corrections: Sequence[Correction]) -> int | None:
    """Returns the number of the last correction in force, None where there is none."""
    in_force = active(corrections)
    return in_force[-1].number if in_force else None


def to_redo(corrections: Sequence[Correction]) -> int | None:
    """Returns the number of the correction that was undone last, None if a new one was made since."""
    undone = list[int]()
    for correction in corrections:
        if correction.kind == "undo" and correction.of is not None:
            undone.append(correction.of)
        elif correction.kind == "redo" and correction.of in undone:
            undone.remove(correction.of)
        elif correction.kind not in TURNING:
            undone.clear()
    return undone[-1] if undone else None
