"""Measures a crack: its lines in pixels of the photograph, its length, its width and its probability."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crack_lightning.measurement.network import Branch, reach_of
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.profiles import Profiles, profiles_along
from crack_lightning.measurement.widths import Width, width_of

Array = np.ndarray

# A side branch is shorter than BRANCH_SHARE of the longest line. It is dropped if less than BRANCH_CLEAR_SHARE of it is
# clear, or if its depth is less than BRANCH_DEPTH_SHARE of the longest line's.
BRANCH_SHARE, BRANCH_CLEAR_SHARE, BRANCH_DEPTH_SHARE = 0.5, 0.5, 0.35
FORK_POINTS = 10  # no width is measured at this many points of a line next to a fork
NEAR_EDGE_PX = 14.0  # a line towards the edge that ends within this distance is continued to it
AT_EDGE_PX = 0.5  # an end within this distance touches the edge
MIN_LINE_PX = 0.1  # shorter lines are dropped
DIRECTION_POINTS = 4  # points at the end of a line that give its direction


@dataclass(frozen=True)
class Crack:
    """A crack: connected `lines` (n, 2), x and y, in pixels of the upright photograph.

    `width.along` has a width for each of their points, line after line; `profiles` are across each line.
    `mean_probability` and `least_probability` are those of the cells along the lines, `probability` that of the whole
    mark to be a crack, None where nothing judged it, `likely` whether it is in the first view.
    """

    lines: Sequence[Array]
    width: Width
    profiles: Sequence[Profiles]
    mean_probability: float
    least_probability: float
    touches_edge: bool
    probability: float | None = None
    likely: bool = True

    @property
    def length_px(self) -> float:
        """Returns the length of all branches together."""
        return sum(length_of(line) for line in self.lines)

    @property
    def widest_place(self) -> tuple[float, float] | None:
        """Returns x and y of the widest point; None where no width is claimed."""
        if self.width.widest is None:
            return None
        x, y = np.concatenate(list(self.lines))[self.width.widest]
        return float(x), float(y)


def measure_crack(parts: Sequence[tuple[Array, Branch]], grey: Array, *, as_given: bool = False) -> Crack:
    """Measures the crack whose refined lines and branches are `parts`, on grey levels (h, w), 0..255.

    Unless the lines are to stay `as_given`, they are continued to edges near by, and faint side branches are dropped.
    """
    given, branches = [line for line, _ in parts], [branch for _, branch in parts]
    continued, touches = _continued_to_edges(given, grey.shape)
    lines = given if as_given else continued
    profiles = all_profiles(grey, lines, branches)
    kept = list(range(len(lines))) if as_given else _without_faint_branches(lines, profiles)
    if len(kept) < len(lines):
        lines, branches = [lines[k] for k in kept], [branches[k] for k in kept]
        end_counts = _count_ends(lines)
        pairs = zip(lines, (profiles[k] for k in kept), strict=True)
        profiles = [replace(across, alone=_away_from_forks(line, end_counts)) for line, across in pairs]
    probabilities = np.concatenate([branch.probability for branch in branches])
    return Crack(lines, width_of(profiles), profiles, float(probabilities.mean()), float(probabilities.min()), touches)


def all_profiles(grey: Array, lines: Sequence[Array], branches: Sequence[Branch]) -> list[Profiles]:
    """Returns the profiles across the lines of one crack; each line was refined from its branch."""
    end_counts = _count_ends(lines)
    pairs = zip(lines, branches, strict=True)
    return [profiles_along(grey, line, reach_of(branch), _away_from_forks(line, end_counts)) for line, branch in pairs]


def _count_ends(lines: Sequence[Array]) -> Counter[tuple[float, ...]]:
    """Counts how many lines end at each point."""
    return Counter(tuple(line[end].tolist()) for line in lines for end in (0, -1))


def _without_faint_branches(lines: Sequence[Array], profiles: Sequence[Profiles]) -> list[int]:
    """Returns the indices of the lines, without short side branches that the photograph hardly shows."""
    longest = max(range(len(lines)), key=lambda index: len(lines[index]))
    depth, end_counts = _median_depth(profiles[longest]), _count_ends(lines)
    kept = []
    for index, (line, across) in enumerate(zip(lines, profiles, strict=True)):
        free = sum(end_counts[tuple(line[end].tolist())] == 1 for end in (0, -1))
        side = free == 1 and len(line) < BRANCH_SHARE * len(lines[longest])
        faint = (
            across.clear.sum() < BRANCH_CLEAR_SHARE * max(across.alone.sum(), 1)
            or _median_depth(across) < BRANCH_DEPTH_SHARE * depth
        )
        has_no_length = length_of(line) < MIN_LINE_PX  # other programs reject such a line
        if index == longest or not (has_no_length or (side and faint)):
            kept.append(index)
    return kept


def _median_depth(across: Profiles) -> float:
    return float(np.median(across.depth[across.clear])) if across.clear.any() else 0.0


def _away_from_forks(line: Array, end_counts: Counter[tuple[float, ...]]) -> Array:
    """Returns which points (n,) of a line are away from forks: at a fork, a profile shows more than one crack."""
    alone, points = np.ones(len(line), bool), min(FORK_POINTS, len(line) // 3)
    if points and end_counts[tuple(line[0].tolist())] > 1:
        alone[:points] = False
    if points and end_counts[tuple(line[-1].tolist())] > 1:
        alone[-points:] = False
    return alone


def _continued_to_edges(lines: list[Array], size_hw: tuple[int, ...]) -> tuple[list[Array], bool]:
    """Continues lines that run towards an edge of the photograph and end near it, up to that edge.

    Also returns whether any line touches an edge.
    """
    continued, touches, size = [], False, np.array(size_hw[::-1], float)
    for line in lines:
        extended = line.clip(0, size)
        for _ in range(2):  # the last end, then the first
            place = _edge_point(extended, size)
            if place is not None:
                extended, touches = np.concatenate([extended, place[None]]), True
            touches = touches or bool(min(extended[-1].min(), (size - extended[-1]).min()) < AT_EDGE_PX)
            extended = extended[::-1]
        continued.append(extended)
    return continued, touches


def _edge_point(line: Array, size: Array) -> Array | None:
    """Returns where a line leaves a picture of `size` (width, height) beyond its last point; None if that is far."""
    end = line[-1]
    along = end - line[-min(DIRECTION_POINTS + 1, len(line))]
    norm = np.hypot(*along)
    if norm < 1e-9 or min(end.min(), (size - end).min()) > NEAR_EDGE_PX:
        return None
    along = along / norm
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(along > 0, (size - end) / along, np.where(along < 0, -end / along, np.inf)).min()
    return np.asarray((end + along * reach).clip(0, size)) if 0 < reach <= 2 * NEAR_EDGE_PX else None
