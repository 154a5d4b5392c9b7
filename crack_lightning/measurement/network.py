"""Refines the lines of all cracks of a photograph together: without doubles, continued, and joined where they meet."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from crack_lightning.measurement.centres import STEP_PX, centred
from crack_lightning.measurement.ends import Ground, continued
from crack_lightning.measurement.paths import length_of, normals, resampled, root_of, smoothed
from crack_lightning.measurement.profiles import NORMAL_POINTS, profiles_along

Array = np.ndarray
Position = tuple[float, ...]

# A line is wide from this half width of its marked band on, if the crack is this wide along this share of it.
WIDE_BAND_PX, WIDE_PX, WIDE_SHARE = 6.0, 5.0, 0.6
PROFILE_BANDS, PROFILE_PX = 2.0, 14.0  # a profile reaches this many half widths of the band, plus these pixels
SAME_PX, SAME_SHARE = 4.0, 0.7  # a line of which this share lies this near to a longer one is a double


@dataclass(frozen=True)
class Branch:
    """A line from one end or fork to the next: `points` (n, 2), x and y, in pixels of the upright photograph; the
    `group` of connected branches; half the width of the marked band; probabilities at the points (n,)."""

    points: Array
    group: int
    radius_px: float
    probability: Array


def refined(branches: Sequence[Branch], grey: Array) -> list[list[tuple[Array, Branch]]]:
    """Returns the lines (n, 2) of each crack, refined on the photograph (h, w) of grey levels, each with its branch."""
    pairs = _without_doubles([(_in_the_middle(grey, branch), branch) for branch in branches])
    lines, kept = _joined_at_forks(pairs), [branch for _, branch in pairs]
    free = [_free_ends(branch, Counter(_place(b, end) for b in kept for end in (0, -1))) for branch in kept]
    ground, joined = Ground(grey, lines), dict[int, int]()
    for number, line in enumerate(lines):
        lines[number], met = continued(ground, number, line, free[number])
        for other in met:
            joined[root_of(joined, kept[number].group)] = root_of(joined, kept[other].group)
    cracks = defaultdict[int, list[tuple[Array, Branch]]](list)
    for line, branch in zip(lines, kept, strict=True):
        cracks[root_of(joined, branch.group)].append((line, branch))
    return list(cracks.values())


def _in_the_middle(grey: Array, branch: Branch) -> Array:
    """Returns the line of a branch (n, 2) on the darkest path; where the crack is wide, midway between its flanks."""
    line = centred(grey, branch.points, branch.radius_px)
    if len(line) < 4 or branch.radius_px < WIDE_BAND_PX:
        return line
    profiles = profiles_along(grey, line, reach_of(branch))
    wide = profiles.clear & (profiles.between_flanks >= WIDE_PX)
    if wide.mean() < WIDE_SHARE:
        return line
    middle = np.interp(np.arange(len(line)), np.flatnonzero(wide), ((profiles.left + profiles.right) / 2)[wide])
    sigma = max(2.0, float(np.median(profiles.between_flanks[wide])) / STEP_PX / 2)
    moved = (
        line
        + normals(line, NORMAL_POINTS) * ndimage.gaussian_filter1d(ndimage.median_filter(middle, 5), sigma)[:, None]
    )
    return resampled(smoothed(moved, sigma / 2), STEP_PX)


def reach_of(branch: Branch) -> float:
    """Returns how far, in pixels, profiles across a branch reach to each side."""
    return PROFILE_BANDS * branch.radius_px + PROFILE_PX


def _place(branch: Branch, end: int) -> Position:
    return tuple(branch.points[end].tolist())


def _free_ends(branch: Branch, met: Counter[Position]) -> tuple[bool, bool]:
    first, last = (met[_place(branch, end)] == 1 for end in (0, -1))
    return first, last


def _without_doubles(pairs: Sequence[tuple[Array, Branch]]) -> list[tuple[Array, Branch]]:
    """Drops lines that were refined onto a longer one."""
    order = sorted(range(len(pairs)), key=lambda number: -length_of(pairs[number][0]))
    ranks = {number: rank for rank, number in enumerate(order)}
    points = np.concatenate([line for line, _ in pairs]) if pairs else np.empty((0, 2))
    owners = np.concatenate([np.full(len(line), k) for k, (line, _) in enumerate(pairs)]) if pairs else np.empty(0)
    tree = cKDTree(points)
    dropped = set[int]()
    for number in reversed(order):
        line = pairs[number][0]
        near = tree.query_ball_point(line, SAME_PX)
        same = [
            any(ranks[int(owners[k])] < ranks[number] and int(owners[k]) not in dropped for k in numbers)
            for numbers in near
        ]
        if np.mean(same) >= SAME_SHARE:
            dropped.add(number)
    return [pair for number, pair in enumerate(pairs) if number not in dropped]


def _joined_at_forks(pairs: Sequence[tuple[Array, Branch]]) -> list[Array]:
    """Joins lines at one point again that met at a fork before they were refined."""
    lines, meeting = [line.copy() for line, _ in pairs], defaultdict[Position, list[tuple[int, int]]](list)
    for number, (_, branch) in enumerate(pairs):
        for end in (0, -1):
            meeting[_place(branch, end)].append((number, end))
    for members in meeting.values():
        if len(members) > 1:
            place = np.mean([lines[number][end] for number, end in members], axis=0)
            for number, end in members:
                lines[number][end] = place
    return lines
