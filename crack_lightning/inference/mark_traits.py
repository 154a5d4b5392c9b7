"""Describes a mark as a whole: by its shape, the light along it, and what the network saw along it."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from crack_lightning.inference.grouping import crack_cells
from crack_lightning.inference.heat import Heat, Seen
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.models.crack_map import CELL_PX

Array = np.ndarray

FAINTEST_ODDS = -1.5  # cells of cracks down to these log-odds keep what the network saw
LOCAL_CELLS, DENSITY_CELLS = 15, 51  # sides of the squares for local brightness and for the density of marks
EDGE_PX = 2 * CELL_PX  # a mark this near to the edge of the photograph touches it


def seen_of(heat: Heat, hidden: Array) -> Seen:
    """Returns what the network saw in a map's faint cracks, from its `hidden` maps (k, h, w)."""
    clipped = heat.probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    faint = crack_cells(np.log(clipped) - np.log1p(-clipped), FAINTEST_ODDS)
    cells = np.argwhere(ndimage.binary_dilation(faint, np.ones((3, 3), bool)))
    values = hidden[:, cells[:, 0], cells[:, 1]].T.astype(np.float32) - hidden.mean(axis=(1, 2), dtype=np.float32)
    return Seen(cells.astype(np.uint16), values.astype(np.float16))


def seen_along(heat: Heat, seen: Seen, lines: Sequence[Array]) -> Array:
    """Returns the mean (k,) of what the network saw in the cells along lines (n, 2), x and y."""
    return seen.along(_cells_along(heat, lines), heat.probability.shape[1])


def _cells_along(heat: Heat, lines: Sequence[Array]) -> Array:
    """Returns the rows and columns (n, 2) of the cells along lines (n, 2), x and y, each cell once."""
    points = np.concatenate([resampled(line, CELL_PX) for line in lines])
    first = np.array([heat.y_px[0], heat.x_px[0]])
    cells = np.rint((points[:, ::-1] - first) / heat.window_px).astype(int)
    return np.unique(cells.clip(0, np.array(heat.probability.shape) - 1), axis=0)


class MarkTraits:
    """Describes the marks of one photograph with a map and grey levels (h, w)."""

    def __init__(self, heat: Heat, seen: Seen, grey: Array) -> None:
        self.heat, self.seen, self.size_hw = heat, seen, heat.size_hw
        clipped = heat.probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
        self._odds = np.log(clipped) - np.log1p(-clipped)
        self._dark = _darkness(grey, heat)
        self._density = ndimage.uniform_filter((self._odds > 0).astype(np.float32), DENSITY_CELLS)

    def of(self, lines: Sequence[Array]) -> Array:
        """Returns the traits (TRAITS of MarkJudge,) of a mark with `lines` (n, 2), x and y."""
        points = np.concatenate([resampled(line, CELL_PX) for line in lines])
        cells = _cells_along(self.heat, lines)
        inside = tuple(cells.T)
        odds, dark = self._odds[inside], self._dark[inside]
        length_px = max(1.0, sum(map(length_of, lines)))
        longest, branches = max(self.size_hw), len(lines)
        edge = min(points.min(), (np.array(self.size_hw[::-1]) - points).min())
        light = [odds.mean(), odds.max(), np.percentile(odds, 20), odds.std(), dark.mean(), dark.std(), dark.max()]
        rest = [
            np.log(length_px),
            np.log(length_px / longest),
            branches / length_px * 100,
            self._density[inside].mean(),
        ]
        shape = [*_straightness(points, max(lines, key=len)), *light, *rest, float(edge < EDGE_PX), float(branches > 1)]
        return np.concatenate([np.array(shape, np.float32), self.seen.along(cells, self.heat.probability.shape[1])])


def _straightness(points: Array, longest: Array) -> list[float]:
    """Returns chord to length, deviations from a straight line and from a bow, the latter to extent, and tilt."""
    chord = float(np.hypot(*(longest[-1] - longest[0])))
    centred = points - points.mean(axis=0)
    spread, axes = np.linalg.eigh(np.cov(centred.T, bias=True) + 1e-6 * np.eye(2))
    along, aside = centred @ axes[:, 1], centred @ axes[:, 0]
    extent = float(np.ptp(along)) + CELL_PX
    bow = np.polyval(np.polyfit(along / extent, aside, 2), along / extent) if len(points) > 8 else np.zeros(len(points))
    tilt = float(np.abs(axes[:, 1]).min())
    return [
        chord / max(length_of(longest), 1e-6),
        float(np.sqrt(max(spread[0], 0))),
        float((aside - bow).std()),
        float((aside - bow).std()) / extent * 100,
        tilt,
    ]


def _lowest_near(grey: Array, middles: Array, side: int) -> Array:
    """Returns the lowest value (m, w) of the `side` rows of a picture (h, w) around each of the rows `middles` (m,);
    beyond its edges the picture is mirrored."""
    rows = np.rint(middles).astype(int).clip(0, len(grey) - 1)[:, None] + np.arange(side) - side // 2
    rows = np.where(rows < 0, -1 - rows, rows)
    rows = np.where(rows >= len(grey), 2 * len(grey) - 1 - rows, rows).clip(0, len(grey) - 1)
    lowest = grey[rows[:, 0]]
    for column in rows.T[1:]:
        np.minimum(lowest, grey[column], out=lowest)
    return lowest


def _darkness(grey: Array, heat: Heat) -> Array:
    """Returns how much darker (h/4, w/4) the darkest pixel of each cell is than its neighbourhood, as a share of it."""
    side = max(1, round(heat.window_px))
    darkest = _lowest_near(_lowest_near(grey, heat.y_px, side).T, heat.x_px, side).T.astype(np.float32)
    local = ndimage.uniform_filter(darkest, LOCAL_CELLS)
    return np.asarray((local - darkest) / np.maximum(local, 10))
