"""Extracts the cracks of a photograph, as lines, from its crack map."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from crack_lightning.inference.crack_maps import LEAST_CELLS, followed
from crack_lightning.inference.heat import Heat
from crack_lightning.measurement.cracks import Crack, measured
from crack_lightning.measurement.network import Branch, refined
from crack_lightning.measurement.skeletons import Skeleton, skeleton_of
from crack_lightning.measurement.skeletons import lengths_of as lengths_in_cells

Array = np.ndarray

FAINTER = 0.3  # log-odds below the threshold down to which a marked crack is followed
FAINTEST = 1.0  # log-odds below the threshold down to which a line may be a crack
NEAR = np.ones((3, 3), bool)


def cracks_of(heat: Heat, grey: Array, threshold: float, *, shortest_px: float = 0.0) -> list[Crack]:
    """Returns the cracks that a crack map marks at `threshold`, measured on the photograph (h, w) of grey levels,
    0..255; the longest first, without those shorter than LEAST_CELLS or `shortest_px`."""
    odds, marked = marked_cells(heat, threshold)
    skeleton = skeleton_of(marked, odds)
    lengths = lengths_in_cells(skeleton)
    branches = [branch for branch in _branches(skeleton, heat) if lengths[branch.group] >= LEAST_CELLS - 1]
    cracks = [measured(parts, grey) for parts in refined(branches, grey)]
    return sorted((crack for crack in cracks if crack.length_px >= shortest_px), key=lambda crack: -crack.length_px)


def faint_lines(heat: Heat, threshold: float) -> list[tuple[Array, float]]:
    """Returns lines (n, 2), x and y, that a crack map marks, or would with FAINTEST less log-odds, each with its mean
    log-odds above `threshold`; the longest first. They follow the cells and are not refined on the photograph."""
    lower = float(1 / (1 + np.exp(FAINTEST - _log_odds(np.array(threshold)))))
    odds, marked = marked_cells(heat, lower)
    skeleton = skeleton_of(marked, odds)
    lengths, level = lengths_in_cells(skeleton), _log_odds(np.array(threshold))
    lines = []
    for branch in _branches(skeleton, heat):
        if lengths[branch.group] >= LEAST_CELLS - 1 and len(branch.points) > 2:
            lines.append((branch.points, float((_log_odds(branch.probability) - level).mean())))
    return sorted(lines, key=lambda pair: -len(pair[0]))


def marked_cells(heat: Heat, threshold: float) -> tuple[Array, Array]:
    """Returns log-odds (h, w), 0 at the threshold, and the cells of cracks, with fainter ones that continue them."""
    strong = followed(heat, threshold)
    odds = _log_odds(strong.probability) - _log_odds(np.array(threshold))
    fainter = 1 / (1 + np.exp(FAINTER - _log_odds(np.array(threshold))))
    weak = followed(heat, float(fainter)).probability >= fainter
    marked = strong.probability >= threshold
    groups, count = ndimage.label(ndimage.binary_dilation(weak | marked, NEAR), NEAR)
    kept = np.bincount(groups[marked], minlength=count + 1) > 0
    return odds, np.asarray((weak & kept[groups]) | marked)


def _log_odds(probability: Array) -> Array:
    clipped = probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _branches(skeleton: Skeleton, heat: Heat) -> Iterator[Branch]:
    """Yields the branches in pixels of the photograph."""
    for places, group in zip(skeleton.branches, skeleton.groups, strict=True):
        rows, columns = places.T
        x = np.interp(columns, np.arange(len(heat.x_px)), heat.x_px)
        y = np.interp(rows, np.arange(len(heat.y_px)), heat.y_px)
        radius = float(np.percentile(skeleton.radius[tuple(np.rint(places).astype(int).T)], 90)) * heat.window_px
        probability = ndimage.map_coordinates(heat.probability, places.T, order=1, mode="nearest")
        yield Branch(np.column_stack([x, y]), group, radius, probability)
