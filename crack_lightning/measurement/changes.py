"""Compares the cracks that two photographs show of a place: new, longer, wider, unchanged, gone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from crack_lightning.measurement.alignment import Alignment
from crack_lightning.measurement.centres import STEP_PX, centred
from crack_lightning.measurement.paths import length_of, resampled, root_of
from crack_lightning.measurement.profiles import profiles_along
from crack_lightning.measurement.resolution import View, ViewedCrack, at_one_resolution

Array = np.ndarray

NEAR_PX = 8.0  # distance in the later photograph within which two lines are the same
SAME_SHARE = 0.35  # of the shorter of two cracks that must lie near the other for them to be the same
LEAST_GROWTH_PX, LEAST_GROWTH = 24.0, 0.08  # pixels, and share of the length, that a crack must have grown by
STRETCH_POINTS = 4  # uncovered points in a row that count as a stretch: fewer are noise
REPROJECTED = 0.01  # share by which the scale between two photographs is uncertain
REFINED_PX = 3.0
LEAST_PLACES = 12  # where both photographs claim a width, that are needed to compare widths
LOOK_PX = 12.0
CLEAR_SHARE = 0.6  # of a crack that must stand out from the noise for it to be new or gone
CONFIRMED = 0.5  # of a growth in width that the darkness across must have grown by too
SEEN_DEPTH = 0.4  # of the depth in the other photograph, each over its background, from which on a line is a crack
CHANGES = ("new", "longer", "wider", "longer and wider", "gone", "unchanged")


@dataclass(frozen=True)
class Change:
    """A change: `kind` is one of CHANGES; `before` and `after` are the numbers of the cracks; lengths and widths are in
    pixels of the later photograph, None where there is no such crack or no claimed width; `added` are new lines in the
    later one."""

    kind: str
    before: Sequence[int]
    after: Sequence[int]
    length_before: float | None
    length_after: float | None
    width_before: float | None
    width_after: float | None
    added: Sequence[Array] = ()

    def enlarged(self, factor: float) -> "Change":
        """Returns the change in pixels of a photograph `factor` times as large."""
        sizes = ("length_before", "length_after", "width_before", "width_after")
        known = {name: value for name in sizes if (value := getattr(self, name)) is not None}
        larger = {name: value * factor for name, value in known.items()}
        return replace(self, **larger, added=[line * factor for line in self.added])


def changes_of(before: View, after: View, alignment: Alignment) -> list[Change]:
    """Returns the changes of all cracks in the area that both photographs show, those that changed first, compared at
    the resolution of the coarser one."""
    before, after, alignment, share = at_one_resolution(before, after, alignment)
    return [change.enlarged(1 / share) for change in _changes(before, after, alignment)]


def _changes(before: View, after: View, alignment: Alignment) -> list[Change]:
    moved = [_moved(crack, alignment) for crack in before.cracks]
    visible = [_inside(points_of(crack), after.grey.shape) for crack in moved]
    old = [crack for crack, inside in zip(moved, visible, strict=True) if inside.mean() > 0.5]
    new = [crack for crack in after.cracks if _inside(alignment.back(points_of(crack)), before.grey.shape).mean() > 0.5]
    changes = [_change(group_old, group_new, before, after, alignment) for group_old, group_new in _groups(old, new)]
    kept = [change for change in changes if change is not None]
    return sorted(kept, key=lambda change: (CHANGES.index(change.kind), -(change.length_after or 0)))


def points_of(crack: ViewedCrack) -> Array:
    """Returns points (n, 2), STEP_PX apart, along the lines of a crack."""
    return np.concatenate([resampled(line, STEP_PX) for line in crack.lines if len(line) > 1])


def _moved(crack: ViewedCrack, alignment: Alignment) -> ViewedCrack:
    """Returns an earlier crack in pixels of the later photograph."""
    lines = [alignment.moved(line) for line in crack.lines]
    if crack.uncertainty_px is None:
        return ViewedCrack(crack.number, lines, crack.widths_px, None)
    factor = alignment.enlarged(np.concatenate(list(crack.lines)))
    widths = crack.widths_px * factor
    deviation = float(np.hypot(crack.uncertainty_px * factor, REPROJECTED * np.nanmedian(widths)))
    return ViewedCrack(crack.number, lines, widths, deviation)


def _inside(points: Array, size_hw: tuple[int, ...]) -> Array:
    return np.asarray(((points >= 0) & (points <= np.array(size_hw[::-1], float))).all(axis=1))


def _groups(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack]
) -> list[tuple[list[ViewedCrack], list[ViewedCrack]]]:
    """Groups the cracks of both photographs that lie on each other; the others are alone in a group."""
    members: list[tuple[int, ViewedCrack]] = [(0, crack) for crack in old] + [(1, crack) for crack in new]
    joined = dict[int, int]()
    trees = [cKDTree(points_of(crack)) for _, crack in members]
    for earlier in range(len(old)):
        for later in range(len(old), len(members)):
            near = np.isfinite(trees[later].query(trees[earlier].data, distance_upper_bound=NEAR_PX)[0]).sum()
            fewer = min(len(trees[earlier].data), len(trees[later].data))
            if near >= max(STRETCH_POINTS, SAME_SHARE * fewer):
                joined[root_of(joined, earlier)] = root_of(joined, later)
    groups = dict[int, tuple[list[ViewedCrack], list[ViewedCrack]]]()
    for number, (side, crack) in enumerate(members):
        groups.setdefault(root_of(joined, number), ([], []))[side].append(crack)
    return list(groups.values())


def _change(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment
) -> Change | None:
    numbers = [crack.number for crack in old], [crack.number for crack in new]
    if not (old and new) and _length(old or new) < LEAST_GROWTH_PX:
        return Change("unchanged", *numbers, _length(old), None, _width(old), None) if old else None
    if not old:
        lines = [line for crack in new for line in crack.lines]
        if _shows(before.grey, [alignment.back(line) for line in lines], after.grey, lines):
            return None  # it was there, but the map did not mark it
        return Change("new", *numbers, None, _length(new), None, _width(new), lines)
    if not new:
        lines = [line for crack in old for line in crack.lines]
        if _shows(after.grey, lines, before.grey, [alignment.back(line) for line in lines]):
            return Change("unchanged", *numbers, _length(old), None, _width(old), None)
        return Change("gone", *numbers, _length(old), None, _width(old), None)
    added = _added(old, new, before, after, alignment)
    grown = sum(map(length_of, added)) >= max(LEAST_GROWTH_PX, LEAST_GROWTH * _length(old))
    first, second, deviation = _shared_widths(old, new)
    wider = first is not None and second is not None and second - first > 2 * deviation
    wider = wider and _darker(new, before, after, alignment) >= 1 + CONFIRMED * ((second or 0) / (first or 1) - 1)
    kind = " and ".join([name for name, is_so in (("longer", grown), ("wider", wider)) if is_so]) or "unchanged"
    return Change(kind, *numbers, _length(old), _length(new), first, second, added if grown else ())


def _length(cracks: Sequence[ViewedCrack]) -> float:
    return sum(length_of(line) for crack in cracks for line in crack.lines)


def _width(cracks: Sequence[ViewedCrack]) -> float | None:
    """Returns the median of all claimed widths."""
    widths = np.concatenate([crack.widths_px for crack in cracks if crack.uncertainty_px is not None] or [np.empty(0)])
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else None


def _shared_widths(old: Sequence[ViewedCrack], new: Sequence[ViewedCrack]) -> tuple[float | None, float | None, float]:
    """Returns the earlier and the later median width over the places where both photographs claim one, and the
    deviation of their difference; None, None where there are too few such places."""
    earlier, later = (_claimed(cracks) for cracks in (old, new))
    if not len(earlier[0]) or not len(later[0]):
        return None, None, 0.0
    distances, index = cKDTree(earlier[0]).query(later[0], distance_upper_bound=NEAR_PX)
    near = np.isfinite(distances)
    if near.sum() < LEAST_PLACES:
        return None, None, 0.0
    deviation = float(np.hypot(earlier[2], later[2]))
    return float(np.median(earlier[1][index[near]])), float(np.median(later[1][near])), deviation


def _claimed(cracks: Sequence[ViewedCrack]) -> tuple[Array, Array, float]:
    """Returns the points (n, 2) and widths (n,) that are claimed, and the largest deviation of a crack's median."""
    known = [crack for crack in cracks if crack.uncertainty_px is not None]
    if not known:
        return np.empty((0, 2)), np.empty(0), 0.0
    points = np.concatenate([line for crack in known for line in crack.lines])
    widths = np.concatenate([crack.widths_px for crack in known])
    seen = np.isfinite(widths)
    return points[seen], widths[seen], max(crack.uncertainty_px or 0.0 for crack in known)


