"""Continues lines beyond their last marked cell for as long as the photograph shows the same crack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.measurement.centres import STEP_PX, darkest_path
from crack_lightning.measurement.paths import across
from crack_lightning.measurement.profiles import profiles_along

Array = np.ndarray

CELL_PX = 4  # side of the cells of Ground
AHEAD_POINTS = 16  # that are examined before the direction is determined again
DIRECTION_POINTS = 8  # at the end of a line, that give its direction
KNOWN_POINTS = 32  # at the end of a line, that show how dark and wide the crack is
ASIDE_PX = 5.0  # how far the crack may lie beside its straight continuation, beyond half its width
MISSED_POINTS = 3  # in a row without a crack that end a line
LEAST_DEPTH = 0.5  # least share of the depth so far
WIDTHS = (0.4, 2.0)  # least and most, times the width so far
SLACK_PX = 1.0  # that a width may lie beyond WIDTHS
MOST_SHARE, MOST_PX = 0.3, 24.0  # an end is continued at most by this share of its line's length plus these pixels


@dataclass(frozen=True)
class Known:
    """Depth in grey levels and width in pixels of a crack near its end."""

    depth: float
    width_px: float


class Ground:
    """A photograph (h, w) of grey levels, and the number of the line that runs through each of its cells of CELL_PX."""

    def __init__(self, grey: Array, lines: Sequence[Array]) -> None:
        self.grey = grey
        self._taken = np.full([-(-side // CELL_PX) for side in grey.shape], -1, np.int32)
        for number, line in enumerate(lines):
            self.take(number, line)

    def take(self, number: int, line: Array) -> None:
        """Records that line `number` runs here."""
        columns, rows = (line // CELL_PX).astype(int).T
        self._taken[rows.clip(0, len(self._taken) - 1), columns.clip(0, self._taken.shape[1] - 1)] = number

    def met(self, number: int, point: Array, radius_px: float) -> int | None:
        """Returns the number of another line within about `radius_px` of a point, or None."""
        column, row = (point // CELL_PX).astype(int).tolist()
        reach = 1 + int(radius_px // CELL_PX)
        near = self._taken[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        others = near[(near >= 0) & (near != number)]
        return int(others[0]) if len(others) else None


def continued(ground: Ground, number: int, line: Array, free: tuple[bool, bool]) -> tuple[Array, list[int]]:
    """Returns line `number` (n, 2), x and y, continued beyond its `free` ends, first and last, as far as the photograph
    shows the crack or up to another line; and the numbers of the lines that it met."""
    most = round((MOST_SHARE * STEP_PX * len(line) + MOST_PX) / STEP_PX)
    met_lines = list[int]()
    for is_free in (free[1], free[0]):
        if is_free:
            line, met = _from_the_end(ground, number, line, most)
            met_lines += [] if met is None else [met]
        line = line[::-1]
    return line, met_lines


def _from_the_end(ground: Ground, number: int, line: Array, most: int) -> tuple[Array, int | None]:
    known, added = _known(ground.grey, line), 0
    if known is None or ground.met(number, line[-1], 0.0) is not None:
        return line, ground.met(number, line[-1], 0.0)
    while added < most:
        more = _ahead(ground.grey, line, known)[: most - added]
        for count, point in enumerate(more):
            met = ground.met(number, point, known.width_px / 2)
            if met is not None:
                return np.concatenate([line, more[: count + 1]]), met
        line, added = np.concatenate([line, more]), added + len(more)
        ground.take(number, more)
        if len(more) < AHEAD_POINTS:
            break
    return line, None


def _known(grey: Array, line: Array) -> Known | None:
    """Returns depth and width of the crack near its end; None where it is not clear."""
    profiles = profiles_along(grey, line[-KNOWN_POINTS:], 16.0)
    width = np.median(profiles.between_flanks)
    if width > 8:
        profiles = profiles_along(grey, line[-KNOWN_POINTS:], 2 * float(width) + 8)
    clear = profiles.clear
    if clear.sum() < max(4, len(clear) // 2):
        return None
    return Known(float(np.median(profiles.depth[clear])), float(np.median(profiles.between_flanks[clear])))


def _ahead(grey: Array, line: Array, known: Known) -> Array:
    """Returns the next points (m, 2) of the crack, at most AHEAD_POINTS of them."""
    direction = line[-1] - line[-min(DIRECTION_POINTS, len(line))]
    direction = direction / max(np.hypot(*direction), 1e-9)
    straight = line[-1] + STEP_PX * np.arange(AHEAD_POINTS + 1)[:, None] * direction
    inside = ((straight >= 0) & (straight <= np.array(grey.shape[::-1]))).all(axis=1)
    straight = straight[: int(inside.argmin()) if not inside.all() else None]
    if len(straight) < MISSED_POINTS + 1:
        return straight[:0]
    side = round(known.width_px / 2 + ASIDE_PX)
    offsets = np.arange(-side, side + 1.0)
    aside = np.tile([-direction[1], direction[0]], (len(straight), 1))
    path = darkest_path(across(grey, straight, aside, offsets), max(1.0, known.width_px / 4), first=side)
    points = (straight + aside * offsets[path][:, None])[1:]
    profiles = profiles_along(grey, points, 2 * known.width_px + 10)
    low, high = WIDTHS[0] * known.width_px - SLACK_PX, WIDTHS[1] * known.width_px + SLACK_PX
    fits = profiles.clear & (profiles.depth >= LEAST_DEPTH * known.depth)
    fits &= (profiles.between_flanks >= low) & (profiles.between_flanks <= high)
    return points[: _before_the_gap(fits)]


def _before_the_gap(fits: Array) -> int:
    """Returns how many points there are before MISSED_POINTS in a row do not fit."""
    missed = 0
    for number, fit in enumerate(fits):
        missed = 0 if fit else missed + 1
        if missed == MISSED_POINTS:
            return number + 1 - missed
    return len(fits) - missed
