"""Applies corrections to the cracks that a map marks: accepts, rejects, adds and cuts them."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import shapely

from crack_lightning.corrections.correction import CONFIRMING_KINDS, JUDGING_KINDS, Correction
from crack_lightning.corrections.nearness import Places, PointTree, lines_near, near, near_any
from crack_lightning.measurement.kept_records import restricted_to
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.record import CrackRecord

Array = np.ndarray

ACCEPTED, REJECTED, DRAWN, UNSEEN = "accepted", "rejected", "drawn", "unseen"
SAME_SHARE = 0.5  # two cracks are the same if at least this share of one runs along the other
MIN_REST_PX = 32.0  # a shorter remainder of a crack that was cut is dropped
CROSSING_PX = 24.0  # cracks that cross or meet may run beside each other over less than this length
SHORT_SHARE = 0.02  # of the photograph's longer side: shorter marks that nobody judged are not in the first view


@dataclass(frozen=True)
class JudgedCrack:
    """A crack in pixels, its status, and the number of the correction that gave it this status.

    `label` and `note` are what a person wrote about it. `moved` is the probability of a mark after people's judgements
    of others, and `why` says by which.
    """

    record: CrackRecord
    status: str = UNSEEN
    correction: int | None = None
    label: str = ""
    note: str = ""
    moved: float | None = None
    why: str = ""

    @cached_property
    def name(self) -> str:
        """Returns a name that changes with the lines only, so that a correction of lines no longer shown is refused."""
        lines = b"".join(np.round(line, 1).tobytes() for line in self.record.lines)
        return hashlib.blake2b(lines, digest_size=6).hexdigest()

    def is_folded(self, longest_px: float) -> bool:
        """Returns whether the first view leaves it out: a mark that nobody judged, and that is probably no crack or is
        short in a photograph whose longer side is `longest_px`."""
        short = self.record.length_px < SHORT_SHARE * longest_px
        return self.status == UNSEEN and (short or not self.record.likely)


def judged_cracks(
    records: Sequence[CrackRecord],
    corrections: Sequence[Correction],
    number_of: Callable[[Sequence[Array], Collection[int]], int] | None = None,
) -> list[JudgedCrack]:
    """Returns a photograph's cracks by their numbers; `corrections` are its corrections in force.

    Accepted and drawn cracks stay as they were, whatever the map marks now (`records`). The other marked cracks are cut
    where they run along an accepted or drawn crack, were erased, or are in an excluded area. If two corrections
    contradict each other, the later one counts. A piece of a crack whose number another one has gets the number that
    `number_of` returns for its lines and the numbers that are taken; without it, the next free one.
    """
    areas = excluded_areas(corrections)
    places = Places(correction for correction in corrections if correction.kind not in ("exclude", "describe"))
    replaced = {number: correction.number for correction in corrections for number in correction.replaces}
    confirmed = [
        crack
        for correction in corrections
        if correction.number >= replaced.get(correction.crack or 0, 0)
        and (crack := _confirmed_crack(correction, places, areas)) is not None
    ]
    marked = [_marked_crack(record, places, areas) for record in records if record.number not in replaced]
    cracks = [*confirmed, *(crack for crack in marked if crack is not None)]
    return _described(_numbered(cracks, number_of or _next_free), corrections)


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
    """Returns those of a photograph's corrections in force that accept, draw or reject a crack, and that no later one
    contradicts."""
    places = Places(correction for correction in corrections if correction.kind in JUDGING_KINDS)
    standing = []
    for correction in places.placed:
        points = np.concatenate(list(correction.lines))
        later = [other for other in places.beside(points) if other.number > correction.number]
        contrary = [other for other in later if (other.kind == "reject") != (correction.kind == "reject")]
        if not any(_runs_along(points, other) for other in contrary):
            standing.append(correction)
    return standing


def rejections(corrections: Sequence[Correction]) -> int:
    """Counts the rejections of cracks that were not accepted or drawn later."""
    return sum(correction.kind == "reject" for correction in standing_judgements(corrections))


def _confirmed_crack(
    correction: Correction, places: Places[Correction], areas: Sequence[shapely.Polygon]
) -> JudgedCrack | None:
    """Returns the remainder of an accepted or drawn crack; None if nothing remains, and for other corrections."""
    record = correction.record
    if record is None:
        return None
    points = np.concatenate(list(record.lines))
    later = [other for other in places.beside(points) if other.number > correction.number]
    erased = near_any(points, [other.tree for other in later if other.kind == "erase"])
    covered = along(record, [other.tree for other in later if other.kind in CONFIRMING_KINDS])
    rest = restricted_to(record, ~(within(points, areas) | erased | covered))
    if rest is None or (rest is not record and rest.length_px < MIN_REST_PX):
        return None
    status, number = ACCEPTED if correction.kind == "accept" else DRAWN, correction.number
    points = np.concatenate(list(rest.lines))
    for other in later:
        if other.kind == "reject" and _runs_along(points, other):
            status, number = REJECTED, other.number
    return JudgedCrack(rest, status, number)


def _marked_crack(
    record: CrackRecord, places: Places[Correction], areas: Sequence[shapely.Polygon]
) -> JudgedCrack | None:
    """Returns what remains of a mark beside accepted and drawn cracks, None if nothing does, and whether it is
    rejected."""
    points = np.concatenate(list(record.lines))
    beside = places.beside(points)
    covered = along(record, [other.tree for other in beside if other.record is not None])
    erased = near_any(points, [other.tree for other in beside if other.kind == "erase"])
    rest = restricted_to(record, ~(within(points, areas) | covered | erased))
    if rest is None or (rest is not record and rest.length_px < MIN_REST_PX):
        return None
    points = np.concatenate(list(rest.lines))
    for other in reversed(beside):
        if other.kind == "reject" and _runs_along(points, other):
            return JudgedCrack(rest, REJECTED, other.number)
    return JudgedCrack(rest)


def _runs_along(points: Array, other: Correction) -> bool:
    return float(near(points, other.tree).mean()) >= SAME_SHARE


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
