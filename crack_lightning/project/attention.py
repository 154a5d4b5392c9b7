"""Ranks places to look at next by how useful a correction of them would be, each with the reason."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import lines_near, near
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_lines import faint_lines
from crack_lightning.measurement.paths import length_of
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat

log = logging.getLogger(__name__)

Array = np.ndarray

_remembered = Remembered[list[tuple[Array, float]]](4096)  # photographs

DOUBT = 1.0  # log-odds from the threshold within which a place is in doubt
MOST_LENGTH_PX = 400.0  # from which on more length makes a place no more important
CORRECTED = 3.0  # corrections of a photograph that halve the use of a further one
JUDGED_PX, JUDGED_SHARE = 12.0, 0.5  # a place was judged if that share of it lies that near to a corrected line
MOST_PLACES = 40  # per photograph


@dataclass(frozen=True)
class PlaceToLookAt:
    """A line (n, 2) that may be a crack, its length in pixels, its log-odds relative to the threshold, how useful a
    correction of it would be, 0..1, and why."""

    photograph: str
    line: Array
    length_px: float
    odds: float
    value: float
    reason: str

    @property
    def middle(self) -> tuple[float, float]:
        """Returns x and y of the middle of the line."""
        x, y = self.line[len(self.line) // 2]
        return float(x), float(y)


def places_to_look_at(project: Project, *, most: int = 20) -> list[PlaceToLookAt]:
    """Returns the places of all inspected photographs that nobody corrected yet, the most useful first; every
    photograph has its best two before any has its third."""
    corrections = project.active
    ranked = list[tuple[int, PlaceToLookAt]]()
    for key in list(project.inspected):
        places = places_of(project, key, corrections)
        ranked += list(enumerate(places[:most]))
    ranked.sort(key=lambda pair: (pair[0] // 2, -pair[1].value))
    return [place for _, place in ranked[:most]]


def places_of(project: Project, key: str, corrections: Sequence[Correction]) -> list[PlaceToLookAt]:
    """Returns the places of one photograph, the most useful first."""
    inspected = project.inspected.get(key)
    if inspected is None or not inspected.is_mapped or key not in project.photographs:
        return []
    photograph, threshold = project.photograph(key), project.settings.threshold
    folder = folder_of(project.folder, photograph)
    lines = _remembered.of((folder, inspected.made_of.map_key, threshold), lambda: _lines(folder, inspected, threshold))
    own = [
        correction
        for correction in corrections
        if correction.photograph == photograph.name and correction.kind != "scale"
    ]
    corrected_tree = lines_near([line for correction in own for line in correction.lines])
    novelty = CORRECTED / (CORRECTED + len(own))
    places = []
    for line, odds in lines:
        if near(line, corrected_tree, JUDGED_PX).mean() < JUDGED_SHARE:
            places.append(_place(photograph.name, line, odds, novelty, corrected=bool(own)))
    return sorted(places, key=lambda place: -place.value)


def _place(name: str, line: Array, odds: float, novelty: float, *, corrected: bool) -> PlaceToLookAt:
    length_px = length_of(line)
    doubt = math.exp(-((odds / DOUBT) ** 2) / 2)
    stake = min(1.0, length_px / MOST_LENGTH_PX) ** 0.5
    marking = "marked, but only just" if odds >= 0 else "not marked, but nearly"
    if abs(odds) > DOUBT:
        marking = "marked with confidence" if odds > 0 else "hardly marked"
    history = "this photograph has no correction yet" if not corrected else "this photograph has corrections already"
    return PlaceToLookAt(
        name, line, length_px, odds, doubt * stake * novelty, f"{marking}; {length_px:.0f} px long; {history}"
    )


def _lines(folder: Path, inspected: Inspected, threshold: float) -> list[tuple[Array, float]]:
    """Returns lines (n, 2) that the kept map marks or nearly marks, with mean log-odds relative to the threshold."""
    try:
        heat = read_heat(folder, inspected)
    except UserError as error:
        log.warning("%s", error)
        return []
    return faint_lines(heat, threshold)[:MOST_PLACES]