def _added(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment
) -> list[Array]:
    """Returns stretches of later cracks that lie on no earlier one, nor on a dark line of the earlier photograph."""
    tree = cKDTree(np.concatenate([points_of(crack) for crack in old]))
    stretches = []
    for crack in new:
        for line in crack.lines:
            points = resampled(line, STEP_PX)
            far = ~np.isfinite(tree.query(points, distance_upper_bound=NEAR_PX)[0])
            far &= _inside(alignment.back(points), before.grey.shape)
            for run in _stretches(far):
                part = points[run]
                if not _shows(before.grey, [alignment.back(part)], after.grey, [part]):
                    stretches.append(part)
    return stretches


def _stretches(chosen: Array) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    slices = [slice(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    return [stretch for stretch in slices if stretch.stop - stretch.start >= STRETCH_POINTS]


def _shows(grey: Array, lines: Sequence[Array], other_grey: Array, other_lines: Sequence[Array]) -> bool:
    """Returns whether a photograph has a dark line where the other has a crack: half of its points have, relative to
    the background, SEEN_DEPTH of the other's depth."""
    depths = [_relative_depths(grey, line)[0] for line in lines if len(line) > 2]
    references = [_relative_depths(other_grey, line) for line in other_lines if len(line) > 2]
    if not depths or not references:
        return False
    own, known = np.concatenate(depths), np.concatenate([depth for depth, _ in references])
    clear = np.concatenate([clear for _, clear in references])
    unclear = clear.mean() < CLEAR_SHARE  # a crack that is hardly visible may be in the other too
    return bool(unclear or np.median(own) >= SEEN_DEPTH * np.median(known))


def _darker(cracks: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment) -> float:
    """Returns how many times as much darkness lies across the later cracks as across the same lines in the earlier
    photograph: the way a width is measured may change with the light, this does not."""
    shares = []
    for crack in cracks:
        reach_px = LOOK_PX + float(np.nanmax(crack.widths_px, initial=0.0))
        for line in crack.lines:
            if len(line) > 2:
                earlier = alignment.back(line)
                darkness = _relative_darkness(before.grey, earlier, reach_px) * alignment.enlarged(earlier)
                shares.append(_relative_darkness(after.grey, line, reach_px) / np.maximum(darkness, 1e-3))
    return float(np.nanmedian(np.concatenate(shares))) if shares else 0.0


def _relative_darkness(grey: Array, line: Array, reach_px: float) -> Array:
    """Returns the darkness across a line as a share of the background, in pixels; NaN where nothing is clear."""
    profiles = profiles_along(grey, line, reach_px)
    return np.where(profiles.clear, profiles.darkness / np.maximum(profiles.background.mean(axis=1), 1.0), np.nan)


def _relative_depths(grey: Array, line: Array) -> tuple[Array, Array]:
    """Returns depth over background along a line, first moved onto the dark near it, and where the crack is clear."""
    points = centred(grey, line, REFINED_PX)
    if len(points) < 3:
        return np.zeros(1), np.zeros(1, bool)
    profiles = profiles_along(grey, points, LOOK_PX)
    return profiles.depth / np.maximum(profiles.background.mean(axis=1), 1.0), profiles.clear
