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

_heats, _values = Remembered[Heat](8), Remembered[Array](2**16)


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
    return [_moved(project, key, crack, teachers, judge) if crack.status == UNSEEN else None for crack in cracks]


def _moved(
    project: Project, key: str, crack: JudgedCrack, teachers: Sequence[tuple[JudgedMarks, float]], judge: MarkJudge
) -> Moved | None:
    probability = crack.record.probability
    if probability is None:
        return None
    values = values_along(project, key, crack.record.lines, crack.name, judge) if teachers else None
    if values is None:
        return Moved(probability, "")
    return moved_by(teachers, values, probability)


def marks_judged_in(project: Project, key: str) -> JudgedMarks:
    """Returns the marks of a photograph that somebody judged; none where nothing judges marks."""
    judge, name = project.inspection.judge, project.photograph(key).name
    if judge is None:
        return NO_MARKS
    values, surprise, kinds = list[Array](), list[float](), list[str]()
    for correction in standing_judgements(project.corrections_of(name)):
        seen = values_along(project, key, correction.lines, f"correction-{correction.number}", judge)
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
    inspected = project.inspected.get(key)
    if inspected is None or not inspected.is_mapped:
        return None
    folder = folder_of(project.folder, project.photograph(key))
    map_key = inspected.made_of.map_key

    def values() -> Array:
        try:
            heat = _heats.of((folder, map_key), lambda: read_heat(folder, inspected))
        except UserError as error:
            log.warning("%s", error)
            return np.zeros(0)
        return np.zeros(0) if heat.seen is None else judge.direction(seen_along(heat, heat.seen, lines))

    result = _values.of((folder, map_key, question), values)
    return result if len(result) else None
