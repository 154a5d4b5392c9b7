"""Ranks the places to look at next by how useful a correction there would be, and gives the reasons."""

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

_remembered = Remembered[list[tuple[Array, float]]](4096)  # for as many photographs

DOUBTFUL_ODDS = 1.0  # a place is in doubt if its log-odds are within this of the threshold
FULL_LENGTH_PX = 400.0  # greater length does not make a place more important
HALVING_CORRECTIONS = 3.0  # with this many corrections in a photograph, a further one is half as useful
CORRECTED_PX, CORRECTED_SHARE = 12.0, 0.5  # corrected places: this share of them is this near to a corrected line
MAX_PLACES = 40  # in each photograph


@dataclass(frozen=True)
class PlaceToLookAt:
    """A line that may be a crack.

    `photograph`: its name. `line`: points (n, 2). `odds`: mean log-odds relative to the threshold. `value`: how useful
    a correction would be, 0..1. `reason`: why it is worth a look, for the user.
    """

    photograph: str
    line: Array
    length_px: float
    odds: float
    value: float
    reason: str

    @property
    def middle(self) -> tuple[float, float]:
        """Returns x and y of the middle point of the line."""
        x, y = self.line[len(self.line) // 2]
        return float(x), float(y)


def places_to_look_at(project: Project, *, max_count: int = 20) -> list[PlaceToLookAt]:
    """Returns at most `max_count` uncorrected places of all inspected photographs, the most useful first; the best two
    of every photograph come before the third of any."""
    corrections = project.active
    ranked = list[tuple[int, PlaceToLookAt]]()
    for key in list(project.inspected):
        places = places_of(project, key, corrections)
        ranked += list(enumerate(places[:max_count]))
    ranked.sort(key=lambda pair: (pair[0] // 2, -pair[1].value))
    return [place for _, place in ranked[:max_count]]


def places_of(project: Project, key: str, corrections: Sequence[Correction]) -> list[PlaceToLookAt]:
    """Returns the uncorrected places of one photograph, the most useful first."""
    inspected = project.inspected.get(key)
    if inspected is None or not inspected.is_mapped or key not in project.photographs:
        return []
    photograph, threshold = project.photograph(key), project.settings.threshold
    folder = folder_of(project.folder, photograph)
    lines = _remembered.of((folder, inspected.made_of.map_key, threshold), lambda: _lines(folder, inspected, threshold))
    photograph_corrections = [
        correction
        for correction in corrections
        if correction.photograph == photograph.name and correction.kind != "scale"
    ]
    corrected_tree = lines_near([line for correction in photograph_corrections for line in correction.lines])
    novelty = HALVING_CORRECTIONS / (HALVING_CORRECTIONS + len(photograph_corrections))
    places = []
    for line, odds in lines:
        if near(line, corrected_tree, CORRECTED_PX).mean() < CORRECTED_SHARE:
            places.append(_place(photograph.name, line, odds, novelty, corrected=bool(photograph_corrections)))
    return sorted(places, key=lambda place: -place.value)


def _place(name: str, line: Array, odds: float, novelty: float, *, corrected: bool) -> PlaceToLookAt:
    length_px = length_of(line)
    doubt = math.exp(-((odds / DOUBTFUL_ODDS) ** 2) / 2)
    stake = min(1.0, length_px / FULL_LENGTH_PX) ** 0.5
    marking = "marked, but only just" if odds >= 0 else "not marked, but nearly"
    if abs(odds) > DOUBTFUL_ODDS:
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
    return faint_lines(heat, threshold)[:MAX_PLACES]
