"""Where a crack ends: a line goes on beyond its last marked cell for as long as the photograph shows the same crack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.measurement.centres import STEP_PX, darkest_path
from crack_lightning.measurement.paths import across
from crack_lightning.measurement.profiles import profiles_along

Array = np.ndarray

CELL_PX = 4
AHEAD_POINTS = 16  # that are looked at before the direction is taken anew
DIRECTION_POINTS = 8  # of a line, that give the direction of its end
KNOWN_POINTS = 32  # of a line, that show how dark and wide the crack is
ASIDE_PX = 5.0  # that it may lie beside the straight continuation, beyond half its width
MISSED_POINTS = 3  # in a row without a crack end it
LEAST_DEPTH = 0.5  # of the depth so far
WIDTHS = (0.4, 2.0)  # times the width so far
SLACK_PX = 1.0  # of a width, beyond WIDTHS
MOST_SHARE, MOST_PX = 0.3, 24.0  # of the line's length, and pixels, that an end goes on at most


@dataclass(frozen=True)
class Known:
    """Depth in grey levels and width in pixels of a crack near its end."""

    depth: float
    width_px: float


class Ground:
    """A photograph (h, w) of grey levels, and which line, by its number, lies in which cell of CELL_PX of it."""

    def __init__(self, grey: Array, lines: Sequence[Array]) -> None:
        self.grey = grey
        self._taken = np.full([-(-side // CELL_PX) for side in grey.shape], -1, np.int32)
        for number, line in enumerate(lines):
            self.take(number, line)

    def take(self, number: int, line: Array) -> None:
        """The line `number` lies here."""
        columns, rows = (line // CELL_PX).astype(int).T
        self._taken[rows.clip(0, len(self._taken) - 1), columns.clip(0, self._taken.shape[1] - 1)] = number

    def met(self, number: int, point: Array, radius_px: float) -> int | None:
        """The number of another line within some `radius_px` of a point."""
        column, row = (point // CELL_PX).astype(int).tolist()
        reach = 1 + int(radius_px // CELL_PX)
        near = self._taken[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        others = near[(near >= 0) & (near != number)]
        return int(others[0]) if len(others) else None


def continued(ground: Ground, number: int, line: Array, free: tuple[bool, bool]) -> tuple[Array, list[int]]:
    """Line `number` (n, 2), x and y, gone on beyond its `free` ends, first and last, as far as the crack does in the
    photograph or up to another line; and the numbers of the lines that it met."""
    most = round((MOST_SHARE * STEP_PX * len(line) + MOST_PX) / STEP_PX)
    found = list[int]()
    for wanted in (free[1], free[0]):
        if wanted:
            line, met = _from_the_end(ground, number, line, most)
            found += [] if met is None else [met]
        line = line[::-1]
    return line, found


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
    """What the crack is like before its end; None where it is not clear."""
    found = profiles_along(grey, line[-KNOWN_POINTS:], 16.0)
    wide = np.median(found.between_flanks)
    if wide > 8:
        found = profiles_along(grey, line[-KNOWN_POINTS:], 2 * float(wide) + 8)
    clear = found.clear
    if clear.sum() < max(4, len(clear) // 2):
        return None
    return Known(float(np.median(found.depth[clear])), float(np.median(found.between_flanks[clear])))


def _ahead(grey: Array, line: Array, known: Known) -> Array:
    """The next points (m, 2) of the crack, AHEAD_POINTS of them or fewer."""
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
    found = profiles_along(grey, points, 2 * known.width_px + 10)
    low, high = WIDTHS[0] * known.width_px - SLACK_PX, WIDTHS[1] * known.width_px + SLACK_PX
    fits = found.clear & (found.depth >= LEAST_DEPTH * known.depth)
    fits &= (found.between_flanks >= low) & (found.between_flanks <= high)
    return points[: _before_the_gap(fits)]


def _before_the_gap(fits: Array) -> int:
    """How many points there are before MISSED_POINTS in a row do not fit."""
    missed = 0
    for number, fit in enumerate(fits):
        missed = 0 if fit else missed + 1
        if missed == MISSED_POINTS:
            return number + 1 - missed
    return len(fits) - missed
