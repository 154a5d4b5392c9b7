"""Labels of single places from corrections: a crack runs here, or none does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.corrections.correction import CONFIRMING, Correction
from crack_lightning.corrections.lines import lines_near, near, outlined, within
from crack_lightning.measurement.paths import resampled

Array = np.ndarray

STEP_PX = 4.0  # one cell
# The map marks an accepted crack already: it adds little that is new, and its flanks would be learned with it.
WEIGHTS = {"accept": 0.2, "draw": 1.0, "reject": 1.0, "erase": 1.0}


@dataclass(frozen=True)
class Label:
    """A label from the correction `number`: whether a crack runs through the `points` (n, 2) of `photograph`, and how
    much that counts."""

    number: int
    photograph: str
    crack: bool
    points: Array
    weight: float

    @property
    def new(self) -> bool:
        """Returns whether it is news: the map did not mark the points so already."""
        return self.weight == 1


def labels_of(corrections: Sequence[Correction]) -> list[Label]:
    """Returns labels of the places that corrections in force name; where two contradict, the later one counts."""
    labels = list[Label]()
    for correction in corrections:
        if correction.kind not in WEIGHTS:
            continue
        own = [other for other in corrections if other.photograph == correction.photograph]
        crack = correction.kind in CONFIRMING
        contradicting = [
            other for other in own if other.number > correction.number and _contradicts(other, crack=crack)
        ]
        points = np.concatenate([resampled(line, STEP_PX) for line in correction.lines])
        contradicted = near(points, lines_near([line for other in contradicting for line in other.lines]))
        remaining = points[~(contradicted | within(points, outlined(own)))]
        if len(remaining):
            labels.append(Label(correction.number, correction.photograph, crack, remaining, WEIGHTS[correction.kind]))
    return labels


def _contradicts(other: Correction, *, crack: bool) -> bool:
    return other.kind in WEIGHTS and (other.kind in CONFIRMING) != crack
