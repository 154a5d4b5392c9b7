"""Applies corrections to the cracks that a map marks: accepts, rejects, adds and cuts them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from crack_lightning.corrections.correction import CONFIRMING_KINDS, JUDGING_KINDS, RECORD_KINDS, Correction
from crack_lightning.corrections.nearness import (
    Places,
    PointTree,
    box_of,
    lines_near,
    name_of,
    near,
    near_any,
    runs_along,
)
from crack_lightning.measurement.kept_records import restricted_to
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.record import CrackRecord

Array = np.ndarray

ACCEPTED, REJECTED, DRAWN, UNSEEN = "accepted", "rejected", "drawn", "unseen"
MIN_REST_PX = 32.0  # a shorter remainder of a crack that was cut is dropped
DETOUR_PX = 24.0  # what leaves a confirmed crack by no more than this and comes back is the same crack
CROSSING_PX = 24.0  # cracks that cross or meet may run beside each other over less than this length
MAX_KNOWN = 10_000  # results that are kept for a photograph
SHORT_SHARE = 0.02  # of the photograph's longer side: shorter marks that nobody judged are not in the first view
STATUSES = {"accept": ACCEPTED, "draw": DRAWN, "mark": UNSEEN}  # of the cracks that corrections of RECORD_KINDS hold


@dataclass(frozen=True)
class JudgedCrack:
    """A crack in pixels, its status, and the number of the correction that gave it this status.

    `name` changes with the lines only, so that a correction of lines no longer shown is refused. `label` and `note` are
    what a person wrote about it. `moved` is the probability of a mark after people's judgements of others, and `why`
    says by which. `reason` is what a rejected mark is.
    """

    record: CrackRecord
    status: str = UNSEEN
    correction: int | None = None
    label: str = ""
    note: str = ""
    moved: float | None = None
    why: str = ""
    reason: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", name_of(self.record.lines))

    def is_folded(self, longest_px: float) -> bool:
        """Returns whether the first view leaves it out: a mark that nobody judged, joined or cut, and that is probably
        no crack or is short in a photograph whose longer side is `longest_px`."""
        short = self.record.length_px < SHORT_SHARE * longest_px
        return self.correction is None and (short or not self.record.likely)


class MarkJudging:
    """Judges a photograph's marks (`records`) by its corrections, again and again.

    Near a new correction the cracks are judged anew, all others are known.
    """

    def __init__(self, records: Sequence[CrackRecord]) -> None:
        self.records = records
        boxes = [box_of(np.concatenate(list(record.lines))) for record in records]
        self._boxes = np.array(boxes).reshape(-1, 4)
        self._known = dict[tuple[object, ...], JudgedCrack | None]()

    def cracks(
        self,
        corrections: Sequence[Correction],
        number_of: Callable[[Sequence[Array], Collection[int]], int] | None = None,
    ) -> list[JudgedCrack]:
        """Returns the cracks by their numbers, see `judged_cracks`."""
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        areas = excluded_areas(corrections)
        excluding = tuple(correction.number for correction in corrections if correction.kind == "exclude")
        places = Places(correction for correction in corrections if correction.kind not in ("exclude", "describe"))
        replaced = {number: correction.number for correction in corrections for number in correction.replaces}
        cracks = list[JudgedCrack | None]()
        drawn = [correction for correction in places.placed if correction.record is not None]
        for correction, beside in zip(drawn, places.beside_all(_boxes(drawn)), strict=True):
            if correction.number < replaced.get(correction.crack or 0, 0):
                continue
            later = [other for other in beside if other.number > correction.number]
            question = ("crack", correction.number, tuple(other.number for other in later), excluding)
            if question not in self._known:
                self._known[question] = _held_crack(correction, later, areas)
            cracks.append(self._known[question])
        marks = [index for index, record in enumerate(self.records) if record.number not in replaced]
        for index, beside in zip(marks, places.beside_all(self._boxes[marks]), strict=True):
            question = ("mark", index, tuple(other.number for other in beside), excluding)
            if question not in self._known:
                self._known[question] = _marked_crack(self.records[index], beside, areas)
            cracks.append(self._known[question])
        kept = [crack for crack in cracks if crack is not None]
        return _described(_numbered(kept, number_of or _next_free), corrections)


def _boxes(corrections: Sequence[Correction]) -> Array:
    """Returns the boxes (n, 4) around the lines of corrections."""
    return np.array([correction.box for correction in corrections]).reshape(-1, 4)


def judged_cracks(records: Sequence[CrackRecord], corrections: Sequence[Correction]) -> list[JudgedCrack]:
    """Returns a photograph's cracks by their numbers; `corrections` are its corrections in force.

    Accepted, drawn, joined and cut cracks stay as they were, whatever the map marks now (`records`). The other marked
    cracks are cut where they run along one of those, were erased, or are in an excluded area. If two corrections
    contradict each other, the later one counts. A piece of a crack whose number another one has gets the number that
    `MarkJudging.cracks` asks for by its lines and the numbers that are taken, here the next free one.
    """
    return MarkJudging(records).cracks(corrections)


def _next_free(lines: Sequence[Array], taken: Collection[int]) -> int:
    return max(taken, default=0) + 1


def _numbered(
    cracks: Sequence[JudgedCrack], number_of: Callable[[Sequence[Array], Collection[int]], int]
) -> list[JudgedCrack]:
    """Gives other numbers to cracks whose number an earlier one has; returns them by number."""
    taken, free, result = {crack.record.number for crack in cracks}, set[int](), list[JudgedCrack]()
    for crack in cracks:
        if crack.record.number in free:
            number = number_of(crack.record.lines, taken)
            crack = replace(crack, record=replace(crack.record, number=number))
            taken.add(number)
        free.add(crack.record.number)
        result.append(crack)
    return sorted(result, key=lambda crack: crack.record.number)


def _described(cracks: Sequence[JudgedCrack], corrections: Sequence[Correction]) -> list[JudgedCrack]:
    descriptions = {correction.crack: correction for correction in corrections if correction.kind == "describe"}
    return [
        replace(crack, label=descriptions[crack.record.number].label, note=descriptions[crack.record.number].note)
        if crack.record.number in descriptions
        else crack
        for crack in cracks
    ]


def standing_judgements(corrections: Sequence[Correction]) -> list[Correction]:
    """Returns those of a photograph's corrections in force that accept, draw or reject a crack and that no later one
    contradicts or repeats: a crack that was rejected again, for another reason, is one rejected crack."""
    places = Places(correction for correction in corrections if correction.kind in JUDGING_KINDS)
    standing = []
    beside_all = places.beside_all(_boxes(places.placed))
    for correction, beside in zip(places.placed, beside_all, strict=True):
        later = [other for other in beside if other.number > correction.number]
        replacing = [other for other in later if "reject" in (correction.kind, other.kind)]
        if not any(correction.runs_along(other) for other in replacing):
            standing.append(correction)
    return standing


def rejections(corrections: Sequence[Correction]) -> int:
    """Counts the rejections of cracks that were not accepted or drawn later."""
    return sum(correction.kind == "reject" for correction in standing_judgements(corrections))


def _held_crack(
    correction: Correction, later: Sequence[Correction], areas: Sequence[shapely.Polygon]
) -> JudgedCrack | None:
    """Returns the remainder of the crack that a correction holds; None if nothing remains, or if it holds none.

    `later` corrections are those near it.
    """
    record = correction.record
    if record is None:
        return None
    points = np.concatenate(list(record.lines))
    erased = near_any(points, [other.tree for other in later if other.kind == "erase"])
    covering = RECORD_KINDS if correction.kind == "mark" else CONFIRMING_KINDS
    covered = along(record, [other.tree for other in later if other.kind in covering])
    rest = restricted_to(record, ~(within(points, areas) | erased | covered))
    if rest is None or (rest is not record and rest.length_px < MIN_REST_PX):
        return None
    status, number, reason = STATUSES[correction.kind], correction.number, ""
    points = np.concatenate(list(rest.lines))
    for other in later:
        if other.kind == "reject" and runs_along(points, other.tree):
            status, number, reason = REJECTED, other.number, other.reason
    return JudgedCrack(rest, status, number, reason=reason)


def _marked_crack(
    record: CrackRecord, beside: Sequence[Correction], areas: Sequence[shapely.Polygon]
) -> JudgedCrack | None:
    """Returns what remains of a mark by the corrections `beside` it; None if nothing does."""
    points = np.concatenate(list(record.lines))
    trees = [other.tree for other in beside if other.record is not None]
    covered = along(record, trees)
    covered |= _detours(record, covered, trees)
    erased = near_any(points, [other.tree for other in beside if other.kind == "erase"])
    rest = restricted_to(record, ~(within(points, areas) | covered | erased))
    if rest is None or (rest is not record and rest.length_px < MIN_REST_PX):
        return None
    points = np.concatenate(list(rest.lines))
    for other in reversed(beside):
        if other.kind == "reject" and runs_along(points, other.tree):
            return JudgedCrack(rest, REJECTED, other.number, reason=other.reason)
    return JudgedCrack(rest)


def along(record: CrackRecord, trees: Sequence[PointTree]) -> Array:
    """Returns which points of a crack run along the lines of one of `trees`; points where it only crosses or meets them
    do not."""
    points = np.concatenate(list(record.lines))
    is_near, start = near_any(points, trees), 0
    if not is_near.any():
        return is_near
    for line in record.lines:
        is_near_line = is_near[start : start + len(line)]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_near_line, [False]]).astype(int)))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if end - first < len(line) and length_of(line[first:end]) < CROSSING_PX:
                is_near_line[first:end] = False
        start += len(line)
    return is_near


def _detours(record: CrackRecord, covered: Array, trees: Sequence[PointTree]) -> Array:
    """Returns which points of a mark, beside those that are `covered`, belong to a short way round a crack that is
    confirmed: they leave the lines of `trees`, come back to them, and are near them between."""
    result = np.zeros(len(covered), bool)
    if not covered.any():
        return result
    points, start = np.concatenate(list(record.lines)), 0
    touching, beside = covered | near_any(points, trees), near_any(points, trees, DETOUR_PX)
    for line in record.lines:
        part = slice(start, start + len(line))
        open_run = np.concatenate([[False], ~covered[part], [False]]).astype(int)
        edges = np.flatnonzero(np.diff(open_run))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            ends = touching[part][max(0, first - 1)], touching[part][min(end, len(line) - 1)]
            if all(ends) and beside[part][first:end].all():
                result[start + first : start + end] = True
        start += len(line)
    return result


def excluded_areas(corrections: Iterable[Correction]) -> list[shapely.Polygon]:
    """Returns the areas that corrections exclude, because they are not surface."""
    rings = [line for correction in corrections if correction.kind == "exclude" for line in correction.lines]
    return [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]


def within(points: Array, areas: Sequence[shapely.Polygon]) -> Array:
    """Returns which points (n, 2) are in one of the areas."""
    inside = np.zeros(len(points), bool)
    for area in areas:
        shapely.prepare(area)
        inside |= shapely.contains_xy(area, points)
    return inside


def surface_share(areas: Sequence[shapely.Polygon], size: tuple[int, int]) -> float:
    """Returns which share of a photograph of `size` (width, height) is surface, that is, not in an excluded area."""
    whole = shapely.box(0, 0, *size)
    return 1 - float(shapely.area(shapely.intersection(shapely.union_all(areas), whole)) / whole.area) if areas else 1.0


def cut_by(records: Sequence[CrackRecord], stroke: Array, radius_px: float) -> list[Array]:
    """Returns the parts of the cracks' lines within `radius_px` of a stroke (n, 2), which the eraser removes."""
    tree, parts = lines_near([stroke]), list[Array]()
    for record in records:
        points = np.concatenate(list(record.lines))
        if (part := restricted_to(record, near(points, tree, radius_px))) is not None:
            parts += part.lines
    return parts
