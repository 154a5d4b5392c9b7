"""A crack: its lines in pixels of the photograph, its length and width, and how sure the map is of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.measurement.network import Branch, reach_of
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.profiles import Profiles, profiles_along
from crack_lightning.measurement.widths import Width, width_of

Array = np.ndarray

# A side branch is shorter than SIDE_SHARE of the longest line. It is dropped where less than SIDE_CLEAR of it is clear,
# or its depth is less than SIDE_DEPTH of the longest line's.
SIDE_SHARE, SIDE_CLEAR, SIDE_DEPTH = 0.5, 0.5, 0.35
FORK_POINTS = 10  # of a line, next to a fork, at which no width is measured
EDGE_PX = 14.0  # a line that runs towards the edge and ends this near is continued to it
AT_EDGE_PX = 0.5  # an end this near touches the edge
LEAST_LINE_PX = 0.1
DIRECTION_POINTS = 4  # at the end of a line, that give its direction


@dataclass(frozen=True)
class Crack:
    """Connected lines (n, 2), x and y, in pixels of the upright photograph; `width.along` has a width for each of their
    points, line after line."""

    lines: Sequence[Array]
    width: Width
    profiles: Sequence[Profiles]
    mean_probability: float
    least_probability: float
    touches_edge: bool

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


def measured(parts: Sequence[tuple[Array, Branch]], grey: Array) -> Crack:
    """Measures the crack of these lines on the photograph (h, w) of grey levels, 0..255."""
    lines, touches = _to_the_edges([line for line, _ in parts], grey.shape)
    branches = [branch for _, branch in parts]
    profiles = all_profiles(grey, lines, branches)
    kept = _without_doubtful(lines, profiles)
    if len(kept) < len(lines):
        lines, branches = [lines[k] for k in kept], [branches[k] for k in kept]
        profiles = all_profiles(grey, lines, branches)
    probabilities = np.concatenate([branch.probability for branch in branches])
    return Crack(lines, width_of(profiles), profiles, float(probabilities.mean()), float(probabilities.min()), touches)


def all_profiles(grey: Array, lines: Sequence[Array], branches: Sequence[Branch]) -> list[Profiles]:
    """Returns the profiles across the lines of one crack; each line was refined from its branch."""
    met = _meetings(lines)
    pairs = zip(lines, branches, strict=True)
    return [profiles_along(grey, line, reach_of(branch), _alone(line, met)) for line, branch in pairs]


def _meetings(lines: Sequence[Array]) -> Counter[tuple[float, ...]]:
    """Counts the ends of lines at each place."""
    return Counter(tuple(line[end].tolist()) for line in lines for end in (0, -1))


def _without_doubtful(lines: Sequence[Array], profiles: Sequence[Profiles]) -> list[int]:
    """Returns the numbers of the lines, without short side branches that the photograph hardly shows."""
    longest = max(range(len(lines)), key=lambda number: len(lines[number]))
    depth, met = _depth_of(profiles[longest]), _meetings(lines)
    kept = []
    for number, (line, across) in enumerate(zip(lines, profiles, strict=True)):
        free = sum(met[tuple(line[end].tolist())] == 1 for end in (0, -1))
        side = free == 1 and len(line) < SIDE_SHARE * len(lines[longest])
        faint = across.clear.sum() < SIDE_CLEAR * max(across.alone.sum(), 1) or _depth_of(across) < SIDE_DEPTH * depth
        has_no_length = length_of(line) < LEAST_LINE_PX  # other programs reject such a line
        if number == longest or not (has_no_length or (side and faint)):
            kept.append(number)
    return kept


def _depth_of(across: Profiles) -> float:
    return float(np.median(across.depth[across.clear])) if across.clear.any() else 0.0


def _alone(line: Array, met: Counter[tuple[float, ...]]) -> Array:
    """Returns which points (n,) of a line are not at a fork, where a profile shows more than one crack."""
    alone, points = np.ones(len(line), bool), min(FORK_POINTS, len(line) // 3)
    if points and met[tuple(line[0].tolist())] > 1:
        alone[:points] = False
    if points and met[tuple(line[-1].tolist())] > 1:
        alone[-points:] = False
    return alone


def _to_the_edges(lines: list[Array], size_hw: tuple[int, ...]) -> tuple[list[Array], bool]:
    """Continues lines that end near an edge of the photograph, and run towards it, to the edge; also returns whether
    any line touches one."""
    continued, touches, high = [], False, np.array(size_hw[::-1], float)
    for line in lines:
        extended = line.clip(0, high)
        for _ in range(2):  # the last end, then the first
            place = _beyond(extended, high)
            if place is not None:
                extended, touches = np.concatenate([extended, place[None]]), True
            touches = touches or bool(min(extended[-1].min(), (high - extended[-1]).min()) < AT_EDGE_PX)
            extended = extended[::-1]
        continued.append(extended)
    return continued, touches


def _beyond(line: Array, high: Array) -> Array | None:
    """Returns where a line would leave the picture of size `high` (width, height) at its last end, if that is near."""
    end = line[-1]
    along = end - line[-min(DIRECTION_POINTS + 1, len(line))]
    norm = np.hypot(*along)
    if norm < 1e-9 or min(end.min(), (high - end).min()) > EDGE_PX:
        return None
    along = along / norm
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(along > 0, (high - end) / along, np.where(along < 0, -end / along, np.inf)).min()
    return np.asarray((end + along * reach).clip(0, high)) if 0 < reach <= 2 * EDGE_PX else None
