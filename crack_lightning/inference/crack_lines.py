"""Extracts the cracks of a photograph from its crack map, as lines."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import ndimage

from crack_lightning.inference.grouping import LEAST_CELLS, keep_cracks
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.mark_traits import MarkTraits
from crack_lightning.measurement.cracks import Crack, measure_crack
from crack_lightning.measurement.network import Branch, refine_cracks
from crack_lightning.measurement.record import is_likely
from crack_lightning.measurement.skeletons import Skeleton, skeleton_of
from crack_lightning.measurement.skeletons import lengths_of as lengths_in_cells
from crack_lightning.models.mark_judge import MarkJudge

Array = np.ndarray

CONTINUATION_ODDS = 0.3  # cells down to these log-odds below the threshold continue a marked crack
FAINTEST_ODDS = 1.0  # a faint line may be down to these log-odds below the threshold
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def cracks_of(
    heat: Heat, grey: Array, threshold: float, *, shortest_px: float = 0.0, judge: MarkJudge | None = None
) -> list[Crack]:
    """Returns the cracks that a crack map marks at `threshold`, those that are likely first, and the longest first.

    They are measured on the photograph's grey levels (h, w), 0..255. Cracks shorter than LEAST_CELLS or `shortest_px`
    are dropped. With a `judge` each has the probability that it is a crack.
    """
    odds, marked = marked_cells(heat, threshold)
    skeleton = skeleton_of(marked, odds)
    lengths = lengths_in_cells(skeleton)
    branches = [branch for branch in _branches_in_pixels(skeleton, heat) if lengths[branch.group] >= LEAST_CELLS - 1]
    cracks = [measure_crack(parts, grey) for parts in refine_cracks(branches, grey)]
    long_enough = [crack for crack in cracks if crack.length_px >= shortest_px]
    return sorted(_judged(long_enough, heat, grey, judge), key=_rank)


def _judged(cracks: list[Crack], heat: Heat, grey: Array, judge: MarkJudge | None) -> list[Crack]:
    """Returns the cracks with the probabilities of `judge`, if there is one and the map says what the network saw."""
    if judge is None or heat.seen is None or not cracks:
        return cracks
    describing = MarkTraits(heat, heat.seen, grey)
    probabilities = judge.probabilities(np.stack([describing.of(crack.lines) for crack in cracks])).tolist()
    longest = max(heat.size_hw)
    return [
        replace(crack, probability=value, likely=is_likely(value, crack.length_px / longest))
        for crack, value in zip(cracks, probabilities, strict=True)
    ]


def _rank(crack: Crack) -> tuple[bool, float]:
    """Returns what cracks are sorted by: likely ones come first, and in both groups those with more length to lose."""
    probability = 1.0 if crack.probability is None else crack.probability
    return not crack.likely, -probability * crack.length_px


def faint_lines(heat: Heat, threshold: float) -> list[tuple[Array, float, bool]]:
    """Returns lines (n, 2), x and y, each with its mean log-odds above `threshold`, and whether most of it is marked at
    that; the longest first.

    The map marks them, or would mark them at a threshold that is FAINTEST_ODDS lower. They go through the middles of
    cells and are not refined on the photograph.
    """
    lower = float(1 / (1 + np.exp(FAINTEST_ODDS - _log_odds(np.array(threshold)))))
    odds, faint = marked_cells(heat, lower)
    _, marked = marked_cells(heat, threshold)
    skeleton = skeleton_of(faint, odds)
    lengths, level = lengths_in_cells(skeleton), _log_odds(np.array(threshold))
    lines = []
    for cells, branch in zip(skeleton.branches, _branches_in_pixels(skeleton, heat), strict=True):
        if lengths[branch.group] >= LEAST_CELLS - 1 and len(branch.points) > 2:
            is_marked = bool(marked[tuple(np.rint(cells).astype(int).T)].mean() >= 0.5)
            lines.append((branch.points, float((_log_odds(branch.probability) - level).mean()), is_marked))
    return sorted(lines, key=lambda facts: -len(facts[0]))


def marked_cells(heat: Heat, threshold: float) -> tuple[Array, Array]:
    """Returns log-odds (h, w), 0 at the threshold, and which cells (h, w) are cracks or their fainter continuations."""
    strong = keep_cracks(heat, threshold)
    odds = _log_odds(strong.probability) - _log_odds(np.array(threshold))
    fainter = 1 / (1 + np.exp(CONTINUATION_ODDS - _log_odds(np.array(threshold))))
    weak = keep_cracks(heat, float(fainter)).probability >= fainter
    marked = strong.probability >= threshold
    groups, count = ndimage.label(ndimage.binary_dilation(weak | marked, EIGHT_NEIGHBOURS), EIGHT_NEIGHBOURS)
    kept = np.bincount(groups[marked], minlength=count + 1) > 0
    return odds, np.asarray((weak & kept[groups]) | marked)


def _log_odds(probability: Array) -> Array:
    clipped = probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _branches_in_pixels(skeleton: Skeleton, heat: Heat) -> Iterator[Branch]:
    """Yields the branches of a skeleton in pixels of the photograph."""
    for cells, group in zip(skeleton.branches, skeleton.groups, strict=True):
        rows, columns = cells.T
        x = np.interp(columns, np.arange(len(heat.x_px)), heat.x_px)
        y = np.interp(rows, np.arange(len(heat.y_px)), heat.y_px)
        radius = float(np.percentile(skeleton.radius[tuple(np.rint(cells).astype(int).T)], 90)) * heat.window_px
        probability = ndimage.map_coordinates(heat.probability, cells.T, order=1, mode="nearest")
        yield Branch(np.column_stack([x, y]), group, radius, probability)
