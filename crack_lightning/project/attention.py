"""Ranks the places to look at next by how useful a correction there would be, and gives the reasons."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.nearness import Places, near_any
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_lines import faint_lines
from crack_lightning.measurement.kept_records import checked_lines
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

Array = np.ndarray

# Lines (n, 2), each with its length, its mean log-odds beside the threshold, and whether it is marked at that.
Lines = list[tuple[Array, float, float, bool]]

PLACES_FILE = "places.json"  # in the folder of a photograph
NO_CORRECTION = "this photograph has no correction yet"
PLACES_FORMAT = 2  # files of other formats are made anew
_remembered = Remembered[Lines | None](2**13)  # for as many photographs
_ranked = Remembered["list[PlaceToLookAt]"](2**13)  # for as many photographs

DOUBTFUL_ODDS = 1.0  # a place is in doubt if its log-odds are within this of the threshold
FULL_LENGTH_PX = 400.0  # greater length does not make a place more important
HALVING_CORRECTIONS = 3.0  # with this many corrections in a photograph, a further one is half as useful
CORRECTED_PX, CORRECTED_SHARE = 12.0, 0.5  # corrected places: this share of them is this near to a corrected line
MAX_PLACES, STEP_PX = 12, 8.0  # places in each photograph, and distance between the points of their lines


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
    """Returns at most `max_count` uncorrected places of all photographs whose places are found, the most useful first;
    the best two of every photograph come before the third of any."""
    ranked = list[tuple[int, PlaceToLookAt]]()
    for key in list(project.inspected):
        ranked += list(enumerate(places_of(project, key)[:max_count]))
    ranked.sort(key=lambda pair: (pair[0] // 2, -pair[1].value))
    return [place for _, place in ranked[:max_count]]


def places_of(project: Project, key: str) -> list[PlaceToLookAt]:
    """Returns the uncorrected places of one photograph, the most useful first; none where they are not found yet."""
    lines = _found(project, key)
    if not lines:
        return []
    name = project.photograph(key).name
    corrections = project.corrections_of(name)
    corrections = [correction for correction in corrections if correction.lines and correction.kind != "mark"]
    question = (*_question(project, key), tuple(correction.number for correction in corrections))
    return _ranked.of(question, lambda: _uncorrected(name, lines, corrections))


def _uncorrected(name: str, lines: Lines, corrections: Sequence[Correction]) -> list[PlaceToLookAt]:
    beside, novelty = Places(corrections), HALVING_CORRECTIONS / (HALVING_CORRECTIONS + len(corrections))
    places = []
    for line, length_px, odds, is_marked in lines:
        trees = [correction.tree for correction in beside.beside(line)] if corrections else []
        if not trees or near_any(line, trees, CORRECTED_PX).mean() < CORRECTED_SHARE:
            reason = _reason(odds, is_marked=is_marked, corrected=bool(corrections))
            places.append(PlaceToLookAt(name, line, length_px, odds, _worth(length_px, odds) * novelty, reason))
    return sorted(places, key=lambda place: -place.value)


def are_found(project: Project, key: str) -> bool:
    """Returns whether the places of a photograph are known, or it has none because it could not be inspected."""
    return not _is_mapped(project, key) or _found(project, key) is not None


def find_places(project: Project, key: str) -> None:
    """Finds the lines in a photograph that its kept map marks or nearly marks, and keeps them beside it."""
    if not _is_mapped(project, key):
        return
    folder, made_of = _question(project, key)
    try:
        heat = read_heat(folder, project.inspected[key])
        faint = faint_lines(heat, project.settings.threshold)
        lines = [(line, length_of(line), odds, is_marked) for line, odds, is_marked in faint]
    except UserError as error:
        log.warning("%s", error)
        lines = []
    lines.sort(key=lambda facts: -_worth(facts[1], facts[2]))
    kept = [
        [np.rint(resampled(line, STEP_PX)).tolist(), round(length_px, 1), round(odds, 3), is_marked]
        for line, length_px, odds, is_marked in lines[:MAX_PLACES]
    ]
    write_atomically(folder / PLACES_FILE, json.dumps({"made_of": made_of, "lines": kept}).encode())
    _remembered.forget((folder, made_of))


def _is_mapped(project: Project, key: str) -> bool:
    inspected = project.inspected.get(key)
    return inspected is not None and inspected.is_mapped and key in project.photographs


def _question(project: Project, key: str) -> tuple[Path, str]:
    map_key = project.inspected[key].made_of.map_key
    return folder_of(project.folder, project.photograph(key)), f"{map_key}:{project.settings.threshold}:{PLACES_FORMAT}"


def _found(project: Project, key: str) -> Lines | None:
    if not _is_mapped(project, key):
        return None
    folder, made_of = _question(project, key)
    return _remembered.of((folder, made_of), lambda: _read(folder / PLACES_FILE, made_of))


def _read(path: Path, made_of: str) -> Lines | None:
    try:
        kept = json.loads(path.read_text())
        if kept["made_of"] != made_of:
            return None
        lines = checked_lines([facts[0] for facts in kept["lines"]]) if kept["lines"] else []
        return [
            (line, float(length_px), float(odds), bool(is_marked))
            for line, (_, length_px, odds, is_marked) in zip(lines, kept["lines"], strict=True)
        ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("%s is damaged (%s): it is made anew", path, error)
        return None


def _worth(length_px: float, odds: float) -> float:
    """Returns how useful a correction of a line would be in a photograph without corrections, 0..1."""
    return float(math.exp(-((odds / DOUBTFUL_ODDS) ** 2) / 2) * min(1.0, length_px / FULL_LENGTH_PX) ** 0.5)


def _reason(odds: float, *, is_marked: bool, corrected: bool) -> str:
    """Returns why a place is worth a look, for the user."""
    if is_marked:
        marking = "marked with confidence" if odds > DOUBTFUL_ODDS else "marked, but only just"
    else:
        marking = "hardly marked" if odds < -DOUBTFUL_ODDS else "not marked, but nearly"
    return f"{marking}; {'this photograph has corrections already' if corrected else NO_CORRECTION}"
