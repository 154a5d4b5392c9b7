"""Marks that people judged, and how they move the probabilities of others.

The log-odds of a mark move by the judged marks' surprise, weighted by likeness: the cosine of what the network saw
along both, in deviations from the mean of the marks that the judge was trained on.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

Array = np.ndarray

LEARNED = "learned"  # folder in the project's folder
# Chosen on CrackSight: with more gain single photographs become worse, with more reach marks move that are not alike,
# and with less fewer false marks of other photographs (benchmarks/judged.py).
REACH, GAIN = 0.3, 2.0  # scale of the likeness, and how far marks move
ELSEWHERE = 0.5  # weight of marks in other photographs: they were taken in other light
ALIKE = 0.5  # cosine from which on two marks are called alike


@dataclass(frozen=True)
class Moved:
    """The `probability` of a mark after people's judgements, and why it moved: a text, empty if it did not."""

    probability: float
    why: str


@dataclass(frozen=True)
class JudgedMarks:
    """n judged marks.

    `values` (n, k): what the network saw along them, of unit length. `surprise` (n,): how far the judgements were from
    what was expected, -1..1. `kinds` (n,): the corrections with their reasons. `photographs` (n,): their names.
    """

    values: Array
    surprise: Array
    kinds: Sequence[str]
    photographs: Sequence[str]

    def without(self, photograph: str) -> "JudgedMarks":
        """Returns the marks of other photographs."""
        kept = [index for index, name in enumerate(self.photographs) if name != photograph]
        kinds, names = [self.kinds[index] for index in kept], [self.photographs[index] for index in kept]
        return JudgedMarks(self.values[kept], self.surprise[kept], kinds, names)


NO_MARKS = JudgedMarks(np.zeros((0, 1), np.float32), np.zeros(0, np.float32), (), ())


def moved_by(teachers: Sequence[tuple[JudgedMarks, float]], values: Array, probabilities: Array) -> list[Moved]:
    """Returns how judged marks, each group with a weight by where they are, move n marks.

    `values` (n, k): what the network saw along them, of unit length. `probabilities` (n,): before.
    """
    likeness = values @ np.concatenate([marks.values for marks, _ in teachers]).T
    nearness = np.concatenate([np.full(len(marks.surprise), weight) for marks, weight in teachers])
    surprise = np.concatenate([marks.surprise for marks, _ in teachers])
    kinds = [kind for marks, _ in teachers for kind in marks.kinds]
    steps = step_of(likeness, nearness, surprise)
    clipped = probabilities.clip(1e-6, 1 - 1e-6)
    moved = 1 / (1 + np.exp(-(np.log(clipped) - np.log1p(-clipped) + steps)))
    causes = (likeness >= ALIKE) & (surprise[None] * steps[:, None] > 0)
    return [Moved(float(value), _why(cause, kinds)) for value, cause in zip(moved, causes, strict=True)]


def step_of(likeness: Array, nearness: Array, surprise: Array) -> Array:
    """Returns by how much the log-odds of m marks change by n judged ones.

    `likeness` (m, n): the cosines, -1..1. `nearness` (n,): weights by where the judged marks are. `surprise` (n,): how
    far the judgements were from what was expected, -1..1.
    """
    weights = np.exp((likeness - 1) / REACH) * nearness
    return np.asarray(GAIN * (weights @ surprise) / (1 + weights.sum(axis=-1)))


def _why(causes: Array, kinds: Sequence[str]) -> str:
    """Returns which judged marks moved a mark, such as "like 3 that you rejected (joint)"."""
    indices = np.flatnonzero(causes)
    if not len(indices):
        return ""
    names = [kinds[index] for index in indices.tolist()]
    counts = sorted(((names.count(kind), kind) for kind in set(names)), reverse=True)
    return "; ".join(f"like {count} that you {kind}" for count, kind in counts[:2])


def write_marks(folder: Path, number: int, marks: JudgedMarks) -> str:
    """Writes judged marks into the folder of a project, and returns the name of the file."""
    content = io.BytesIO()
    kinds, photographs = np.array(marks.kinds), np.array(marks.photographs)
    np.savez(content, values=marks.values, surprise=marks.surprise, kinds=kinds, photographs=photographs)
    write_atomically(folder / LEARNED / f"{number}.npz", content.getvalue())
    return f"{number}.npz"


def read_marks(folder: Path, names: Sequence[str]) -> JudgedMarks:
    """Returns what was taken over last; a damaged or missing file counts as nothing, with a warning."""
    if not names:
        return NO_MARKS
    path = folder / LEARNED / names[-1]
    try:
        with np.load(path, allow_pickle=False) as file:
            values, surprise = file["values"].astype(np.float32), file["surprise"].astype(np.float32)
            kinds, photographs = file["kinds"].astype(str).tolist(), file["photographs"].astype(str).tolist()
        if values.ndim != 2 or not len(values) == len(surprise) == len(kinds) == len(photographs):
            raise ValueError("its arrays do not belong together")
    except (OSError, ValueError, KeyError, EOFError) as error:
        log.warning("%s is missing or damaged (%s): what was judged counts in its own photograph alone", path, error)
        return NO_MARKS
    return JudgedMarks(values, surprise, kinds, photographs)
