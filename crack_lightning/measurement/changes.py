"""Compares the cracks in two photographs of a place: new, longer, wider, gone or unchanged."""

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
SAME_SHARE = 0.35  # two cracks are the same if this share of the shorter one is near the other
MIN_GROWTH_PX, MIN_GROWTH_SHARE = 24.0, 0.08  # growth of a longer crack: pixels, and share of its length
MIN_STRETCH_POINTS = 4  # fewer new points in a row are noise
SCALE_UNCERTAINTY = 0.01  # relative uncertainty of the scale between two photographs
CENTRING_PX = 3.0  # half width of the band in which a line is moved onto the dark
MIN_SHARED_POINTS = 12  # points at which both photographs must claim a width, for widths to be compared
PROFILE_PX = 12.0  # how far a profile reaches to each side of a line, beyond the width
CLEAR_SHARE = 0.6  # a new or gone crack must stand out from the noise along this share of its length
CONFIRMED_SHARE = 0.5  # the darkness across a wider crack must have grown by this share of its growth in width
SEEN_DEPTH_SHARE = 0.4  # a line is a crack from this share of the relative depth in the other photograph
CHANGES = ("new", "longer", "wider", "longer and wider", "gone", "unchanged")


@dataclass(frozen=True)
class Change:
    """A change of a crack, in pixels of the later photograph.

    `kind`: one of CHANGES.
    `before`, `after`: the numbers of the cracks in the earlier and the later photograph.
    `length_before` to `width_after`: None where the photograph has no such crack, or where its width is not claimed.
    `added`: the new lines in the later photograph.
    """

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
    """Returns the changes of all cracks in the area that both photographs show; unchanged cracks are last.

    They are compared at the resolution of the coarser photograph.
    """
    before, after, alignment, share = at_one_resolution(before, after, alignment)
    return [change.enlarged(1 / share) for change in _changes_at_one_resolution(before, after, alignment)]


def _changes_at_one_resolution(before: View, after: View, alignment: Alignment) -> list[Change]:
    moved = [_in_later_pixels(crack, alignment) for crack in before.cracks]
    visible = [_inside(points_of(crack), after.grey.shape) for crack in moved]
    old = [crack for crack, inside in zip(moved, visible, strict=True) if inside.mean() > 0.5]
    new = [crack for crack in after.cracks if _inside(alignment.back(points_of(crack)), before.grey.shape).mean() > 0.5]
    changes = [
        _change_of_group(group_old, group_new, before, after, alignment)
        for group_old, group_new in _matched_groups(old, new)
    ]
    kept = [change for change in changes if change is not None]
    return sorted(kept, key=lambda change: (CHANGES.index(change.kind), -(change.length_after or 0)))


def points_of(crack: ViewedCrack) -> Array:
    """Returns points (n, 2), STEP_PX apart, along the lines of a crack."""
    return np.concatenate([resampled(line, STEP_PX) for line in crack.lines if len(line) > 1])


def _in_later_pixels(crack: ViewedCrack, alignment: Alignment) -> ViewedCrack:
    """Returns an earlier crack in pixels of the later photograph."""
    lines = [alignment.moved(line) for line in crack.lines]
    if crack.uncertainty_px is None:
        return ViewedCrack(crack.number, lines, crack.widths_px, None)
    factor = alignment.enlargement_at(np.concatenate(list(crack.lines)))
    widths = crack.widths_px * factor
    deviation = float(np.hypot(crack.uncertainty_px * factor, SCALE_UNCERTAINTY * np.nanmedian(widths)))
    return ViewedCrack(crack.number, lines, widths, deviation)


def _inside(points: Array, size_hw: tuple[int, ...]) -> Array:
    return np.asarray(((points >= 0) & (points <= np.array(size_hw[::-1], float))).all(axis=1))


