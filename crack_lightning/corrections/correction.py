"""A correction: what a person said of a photograph's cracks, as a line of the journal has it, checked when made."""

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

# What a person does: accept or reject a marked crack, draw one, rub parts of one out, outline what is no surface, set a
# scale; take a correction back, and give it again.
KINDS = ("accept", "reject", "draw", "erase", "exclude", "scale", "undo", "redo")
CONFIRMING, TURNING = ("accept", "draw"), ("undo", "redo")  # a crack is there; an earlier correction
OF_LINES = (*CONFIRMING, "reject", "erase", "exclude")
LEAST_POINTS = {"exclude": 3, "draw": 2}
MOST_POINTS, MOST_LINES, MOST_NAME = 20_000, 2_000, 80
MOST_SCALE = 1000.0  # millimetres a pixel
MOST_OUTLINE = 2_000  # points of an outline: where it crosses itself is looked for between all of them
KEYS = ("number", "time", "kind", "photograph", "by", "lines", "feature", "of", "scale", "picture")


@dataclass(frozen=True)
class Correction:
    """`number` counts from 1; `photograph` is its name, empty for a scale of all.

    `lines` (n, 2) each, x and y in pixels of the upright photograph: of accept and reject those of the crack, of draw
    the crack as it was drawn, of erase the parts that are gone, of exclude the outline of an area. `feature` is what
    was measured of an accepted or drawn crack, as cracks.geojson has it; `of` the number of the correction that is
    taken back or given again; `scale` is a matrix from pixels to millimetres, or empty. `picture` is what the
    picture that it was said of is recognised by, empty where that is not known: another may take its name.
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
        """Plain values, of which `correction_of` makes the same again."""
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
    """What plain values say, checked. Raises UserError that names what is wrong with them."""
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
        raise UserError("feature is no GeoJSON feature")
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
        raise UserError(f"{name} is no text of at most {most} characters")
    return value


def lines_of(kind: str, given: object) -> list[Array]:
    """Lines (n, 2) from lists of x and y. Raises UserError for what are none, or too many."""
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
            raise UserError(f"scale: {name}={str(scale[name])[:40]} is no number of at most {MOST_SCALE:g}")
    if abs(scale["xx"] * scale["yy"] - scale["xy"] * scale["yx"]) < 1e-12:
        raise UserError("scale: its matrix shows no surface")
    return scale


def active(corrections: Sequence[Correction]) -> list[Correction]:
    """Those that are in force: neither turnings nor what was taken back."""
    back = set[int]()
    for one in corrections:
        if one.kind in TURNING and one.of is not None:
            (back.add if one.kind == "undo" else back.discard)(one.of)
    return [one for one in corrections if one.kind not in TURNING and one.number not in back]


def to_undo(corrections: Sequence[Correction]) -> int | None:
    """The number of the last correction in force."""
    left = active(corrections)
    return left[-1].number if left else None


def to_redo(corrections: Sequence[Correction]) -> int | None:
    """The number of what was taken back last, if nothing new was said since."""
    back = list[int]()
    for one in corrections:
        if one.kind == "undo" and one.of is not None:
            back.append(one.of)
        elif one.kind == "redo" and one.of in back:
            back.remove(one.of)
        elif one.kind not in TURNING:
            back.clear()
    return back[-1] if back else None
