"""Moves the probabilities of marks by what people judged: marks that the network sees alike move together.

Judgements count in their own photograph at once, and in others once they are taken over (learned.py).
"""

import logging
from collections.abc import Sequence

import numpy as np

from crack_lightning.corrections.correction import CONFIRMING_KINDS, Correction
from crack_lightning.corrections.lines import UNSEEN, JudgedCrack, standing_judgements
from crack_lightning.errors import UserError
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.mark_traits import seen_along
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.project.judged_marks import ELSEWHERE, NO_MARKS, JudgedMarks, Moved, moved_by
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat

log = logging.getLogger(__name__)

Array = np.ndarray

UNKNOWN_PROBABILITY = 0.5  # of a mark that was judged before its probability was kept

_heats, _values = Remembered[Heat](8), Remembered[dict[str, Array | None]](2**12)


def moved_marks(
    project: Project, key: str, cracks: Sequence[JudgedCrack], learned: JudgedMarks | None = None
) -> list[Moved | None]:
    """Returns the moved probability of each of a photograph's `cracks`; None for those that are judged themselves, and
    where nothing judges marks. `learned` are marks of other photographs, None those that were taken over."""
    judge = project.inspection.judge
    if judge is None:
        return [None] * len(cracks)
    name = project.photograph(key).name
    others = (project.learned if learned is None else learned).without(name)
    teachers = [(own, 1.0) for own in [marks_judged_in(project, key)] if len(own.surprise)]
    teachers += [(others, ELSEWHERE)] if len(others.surprise) else []
    result: list[Moved | None] = [None] * len(cracks)
    indices, values = list[int](), list[Array]()
    for index, crack in enumerate(cracks):
        if crack.status != UNSEEN or crack.record.probability is None:
            continue
        result[index] = Moved(crack.record.probability, "")
        seen = values_along(project, key, crack.record.lines, crack.name, judge) if teachers else None
        if seen is not None:
            indices.append(index)
            values.append(seen)
    if indices:
        probabilities = np.array([cracks[index].record.probability for index in indices], float)
        for index, moved in zip(indices, moved_by(teachers, np.stack(values), probabilities), strict=True):
            result[index] = moved
    return result


def marks_judged_in(project: Project, key: str) -> JudgedMarks:
    """Returns the marks of a photograph that somebody judged; none where nothing judges marks."""
    judge, name = project.inspection.judge, project.photograph(key).name
    if judge is None:
        return NO_MARKS
    values, surprise, kinds = list[Array](), list[float](), list[str]()
    for correction in standing_judgements(project.corrections_of(name)):
        seen = values_along(project, key, correction.lines, correction.name, judge)
        if seen is not None:
            values.append(seen)
            surprise.append(_surprise(correction))
            kinds.append(_kind(correction))
    if not values:
        return NO_MARKS
    return JudgedMarks(np.stack(values), np.array(surprise, np.float32), kinds, [name] * len(kinds))


def _surprise(correction: Correction) -> float:
    expected = UNKNOWN_PROBABILITY if correction.probability is None else correction.probability
    return float(correction.kind in CONFIRMING_KINDS) - expected


def _kind(correction: Correction) -> str:
    past = {"accept": "accepted", "draw": "drew", "reject": "rejected"}[correction.kind]
    return f"{past} ({correction.reason})" if correction.reason else past


def values_along(project: Project, key: str, lines: Sequence[Array], question: str, judge: MarkJudge) -> Array | None:
    """Returns what the network saw along lines (n, 2) of a photograph, of unit length; None if it is not kept."""
    known = _known_values(project, key)
    if known is None:
        return None
    if question not in known:
        folder, inspected = folder_of(project.folder, project.photograph(key)), project.inspected[key]
        try:
            heat = _heats.of((folder, inspected.made_of.map_key), lambda: read_heat(folder, inspected))
        except UserError as error:
            log.warning("%s", error)
            return None
        known[question] = None if heat.seen is None else judge.direction(seen_along(heat, heat.seen, lines))
    return known[question]


def _known_values(project: Project, key: str) -> dict[str, Array | None] | None:
    """Returns what is known along lines of a photograph, by their names; None where there is no map."""
    inspected = project.inspected.get(key)
    if inspected is None or not inspected.is_mapped:
        return None
    return _values.of((project.folder, key, inspected.made_of.map_key), dict[str, Array | None])
