"""Continues lines beyond their last marked cell for as long as the photograph shows the same crack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.measurement.centres import STEP_PX, darkest_path
from crack_lightning.measurement.paths import across
from crack_lightning.measurement.profiles import profiles_along

Array = np.ndarray

CELL_PX = 4  # side of the cells of LineMap
AHEAD_POINTS = 16  # points examined before the direction is determined again
DIRECTION_POINTS = 8  # points at the end of a line that give its direction
APPEARANCE_POINTS = 32  # points at the end of a line that show how dark and wide the crack is
ASIDE_PX = 5.0  # how far the crack may lie beside its straight continuation, beyond half its width
MAX_MISSED_POINTS = 3  # a line ends where this many points in a row show no crack
MIN_DEPTH_SHARE = 0.5  # a continued point has at least this share of the depth so far
WIDTH_RANGE = (0.4, 2.0)  # smallest and largest width of a continued point, relative to the width so far
WIDTH_SLACK_PX = 1.0  # how far a width may be outside WIDTH_RANGE
# An end is continued by at most this share of its line's length, plus these pixels.
MAX_ADDED_SHARE, MAX_ADDED_PX = 0.3, 24.0


@dataclass(frozen=True)
class Appearance:
    """The depth in grey levels and the width in pixels of a crack near its end."""

    depth: float
    width_px: float


class LineMap:
    """A photograph (h, w) of grey levels, and the index of the line in each of its cells of CELL_PX."""

    def __init__(self, grey: Array, lines: Sequence[Array]) -> None:
        self.grey = grey
        self._line_at = np.full([-(-side // CELL_PX) for side in grey.shape], -1, np.int32)
        for index, line in enumerate(lines):
            self.record(index, line)

    def record(self, index: int, line: Array) -> None:
        """Records that line `index` runs through these points (n, 2)."""
        columns, rows = (line // CELL_PX).astype(int).T
        self._line_at[rows.clip(0, len(self._line_at) - 1), columns.clip(0, self._line_at.shape[1] - 1)] = index

    def line_near(self, index: int, point: Array, radius_px: float) -> int | None:
        """Returns the index of a line other than `index` within about `radius_px` of a point, or None."""
        column, row = (point // CELL_PX).astype(int).tolist()
        reach = 1 + int(radius_px // CELL_PX)
        near = self._line_at[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        others = near[(near >= 0) & (near != index)]
        return int(others[0]) if len(others) else None


def continue_line(line_map: LineMap, index: int, line: Array, free: tuple[bool, bool]) -> tuple[Array, list[int]]:
    """Returns line `index` (n, 2), x and y, continued beyond its free ends, and the indices of the lines that it met.

    `free` tells whether its first and its last end are free. An end is continued as far as the photograph shows the
    crack, or up to another line.
    """
    max_points = round((MAX_ADDED_SHARE * STEP_PX * len(line) + MAX_ADDED_PX) / STEP_PX)
    met_lines = list[int]()
    for is_free in (free[1], free[0]):
        if is_free:
            line, met = _continue_end(line_map, index, line, max_points)
            met_lines += [] if met is None else [met]
        line = line[::-1]
    return line, met_lines


def _continue_end(line_map: LineMap, index: int, line: Array, max_points: int) -> tuple[Array, int | None]:
    met = line_map.line_near(index, line[-1], 0.0)
    if met is not None or (appearance := _appearance_of_end(line_map.grey, line)) is None:
        return line, met
    added = 0
    while added < max_points:
        more = _next_points(line_map.grey, line, appearance)[: max_points - added]
        for count, point in enumerate(more):
            met = line_map.line_near(index, point, appearance.width_px / 2)
            if met is not None:
                return np.concatenate([line, more[: count + 1]]), met
        line, added = np.concatenate([line, more]), added + len(more)
        line_map.record(index, more)
        if len(more) < AHEAD_POINTS:
            break
    return line, None


def _appearance_of_end(grey: Array, line: Array) -> Appearance | None:
    """Returns the depth and width of the crack near its last point; None where it is not clear."""
    profiles = profiles_along(grey, line[-APPEARANCE_POINTS:], 16.0)
    width = np.median(profiles.between_flanks)
    if width > 8:
        profiles = profiles_along(grey, line[-APPEARANCE_POINTS:], 2 * float(width) + 8)
    clear = profiles.clear
    if clear.sum() < max(4, len(clear) // 2):
        return None
    return Appearance(float(np.median(profiles.depth[clear])), float(np.median(profiles.between_flanks[clear])))


def _next_points(grey: Array, line: Array, appearance: Appearance) -> Array:
    """Returns the next points (m, 2) of the crack beyond its last one, at most AHEAD_POINTS."""
    direction = line[-1] - line[-min(DIRECTION_POINTS, len(line))]
    direction = direction / max(np.hypot(*direction), 1e-9)
    straight = line[-1] + STEP_PX * np.arange(AHEAD_POINTS + 1)[:, None] * direction
    inside = ((straight >= 0) & (straight <= np.array(grey.shape[::-1]))).all(axis=1)
    straight = straight[: int(inside.argmin()) if not inside.all() else None]
    if len(straight) < MAX_MISSED_POINTS + 1:
        return straight[:0]
    side = round(appearance.width_px / 2 + ASIDE_PX)
    offsets = np.arange(-side, side + 1.0)
    aside = np.tile([-direction[1], direction[0]], (len(straight), 1))
    path = darkest_path(across(grey, straight, aside, offsets), max(1.0, appearance.width_px / 4), first=side)
    points = (straight + aside * offsets[path][:, None])[1:]
    profiles = profiles_along(grey, points, 2 * appearance.width_px + 10)
    low = WIDTH_RANGE[0] * appearance.width_px - WIDTH_SLACK_PX
    high = WIDTH_RANGE[1] * appearance.width_px + WIDTH_SLACK_PX
    fits = profiles.clear & (profiles.depth >= MIN_DEPTH_SHARE * appearance.depth)
    fits &= (profiles.between_flanks >= low) & (profiles.between_flanks <= high)
    return points[: _count_before_gap(fits)]


def _count_before_gap(fits: Array) -> int:
    """Counts the points before the first MAX_MISSED_POINTS in a row that do not fit."""
    missed = 0
    for index, fit in enumerate(fits):
        missed = 0 if fit else missed + 1
        if missed == MAX_MISSED_POINTS:
            return index + 1 - missed
    return len(fits) - missed
