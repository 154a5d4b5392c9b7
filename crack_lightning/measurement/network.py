"""The lines of all cracks of a photograph together: refined, without doubles, continued, and joined where they meet."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from crack_lightning.measurement.centres import STEP_PX, centred
from crack_lightning.measurement.ends import Ground, continued
from crack_lightning.measurement.paths import across, length_of, normals, resampled, smoothed
from crack_lightning.measurement.profiles import OFFSET_PX, profiles_of

Array = np.ndarray
Place = tuple[float, ...]

WIDE_BAND_PX, WIDE_PX, WIDE_SHARE = (
    6.0,
    5.0,
    0.6,
)  # half a marked band, a crack, and the share of a line that is so wide
NORMAL_POINTS, PROFILE_PX = 3.0, 14.0  # of the line, that give the direction across it; beyond the band's double
SAME_PX, SAME_SHARE = 4.0, 0.7  # a line of which that share lies as near to a longer one is the same crack again


@dataclass(frozen=True)
class Branch:
    """From one end or fork to the next: `points` (n, 2), x and y, in pixels of the upright photograph; the `group` of
    connected branches; half the width of the marked band; probabilities at the points (n,)."""

    points: Array
    group: int
    radius_px: float
    probability: Array


def refined(branches: Sequence[Branch], grey: Array) -> list[list[tuple[Array, Branch]]]:
    """Of each crack its lines (n, 2) on the photograph (h, w) of grey levels, each with the branch that it was."""
    pairs = _without_doubles([(_in_the_middle(grey, branch), branch) for branch in branches])
    lines, kept = _met_again(pairs), [branch for _, branch in pairs]
    free = [_free_ends(branch, Counter(_place(each, end) for each in kept for end in (0, -1))) for branch in kept]
    ground, joined = Ground(grey, lines), dict[int, int]()
    for number, line in enumerate(lines):
        lines[number], met = continued(ground, number, line, free[number])
        for other in met:
            joined[_root(joined, kept[number].group)] = _root(joined, kept[other].group)
    cracks = defaultdict[int, list[tuple[Array, Branch]]](list)
    for line, branch in zip(lines, kept, strict=True):
        cracks[_root(joined, branch.group)].append((line, branch))
    return list(cracks.values())


def _in_the_middle(grey: Array, branch: Branch) -> Array:
    """The line of a branch (n, 2) on the darkest path; where the crack is wide, midway between its flanks."""
    line = centred(grey, branch.points, branch.radius_px)
    if len(line) < 4 or branch.radius_px < WIDE_BAND_PX:
        return line
    reach = 2 * branch.radius_px + PROFILE_PX
    offsets = np.arange(-reach, reach + OFFSET_PX / 2, OFFSET_PX)
    across_line = normals(line, NORMAL_POINTS)
    found = profiles_of(across(grey, line, across_line, offsets), offsets)
    wide = found.clear & (found.between_flanks >= WIDE_PX)
    if wide.mean() < WIDE_SHARE:
        return line
    middle = np.interp(np.arange(len(line)), np.flatnonzero(wide), ((found.left + found.right) / 2)[wide])
    sigma = max(2.0, float(np.median(found.between_flanks[wide])) / STEP_PX / 2)
    moved = line + across_line * ndimage.gaussian_filter1d(ndimage.median_filter(middle, 5), sigma)[:, None]
    return resampled(smoothed(moved, sigma / 2), STEP_PX)


def _root(joined: dict[int, int], group: int) -> int:
    while joined.get(group, group) != group:
        group = joined[group]
    return group


def _place(branch: Branch, end: int) -> Place:
    return tuple(branch.points[end].tolist())


def _free_ends(branch: Branch, met: Counter[Place]) -> tuple[bool, bool]:
    first, last = (met[_place(branch, end)] == 1 for end in (0, -1))
    return first, last


def _without_doubles(pairs: Sequence[tuple[Array, Branch]]) -> list[tuple[Array, Branch]]:
    """Lines that were refined onto a longer one are left out."""
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
            any(ranks[int(owners[k])] < ranks[number] and int(owners[k]) not in dropped for k in found)
            for found in near
        ]
        if np.mean(same) >= SAME_SHARE:
            dropped.add(number)
    return [pair for number, pair in enumerate(pairs) if number not in dropped]


def _met_again(pairs: Sequence[tuple[Array, Branch]]) -> list[Array]:
    """Lines that met at a fork before they were refined meet at one point again."""
    lines, meeting = [line.copy() for line, _ in pairs], defaultdict[Place, list[tuple[int, int]]](list)
    for number, (_, branch) in enumerate(pairs):
        for end in (0, -1):
            meeting[_place(branch, end)].append((number, end))
    for members in meeting.values():
        if len(members) > 1:
            place = np.mean([lines[number][end] for number, end in members], axis=0)
            for number, end in members:
                lines[number][end] = place
    return lines
