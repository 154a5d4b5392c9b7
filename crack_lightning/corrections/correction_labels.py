"""What corrections say of single places: a crack runs here, or none does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.corrections.correction import CONFIRMING, Correction
from crack_lightning.corrections.lines import lines_near, near, outlined, within
from crack_lightning.measurement.paths import resampled

Array = np.ndarray

STEP_PX = 4.0  # a cell
# An accepted crack is one that the map marks already: it says little that is new, and its flanks would be learned with
# it.
WEIGHTS = {"accept": 0.2, "draw": 1.0, "reject": 1.0, "erase": 1.0}


@dataclass(frozen=True)
class Label:
    """Of the correction `number`: whether a crack runs through the `points` (n, 2) of `photograph`, and how much that
    counts."""

    number: int
    photograph: str
    crack: bool
    points: Array
    weight: float

    @property
    def new(self) -> bool:
        """Whether the map did not say so already."""
        return self.weight == 1


def labels_of(corrections: Sequence[Correction]) -> list[Label]:
    """The places that corrections in force name; where two contradict, those of the later one."""
    found = list[Label]()
    for one in corrections:
        if one.kind not in WEIGHTS:
            continue
        own = [other for other in corrections if other.photograph == one.photograph]
        crack = one.kind in CONFIRMING
        against = [other for other in own if other.number > one.number and _contradicts(other, crack=crack)]
        points = np.concatenate([resampled(line, STEP_PX) for line in one.lines])
        gone = near(points, lines_near([line for other in against for line in other.lines]))
        left = points[~(gone | within(points, outlined(own)))]
        if len(left):
            found.append(Label(one.number, one.photograph, crack, left, WEIGHTS[one.kind]))
    return found


def _contradicts(other: Correction, *, crack: bool) -> bool:
    return other.kind in WEIGHTS and (other.kind in CONFIRMING) != crack