def _matched_groups(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack]
) -> list[tuple[list[ViewedCrack], list[ViewedCrack]]]:
    """Groups the cracks of both photographs that are the same; a crack without a match is a group of its own."""
    members: list[tuple[int, ViewedCrack]] = [(0, crack) for crack in old] + [(1, crack) for crack in new]
    joined = dict[int, int]()
    trees = [cKDTree(points_of(crack)) for _, crack in members]
    for earlier in range(len(old)):
        for later in range(len(old), len(members)):
            near = np.isfinite(trees[later].query(trees[earlier].data, distance_upper_bound=NEAR_PX)[0]).sum()
            fewer = min(len(trees[earlier].data), len(trees[later].data))
            if near >= max(MIN_STRETCH_POINTS, SAME_SHARE * fewer):
                joined[root_of(joined, earlier)] = root_of(joined, later)
    groups = dict[int, tuple[list[ViewedCrack], list[ViewedCrack]]]()
    for index, (side, crack) in enumerate(members):
        groups.setdefault(root_of(joined, index), ([], []))[side].append(crack)
    return list(groups.values())


def _change_of_group(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment
) -> Change | None:
    numbers = [crack.number for crack in old], [crack.number for crack in new]
    if not (old and new) and _total_length(old or new) < MIN_GROWTH_PX:
        return Change("unchanged", *numbers, _total_length(old), None, _median_width(old), None) if old else None
    if not old:
        lines = [line for crack in new for line in crack.lines]
        if _shows_too(before.grey, [alignment.back(line) for line in lines], after.grey, lines):
            return None  # it was there, but the map did not mark it
        return Change("new", *numbers, None, _total_length(new), None, _median_width(new), lines)
    if not new:
        lines = [line for crack in old for line in crack.lines]
        if _shows_too(after.grey, lines, before.grey, [alignment.back(line) for line in lines]):
            return Change("unchanged", *numbers, _total_length(old), None, _median_width(old), None)
        return Change("gone", *numbers, _total_length(old), None, _median_width(old), None)
    added = _added_lines(old, new, before, after, alignment)
    grown = sum(map(length_of, added)) >= max(MIN_GROWTH_PX, MIN_GROWTH_SHARE * _total_length(old))
    first, second, deviation = _compared_widths(old, new)
    wider = first is not None and second is not None and second - first > 2 * deviation
    confirmed = 1 + CONFIRMED_SHARE * ((second or 0) / (first or 1) - 1)
    wider = wider and _darkness_ratio(new, before, after, alignment) >= confirmed
    kind = " and ".join([name for name, is_so in (("longer", grown), ("wider", wider)) if is_so]) or "unchanged"
    return Change(kind, *numbers, _total_length(old), _total_length(new), first, second, added if grown else ())


def _total_length(cracks: Sequence[ViewedCrack]) -> float:
    return sum(length_of(line) for crack in cracks for line in crack.lines)


def _median_width(cracks: Sequence[ViewedCrack]) -> float | None:
    """Returns the median of all claimed widths."""
    widths = np.concatenate([crack.widths_px for crack in cracks if crack.uncertainty_px is not None] or [np.empty(0)])
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else None


def _compared_widths(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack]
) -> tuple[float | None, float | None, float]:
    """Returns the earlier and the later median width, and the standard error of their difference.

    Only points at which both photographs claim a width count; the widths are None where these are too few.
    """
    earlier, later = (_claimed_widths(cracks) for cracks in (old, new))
    if not len(earlier[0]) or not len(later[0]):
        return None, None, 0.0
    distances, index = cKDTree(earlier[0]).query(later[0], distance_upper_bound=NEAR_PX)
    near = np.isfinite(distances)
    if near.sum() < MIN_SHARED_POINTS:
        return None, None, 0.0
    deviation = float(np.hypot(earlier[2], later[2]))
    return float(np.median(earlier[1][index[near]])), float(np.median(later[1][near])), deviation


