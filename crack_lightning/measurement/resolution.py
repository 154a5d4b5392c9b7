"""Reduces the finer of two photographs of a place to the resolution of the coarser one.

Otherwise finer detail would look like a change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from crack_lightning.measurement.alignment import Alignment, corners_of
from crack_lightning.measurement.centres import STEP_PX
from crack_lightning.measurement.cracks import all_profiles
from crack_lightning.measurement.network import Branch
from crack_lightning.measurement.paths import resampled
from crack_lightning.measurement.widths import width_of

Array = np.ndarray

SAME_RESOLUTION = 0.9  # two photographs have one resolution if the ratio of their scales is this or nearer to 1
BAND_RADIUS_PX = 6.0  # half the width of the band in which a crack is measured again, at least


@dataclass(frozen=True)
class ViewedCrack:
    """A crack of a photograph: its number and lines (n, 2).

    `widths_px`: the width at each of their points, line after line, NaN where it is not claimed.
    `uncertainty_px`: the standard error of the median width, None where no width is claimed.
    """

    number: int
    lines: Sequence[Array]
    widths_px: Array
    uncertainty_px: float | None


@dataclass(frozen=True)
class View:
    """A photograph's grey levels (h, w) and its cracks."""

    grey: Array
    cracks: Sequence[ViewedCrack]


def at_one_resolution(before: View, after: View, alignment: Alignment) -> tuple[View, View, Alignment, float]:
    """Returns both views at the resolution of the coarser one, their alignment, and the factor of the later view.

    The finer view is reduced, and the widths of its cracks are measured again. The factor is at most 1: the later
    view's new size relative to the old one.
    """
    factor = alignment.enlargement_at(corners_of((before.grey.shape[1], before.grey.shape[0])))
    if SAME_RESOLUTION <= factor <= 1 / SAME_RESOLUTION:
        return before, after, alignment, 1.0
    if factor < 1:
        smaller = np.diag([1 / factor, 1 / factor, 1.0])
        return _reduced(before, factor), after, replace(alignment, matrix=alignment.matrix @ smaller), 1.0
    share = 1 / factor
    smaller = np.diag([share, share, 1.0])
    return before, _reduced(after, share), replace(alignment, matrix=smaller @ alignment.matrix), share


def _reduced(view: View, share: float) -> View:
    height, width = (max(1, round(side * share)) for side in view.grey.shape)
    small = Image.fromarray(view.grey).resize((width, height), Image.Resampling.LANCZOS)
    grey = np.asarray(small)
    return View(grey, [_remeasured(crack, share, grey) for crack in view.cracks])


def _remeasured(crack: ViewedCrack, share: float, grey: Array) -> ViewedCrack:
    lines = [resampled(line * share, STEP_PX) for line in crack.lines]
    widest = float(np.nanmax(crack.widths_px, initial=0.0)) * share
    radius_px = max(BAND_RADIUS_PX, widest / 2)
    branches = [Branch(line, 1, radius_px, np.ones(len(line))) for line in lines]
    width = width_of(all_profiles(grey, lines, branches))
    return ViewedCrack(crack.number, lines, width.along, width.uncertainty)
