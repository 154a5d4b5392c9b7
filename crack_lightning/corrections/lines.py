"""Applies corrections to the cracks that a map marks: accepts, rejects, adds and cuts them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import shapely
from scipy.spatial import cKDTree

from crack_lightning.corrections.correction import CONFIRMING_KINDS, Correction
from crack_lightning.measurement.kept_records import record_from, restricted_to
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.measurement.record import CrackRecord

Array = np.ndarray
PointTree: TypeAlias = cKDTree | None

ACCEPTED, REJECTED, DRAWN, UNSEEN = "accepted", "rejected", "drawn", "unseen"
REACH_PX = 8.0  # two cells; a point this near to a line belongs to its crack
SAME_SHARE = 0.5  # two cracks are the same if at least this share of one runs along the other
MIN_REST_PX = 32.0  # a shorter remainder of a crack that was cut is dropped
JUDGING = (*CONFIRMING_KINDS, "reject")  # kinds of corrections that say whether a mark is a crack
CROSSING_PX = 24.0  # cracks that cross or meet may run beside each other over less than this length
POINT_STEP_PX = 2.0  # distance between the points of a tree


@dataclass(frozen=True)
class JudgedCrack:
    """A crack in pixels, its status, and the number of the correction that gave it this status."""

    record: CrackRecord
    status: str = UNSEEN
    correction: int | None = None

    @property
    def folded(self) -> bool:
        """Returns whether the first view leaves it out: a mark that is probably no crack, and that nobody judged."""
        return self.status == UNSEEN and not self.record.likely

    @property
    def name(self) -> str:
        """Returns a name that changes with the lines only, so that a correction of lines no longer shown is refused."""
        lines = b"".join(np.round(line, 1).tobytes() for line in self.record.lines)
        return hashlib.blake2b(lines, digest_size=6).hexdigest()


def judged_cracks(records: Sequence[CrackRecord], corrections: Sequence[Correction]) -> list[JudgedCrack]:
    """Returns a photograph's cracks, numbered from 1; `corrections` are its corrections in force.

    Likely and judged cracks come before marks that are probably no cracks, and the longest first.

    Accepted and drawn cracks stay as they were, whatever the map marks now (`records`). The other marked cracks are cut
    where they run along an accepted or drawn crack, were erased, or are in an excluded area. If two corrections
    contradict each other, the later one counts.
    """
    areas, trees = (
        excluded_areas(corrections),
        {correction.number: lines_near(correction.lines) for correction in corrections},
    )
    candidates = (_confirmed_crack(correction, corrections, areas, trees) for correction in corrections)
    confirmed = [crack for crack in candidates if crack is not None]
    confirmed_tree = lines_near([line for crack in confirmed for line in crack.record.lines])
    erased_tree = lines_near(
        [line for correction in corrections if correction.kind == "erase" for line in correction.lines]
    )
    cracks = list(confirmed)
    for record in records:
        points = np.concatenate(list(record.lines))
        rest = restricted_to(
            record, ~(within(points, areas) | along(record, confirmed_tree) | near(points, erased_tree))
        )
        if rest is not None and (rest is record or rest.length_px >= MIN_REST_PX):
            cracks.append(_rejected_or_unseen(rest, corrections, trees))
    ordered = sorted(cracks, key=lambda crack: (crack.folded, -crack.record.length_px))
    return [replace(crack, record=replace(crack.record, number=number)) for number, crack in enumerate(ordered, 1)]


def standing_judgements(corrections: Sequence[Correction]) -> list[Correction]:
    """Returns those of a photograph's corrections in force that accept, draw or reject a crack, and that no later one
    contradicts."""
    judging = [(correction, lines_near(correction.lines)) for correction in corrections if correction.kind in JUDGING]
    return [
        correction
        for index, (correction, _) in enumerate(judging)
        if not any(
            (later.kind == "reject") != (correction.kind == "reject")
            and _runs_along(np.concatenate(list(correction.lines)), tree)
            for later, tree in judging[index + 1 :]
        )
    ]


def rejections(corrections: Sequence[Correction]) -> int:
    """Counts the rejections of cracks that were not accepted or drawn later."""
    return sum(correction.kind == "reject" for correction in standing_judgements(corrections))


def _confirmed_crack(
    correction: Correction,
    corrections: Sequence[Correction],
    areas: Sequence[shapely.Polygon],
    trees: Mapping[int, PointTree],
) -> JudgedCrack | None:
    """Returns the remainder of an accepted or drawn crack; None if nothing remains, and for other corrections."""
    if correction.kind not in CONFIRMING_KINDS or correction.feature is None:
        return None
    later_corrections = [other for other in corrections if other.number > correction.number]
    record, status, number = (
        record_from(correction.feature),
        ACCEPTED if correction.kind == "accept" else DRAWN,
        correction.number,
    )
    points = np.concatenate(list(record.lines))
    erased_tree = lines_near([line for other in later_corrections if other.kind == "erase" for line in other.lines])
    later_tree = lines_near(
        [line for other in later_corrections if other.kind in CONFIRMING_KINDS for line in other.lines]
    )
    rest = restricted_to(record, ~(within(points, areas) | near(points, erased_tree) | along(record, later_tree)))
    if rest is None or (rest is not record and rest.length_px < MIN_REST_PX):
        return None
    points = np.concatenate(list(rest.lines))
    for other in later_corrections:
        if other.kind == "reject" and _runs_along(points, trees[other.number]):
            status, number = REJECTED, other.number
    return JudgedCrack(replace(rest, likely=True), status, number)


def _rejected_or_unseen(
    record: CrackRecord, corrections: Sequence[Correction], trees: Mapping[int, PointTree]
) -> JudgedCrack:
    points = np.concatenate(list(record.lines))
    for other in reversed(corrections):
        if other.kind == "reject" and _runs_along(points, trees[other.number]):
            return JudgedCrack(record, REJECTED, other.number)
    return JudgedCrack(record)


def _runs_along(points: Array, tree: PointTree) -> bool:
    if tree is None:
        return False
    # Quick check for the common case: the bounding boxes are apart.
    if (points.min(axis=0) > tree.maxes + REACH_PX).any() or (points.max(axis=0) < tree.mins - REACH_PX).any():
        return False
    return float(near(points, tree).mean()) >= SAME_SHARE


def along(record: CrackRecord, tree: PointTree) -> Array:
    """Returns which points of a crack run along the lines of `tree`; points where it only crosses or meets them do
    not."""
    points = np.concatenate(list(record.lines))
    is_near, start = near(points, tree), 0
    for line in record.lines:
        is_near_line = is_near[start : start + len(line)]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_near_line, [False]]).astype(int)))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if end - first < len(line) and length_of(line[first:end]) < CROSSING_PX:
                is_near_line[first:end] = False
        start += len(line)
    return is_near


def lines_near(lines: Iterable[Array]) -> PointTree:
    """Returns a search tree of points along lines (n, 2); None if there are no lines."""
    points = [resampled(line, POINT_STEP_PX) for line in lines]
    return cKDTree(np.concatenate(points)) if points else None


def near(points: Array, tree: PointTree, reach_px: float = REACH_PX) -> Array:
    """Returns which points (n, 2) are within `reach_px` of the lines of `tree`, which `lines_near` made."""
    if tree is None:
        return np.zeros(len(points), bool)
    return np.asarray(np.isfinite(tree.query(points, distance_upper_bound=reach_px)[0]))


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
