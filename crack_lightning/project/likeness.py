"""Moves the probabilities of a project's marks by what people judged: marks that the network sees alike move together.

The log-odds of a mark move by the judged marks' surprise, weighted by likeness: the cosine of what the network saw
along both, in deviations from the mean of the marks that the judge was trained on.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.corrections.correction import CONFIRMING_KINDS, Correction
from crack_lightning.corrections.lines import UNSEEN, JudgedCrack, standing_judgements
from crack_lightning.errors import UserError
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.mark_traits import seen_along
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat

log = logging.getLogger(__name__)

Array = np.ndarray

# Chosen on CrackSight: with more reach or gain single photographs become worse (benchmarks/judged.py).
REACH, GAIN = 0.15, 10.0  # scale of the likeness, and how far marks move
ELSEWHERE = 0.5  # weight of marks in other photographs: they were taken in other light
ALIKE = 0.5  # cosine from which on two marks are called alike
UNKNOWN_PROBABILITY = 0.5  # of a mark that was judged before its probability was kept

_heats, _values = Remembered[Heat](8), Remembered[Array](2**14)


@dataclass(frozen=True)
class Moved:
    """The `probability` of a mark after people's judgements, and why it moved: a text, empty if it did not."""

    probability: float
    why: str


@dataclass(frozen=True)
class _Judged:
    """A mark that somebody judged: what the network saw along it, of unit length; how far the judgement was from what
    was expected, -1..1; and the kind of the correction with its reason."""

    photograph: str
    values: Array
    surprise: float
    kind: str


def moved_marks(project: Project, key: str, cracks: Sequence[JudgedCrack]) -> list[Moved | None]:
    """Returns the moved probability of each of a photograph's `cracks`; None for those that are judged themselves, and
    where nothing judges marks."""
    judge = project.inspection.judge
    if judge is None:
        return [None] * len(cracks)
    judged, name = _judged_marks(project, judge), project.photograph(key).name
    return [_moved(project, key, crack, judged, name, judge) if crack.status == UNSEEN else None for crack in cracks]


def _moved(
    project: Project, key: str, crack: JudgedCrack, judged: Sequence[_Judged], name: str, judge: MarkJudge
) -> Moved | None:
    probability = crack.record.probability
    if probability is None:
        return None
    values = _values_along(project, key, crack.record.lines, crack.name, judge)
    if values is None or not judged:
        return Moved(probability, "")
    likeness = np.array([float(values @ mark.values) for mark in judged])
    nearness = np.array([1.0 if mark.photograph == name else ELSEWHERE for mark in judged])
    step = step_of(likeness, nearness, np.array([mark.surprise for mark in judged]))
    odds = math.log(max(probability, 1e-6)) - math.log(max(1 - probability, 1e-6)) + step
    return Moved(1 / (1 + math.exp(-odds)), _why(likeness, judged, step))


def step_of(likeness: Array, nearness: Array, surprise: Array) -> float:
    """Returns by how much the log-odds of a mark change by n judged marks.

    `likeness` (n,): the cosine with each of them, -1..1. `nearness` (n,): their weights by where they are. `surprise`
    (n,): how far the judgements were from what was expected, -1..1.
    """
    weights = np.exp((likeness - 1) / REACH) * nearness
    return GAIN * float(weights @ surprise) / (1 + float(weights.sum()))


def _why(likeness: Array, judged: Sequence[_Judged], step: float) -> str:
    """Returns which judged marks moved a mark by `step`, such as "like 3 that you rejected (joint)"."""
    kinds = Counter(
        mark.kind for value, mark in zip(likeness, judged, strict=True) if value >= ALIKE and mark.surprise * step > 0
    )
    return "; ".join(f"like {count} that you {kind}" for kind, count in kinds.most_common(2))


def _judged_marks(project: Project, judge: MarkJudge) -> list[_Judged]:
    """Returns the marks that somebody judged, in photographs that are inspected."""
    marks = []
    for key, photograph in list(project.photographs.items()):
        for correction in standing_judgements(project.corrections_of(photograph.name)):
            values = _values_along(project, key, correction.lines, f"correction-{correction.number}", judge)
            if values is not None:
                marks.append(_Judged(photograph.name, values, _surprise(correction), _kind(correction)))
    return marks


def _surprise(correction: Correction) -> float:
    expected = UNKNOWN_PROBABILITY if correction.probability is None else correction.probability
    return float(correction.kind in CONFIRMING_KINDS) - expected


def _kind(correction: Correction) -> str:
    past = {"accept": "accepted", "draw": "drew", "reject": "rejected"}[correction.kind]
    return f"{past} ({correction.reason})" if correction.reason else past


def _values_along(project: Project, key: str, lines: Sequence[Array], question: str, judge: MarkJudge) -> Array | None:
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
