"""Turns corrections into labels for training: through these points a crack runs, or none does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.corrections.correction import CONFIRMING_KINDS, Correction
from crack_lightning.corrections.lines import excluded_areas, lines_near, near, within
from crack_lightning.measurement.paths import resampled

Array = np.ndarray

STEP_PX = 4.0  # one cell; distance between the points of a label
# Weight of a label by the kind of its correction. An accepted crack counts little: the map marks it already, so that it
# teaches little, and its flanks would be learned too.
WEIGHTS = {"accept": 0.2, "draw": 1.0, "reject": 1.0, "erase": 1.0}


@dataclass(frozen=True)
class Label:
    """A label from the correction `number`: `crack` says whether a crack runs through the `points` (n, 2) in
    `photograph`, `weight` how much the label counts in training."""

    number: int
    photograph: str
    crack: bool
    points: Array
    weight: float

    @property
    def new(self) -> bool:
        """Returns whether the label says something new, that is, whether the map had marked the points otherwise."""
        return self.weight == 1


def labels_of(corrections: Sequence[Correction]) -> list[Label]:
    """Returns labels for the points on the lines of corrections in force. If two corrections contradict each other, the
    later one counts."""
    labels = list[Label]()
    for correction in corrections:
        if correction.kind not in WEIGHTS:
            continue
        same_photograph = [other for other in corrections if other.photograph == correction.photograph]
        crack = correction.kind in CONFIRMING_KINDS
        contradicting = [
            other for other in same_photograph if other.number > correction.number and _contradicts(other, crack=crack)
        ]
        points = np.concatenate([resampled(line, STEP_PX) for line in correction.lines])
        contradicted = near(points, lines_near([line for other in contradicting for line in other.lines]))
        remaining = points[~(contradicted | within(points, excluded_areas(same_photograph)))]
        if len(remaining):
            labels.append(Label(correction.number, correction.photograph, crack, remaining, WEIGHTS[correction.kind]))
    return labels


def _contradicts(other: Correction, *, crack: bool) -> bool:
    return other.kind in WEIGHTS and (other.kind in CONFIRMING_KINDS) != crack
