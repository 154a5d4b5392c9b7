"""Applies corrections to the cracks that a map marks: accepted, rejected, drawn, cut, or not seen by anybody yet."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import shapely
from scipy.spatial import cKDTree

from crack_lightning.corrections.correction import CONFIRMING, Correction
from crack_lightning.measurement.kept_records import parts_of, record_from
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.measurement.record import CrackRecord

Array = np.ndarray
Tree: TypeAlias = cKDTree | None

ACCEPTED, REJECTED, DRAWN, UNSEEN = "accepted", "rejected", "drawn", "unseen"
REACH_PX = 8.0  # two cells: points as near to a line as this are of its crack
SAME_SHARE = 0.5  # share of a crack's length along another from which on they are one crack
LEAST_REST_PX = 32.0  # shorter rests of a crack that was cut, or runs along an accepted one, are dropped
CROSSING_PX = 24.0  # length over which a crack may run beside another where they meet
STEP_PX = 2.0


@dataclass(frozen=True)
class JudgedCrack:
    """A crack in pixels, its status, and the number of the correction that gave the status."""

    record: CrackRecord
    status: str = UNSEEN
    correction: int | None = None

    @property
    def name(self) -> str:
        """Returns a name that changes with the lines alone, so that nobody corrects a crack that was not seen."""
        lines = b"".join(np.round(line, 1).tobytes() for line in self.record.lines)
        return hashlib.blake2b(lines, digest_size=6).hexdigest()


def judged(records: Sequence[CrackRecord], corrections: Sequence[Correction]) -> list[JudgedCrack]:
    """Returns a photograph's cracks, the longest first, numbered from 1; `corrections` are its corrections in force.

    What a person accepted or drew stays as it was, whatever the map marks by now; the rest of what the map marks is cut
    where it runs along such a crack, was rubbed out, or lies on what is not surface. Of two corrections the later
    counts.
    """
    areas, trees = (
        outlined(corrections),
        {correction.number: lines_near(correction.lines) for correction in corrections},
    )
    candidates = (_confirmed(correction, corrections, areas, trees) for correction in corrections)
    confirmed = [crack for crack in candidates if crack is not None]
    confirmed_tree = lines_near([line for crack in confirmed for line in crack.record.lines])
    erased_tree = lines_near(
        [line for correction in corrections if correction.kind == "erase" for line in correction.lines]
    )
    cracks = list(confirmed)
    for record in records:
        points = np.concatenate(list(record.lines))
        rest = parts_of(record, ~(within(points, areas) | along(record, confirmed_tree) | near(points, erased_tree)))
        if rest is not None and (rest is record or rest.length_px >= LEAST_REST_PX):
            cracks.append(_rejected_or_unseen(rest, corrections, trees))
    ordered = sorted(cracks, key=lambda crack: -crack.record.length_px)
    return [replace(crack, record=replace(crack.record, number=number)) for number, crack in enumerate(ordered, 1)]


def rejections(corrections: Sequence[Correction]) -> int:
    """Counts how many times a person rejected a crack and did not accept or draw it after that."""
    trees = {
        correction.number: lines_near(correction.lines) for correction in corrections if correction.kind in CONFIRMING
    }
    count = 0
    for correction in corrections:
        if correction.kind == "reject":
            points = np.concatenate(list(correction.lines))
            count += not any(number > correction.number and _runs_along(points, tree) for number, tree in trees.items())
    return count


def _confirmed(
    correction: Correction,
    corrections: Sequence[Correction],
    areas: Sequence[shapely.Polygon],
    trees: Mapping[int, Tree],
) -> JudgedCrack | None:
    """Returns what is left of an accepted or drawn crack; None for other corrections, and where nothing is left."""
    if correction.kind not in CONFIRMING or correction.feature is None:
        return None
    later = [other for other in corrections if other.number > correction.number]
    record, status, number = (
        record_from(correction.feature),
        ACCEPTED if correction.kind == "accept" else DRAWN,
        correction.number,
    )
    points = np.concatenate(list(record.lines))
    erased_tree = lines_near([line for other in later if other.kind == "erase" for line in other.lines])
    later_tree = lines_near([line for other in later if other.kind in CONFIRMING for line in other.lines])
    rest = parts_of(record, ~(within(points, areas) | near(points, erased_tree) | along(record, later_tree)))
    if rest is None or (rest is not record and rest.length_px < LEAST_REST_PX):
        return None
    points = np.concatenate(list(rest.lines))
    for other in later:
        if other.kind == "reject" and _runs_along(points, trees[other.number]):
            status, number = REJECTED, other.number
    return JudgedCrack(rest, status, number)


def _rejected_or_unseen(
    record: CrackRecord, corrections: Sequence[Correction], trees: Mapping[int, Tree]
) -> JudgedCrack:
    points = np.concatenate(list(record.lines))
    for other in reversed(corrections):
        if other.kind == "reject" and _runs_along(points, trees[other.number]):
            return JudgedCrack(record, REJECTED, other.number)
    return JudgedCrack(record)


def _runs_along(points: Array, tree: Tree) -> bool:
    is_apart = tree is None or (points.min(axis=0) > tree.maxes + REACH_PX).any()
    if is_apart or tree is None or (points.max(axis=0) < tree.mins - REACH_PX).any():
        return False
    return float(near(points, tree).mean()) >= SAME_SHARE


def along(record: CrackRecord, tree: Tree) -> Array:
    """Returns which points of a crack run along other lines: none where the crack only crosses or meets them."""
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


def lines_near(lines: Iterable[Array]) -> Tree:
    """Returns a tree of points along lines (n, 2), None where there are no lines."""
    points = [resampled(line, STEP_PX) for line in lines]
    return cKDTree(np.concatenate(points)) if points else None


def near(points: Array, tree: Tree, reach_px: float = REACH_PX) -> Array:
    """Returns which points (n, 2) lie within `reach_px` of the lines of a tree that `lines_near` made."""
    if tree is None:
        return np.zeros(len(points), bool)
    return np.asarray(np.isfinite(tree.query(points, distance_upper_bound=reach_px)[0]))


def outlined(corrections: Iterable[Correction]) -> list[shapely.Polygon]:
    """Returns the areas that are not surface."""
    rings = [line for correction in corrections if correction.kind == "exclude" for line in correction.lines]
    return [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]


def within(points: Array, areas: Sequence[shapely.Polygon]) -> Array:
    """Returns which points (n, 2) lie in one of the areas."""
    inside = np.zeros(len(points), bool)
    for area in areas:
        shapely.prepare(area)
        inside |= shapely.contains_xy(area, points)
    return inside


def surface_share(areas: Sequence[shapely.Polygon], size: tuple[int, int]) -> float:
    """Returns the share of a photograph of `size` (width, height) that is surface."""
    whole = shapely.box(0, 0, *size)
    return 1 - float(shapely.area(shapely.intersection(shapely.union_all(areas), whole)) / whole.area) if areas else 1.0


def cut_by(records: Sequence[CrackRecord], stroke: Array, radius_px: float) -> list[Array]:
    """Returns the parts of the cracks' lines within `radius_px` of a stroke (n, 2): what a rubber takes away."""
    tree, parts = lines_near([stroke]), list[Array]()
    for record in records:
        points = np.concatenate(list(record.lines))
        if (part := parts_of(record, near(points, tree, radius_px))) is not None:
            parts += part.lines
    return parts
