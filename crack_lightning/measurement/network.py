"""Refines the lines of all cracks of a photograph: drops doubles, continues ends, and joins lines where they meet."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from crack_lightning.measurement.centres import STEP_PX, centred
from crack_lightning.measurement.ends import LineMap, continue_line
from crack_lightning.measurement.paths import length_of, normals, resampled, root_of, smoothed
from crack_lightning.measurement.profiles import NORMAL_POINTS, profiles_along

Array = np.ndarray
Position = tuple[float, ...]

# A line is wide if half of its marked band is WIDE_BAND_PX or more, and WIDE_SHARE of it is WIDE_PX wide or more.
WIDE_BAND_PX, WIDE_PX, WIDE_SHARE = 6.0, 5.0, 0.6
PROFILE_RADII, PROFILE_MARGIN_PX = 2.0, 14.0  # reach of a profile: half widths of the band, plus pixels
DOUBLE_PX, DOUBLE_SHARE = 4.0, 0.7  # a line is a double if this share of it is this near to a longer one


@dataclass(frozen=True)
class Branch:
    """A line from one end or fork to the next.

    `points` (n, 2): x and y in pixels of the upright photograph.
    `group`: the same number for all connected branches.
    `radius_px`: half the width of the marked band.
    `probability` (n,): the map's probability at each point.
    """

    points: Array
    group: int
    radius_px: float
    probability: Array


def refine_cracks(branches: Sequence[Branch], grey: Array) -> list[list[tuple[Array, Branch]]]:
    """Returns the lines (n, 2) of each crack, refined on the photograph (h, w) of grey levels, each with its branch."""
    pairs = _without_doubles([(centre_line(grey, branch), branch) for branch in branches])
    lines, kept = _rejoined_at_forks(pairs), [branch for _, branch in pairs]
    free = [_free_ends(branch, Counter(_position_of_end(b, end) for b in kept for end in (0, -1))) for branch in kept]
    line_map, joined = LineMap(grey, lines), dict[int, int]()
    for index, line in enumerate(lines):
        lines[index], met = continue_line(line_map, index, line, free[index])
        for other in met:
            joined[root_of(joined, kept[index].group)] = root_of(joined, kept[other].group)
    cracks = defaultdict[int, list[tuple[Array, Branch]]](list)
    for line, branch in zip(lines, kept, strict=True):
        cracks[root_of(joined, branch.group)].append((line, branch))
    return list(cracks.values())


def centre_line(grey: Array, branch: Branch) -> Array:
    """Returns the line of a branch (n, 2) along the darkest path, or midway between the flanks of a wide crack."""
    line = centred(grey, branch.points, branch.radius_px)
    if len(line) < 4 or branch.radius_px < WIDE_BAND_PX:
        return line
    profiles = profiles_along(grey, line, reach_of(branch))
    wide = profiles.clear & (profiles.between_flanks >= WIDE_PX)
    if wide.mean() < WIDE_SHARE:
        return line
    middle = np.interp(np.arange(len(line)), np.flatnonzero(wide), ((profiles.left + profiles.right) / 2)[wide])
    sigma = max(2.0, float(np.median(profiles.between_flanks[wide])) / STEP_PX / 2)
    offsets = ndimage.gaussian_filter1d(ndimage.median_filter(middle, 5), sigma)
    moved = line + normals(line, NORMAL_POINTS) * offsets[:, None]
    return resampled(smoothed(moved, sigma / 2), STEP_PX)


def reach_of(branch: Branch) -> float:
    """Returns how far, in pixels, profiles across a branch reach to each side."""
    return PROFILE_RADII * branch.radius_px + PROFILE_MARGIN_PX


def _position_of_end(branch: Branch, end: int) -> Position:
    return tuple(branch.points[end].tolist())


def _free_ends(branch: Branch, end_counts: Counter[Position]) -> tuple[bool, bool]:
    first, last = (end_counts[_position_of_end(branch, end)] == 1 for end in (0, -1))
    return first, last


def _without_doubles(pairs: Sequence[tuple[Array, Branch]]) -> list[tuple[Array, Branch]]:
    """Drops lines that became the same as a longer one when they were refined."""
    order = sorted(range(len(pairs)), key=lambda index: -length_of(pairs[index][0]))
    ranks = {index: rank for rank, index in enumerate(order)}
    points = np.concatenate([line for line, _ in pairs]) if pairs else np.empty((0, 2))
    owners = np.concatenate([np.full(len(line), k) for k, (line, _) in enumerate(pairs)]) if pairs else np.empty(0)
    tree = cKDTree(points)
    dropped = set[int]()
    for index in reversed(order):
        line = pairs[index][0]
        near = tree.query_ball_point(line, DOUBLE_PX)
        same = [
            any(ranks[int(owners[k])] < ranks[index] and int(owners[k]) not in dropped for k in indices)
            for indices in near
        ]
        if np.mean(same) >= DOUBLE_SHARE:
            dropped.add(index)
    return [pair for index, pair in enumerate(pairs) if index not in dropped]


def _rejoined_at_forks(pairs: Sequence[tuple[Array, Branch]]) -> list[Array]:
    """Rejoins the lines that met at a fork before they were refined."""
    lines, meeting = [line.copy() for line, _ in pairs], defaultdict[Position, list[tuple[int, int]]](list)
    for index, (_, branch) in enumerate(pairs):
        for end in (0, -1):
            meeting[_position_of_end(branch, end)].append((index, end))
    for members in meeting.values():
        if len(members) > 1:
            fork = np.mean([lines[index][end] for index, end in members], axis=0)
            for index, end in members:
                lines[index][end] = fork
    return lines