def _claimed_widths(cracks: Sequence[ViewedCrack]) -> tuple[Array, Array, float]:
    """Returns points (n, 2) and their claimed widths (n,), and the largest standard error of a crack's median width."""
    known = [crack for crack in cracks if crack.uncertainty_px is not None]
    if not known:
        return np.empty((0, 2)), np.empty(0), 0.0
    points = np.concatenate([line for crack in known for line in crack.lines])
    widths = np.concatenate([crack.widths_px for crack in known])
    seen = np.isfinite(widths)
    return points[seen], widths[seen], max(crack.uncertainty_px or 0.0 for crack in known)


def _added_lines(
    old: Sequence[ViewedCrack], new: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment
) -> list[Array]:
    """Returns the stretches of later cracks where the earlier photograph has neither a crack nor a dark line."""
    tree = cKDTree(np.concatenate([points_of(crack) for crack in old]))
    stretches = []
    for crack in new:
        for line in crack.lines:
            points = resampled(line, STEP_PX)
            far = ~np.isfinite(tree.query(points, distance_upper_bound=NEAR_PX)[0])
            far &= _inside(alignment.back(points), before.grey.shape)
            for run in _long_runs(far):
                part = points[run]
                if not _shows_too(before.grey, [alignment.back(part)], after.grey, [part]):
                    stretches.append(part)
    return stretches


def _long_runs(chosen: Array) -> list[slice]:
    """Returns the runs of at least MIN_STRETCH_POINTS that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    slices = [slice(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    return [stretch for stretch in slices if stretch.stop - stretch.start >= MIN_STRETCH_POINTS]


def _shows_too(grey: Array, lines: Sequence[Array], other_grey: Array, other_lines: Sequence[Array]) -> bool:
    """Returns whether a photograph has a dark line where the other has a crack, and True if that is hardly visible.

    The median depth of a dark line, relative to the background, is at least SEEN_DEPTH_SHARE of the other's.
    """
    depths = [_relative_depths(grey, line)[0] for line in lines if len(line) > 2]
    references = [_relative_depths(other_grey, line) for line in other_lines if len(line) > 2]
    if not depths or not references:
        return False
    own, known = np.concatenate(depths), np.concatenate([depth for depth, _ in references])
    clear = np.concatenate([clear for _, clear in references])
    unclear = clear.mean() < CLEAR_SHARE  # a crack that is hardly visible may be in both
    return bool(unclear or np.median(own) >= SEEN_DEPTH_SHARE * np.median(known))


def _darkness_ratio(cracks: Sequence[ViewedCrack], before: View, after: View, alignment: Alignment) -> float:
    """Returns the darkness across the later cracks relative to that across the same lines in the earlier photograph.

    It confirms a change in width: the measured width may depend on the light, the darkness does not.
    """
    shares = []
    for crack in cracks:
        reach_px = PROFILE_PX + float(np.nanmax(crack.widths_px, initial=0.0))
        for line in crack.lines:
            if len(line) > 2:
                earlier = alignment.back(line)
                darkness = _relative_darkness(before.grey, earlier, reach_px) * alignment.enlargement_at(earlier)
                shares.append(_relative_darkness(after.grey, line, reach_px) / np.maximum(darkness, 1e-3))
    return float(np.nanmedian(np.concatenate(shares))) if shares else 0.0


def _relative_darkness(grey: Array, line: Array, reach_px: float) -> Array:
    """Returns the darkness across a line divided by the background, in pixels; NaN where no crack is clear."""
    profiles = profiles_along(grey, line, reach_px)
    return np.where(profiles.clear, profiles.darkness / np.maximum(profiles.background.mean(axis=1), 1.0), np.nan)


def _relative_depths(grey: Array, line: Array) -> tuple[Array, Array]:
    """Returns the depth divided by the background along a line, and where it is clear; first moves it onto the dark."""
    points = centred(grey, line, CENTRING_PX)
    if len(points) < 3:
        return np.zeros(1), np.zeros(1, bool)
    profiles = profiles_along(grey, points, PROFILE_PX)
    return profiles.depth / np.maximum(profiles.background.mean(axis=1), 1.0), profiles.clear
