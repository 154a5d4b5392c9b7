"""Takes over what people judged in some photographs for the others, and says before what that would change."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import UNSEEN, JudgedCrack
from crack_lightning.errors import UserError
from crack_lightning.measurement.record import is_likely
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.project.judged_marks import ELSEWHERE, NO_MARKS, JudgedMarks, moved_by, read_marks, write_marks
from crack_lightning.project.likeness import marks_judged_in, moved_marks, values_along
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.project.shown_cracks import is_shown, longer_side, shown_cracks

LESS_ALIKE = "by what is judged in other photographs, a little each"  # where no judged mark is alike
MIN_JUDGED = 10  # marks on which it is checked whether other photographs help
MIN_GAIN = 0.01  # of the AUROC of judged marks, from which on taking over is proposed


@dataclass(frozen=True)
class MarkChange:
    """A mark that would come into the first view (`appears`) or leave it: photograph, number, a point on it, why."""

    key: str
    name: str
    number: int
    x: float
    y: float
    appears: bool
    why: str


@dataclass(frozen=True)
class Proposal:
    """Says what taking over would change.

    `judged`: the number of marks that somebody judged. `before`, `after`: AUROC of these marks without and with the
    judgements in other photographs, None where there are too few.
    """

    judged: int
    before: float | None
    after: float | None
    changes: list[MarkChange]

    @property
    def helps(self) -> bool:
        """Returns whether something changes, and judged cracks and others are separated better than before."""
        return (
            bool(self.changes)
            and self.before is not None
            and self.after is not None
            and self.after >= self.before + MIN_GAIN
        )

    def facts(self) -> dict[str, Any]:
        """Returns plain values for the page."""
        return asdict(self) | {"helps": self.helps}


def all_judged(project: Project) -> JudgedMarks:
    """Returns all marks that somebody judged, in photographs that are inspected."""
    names = {correction.photograph for correction in project.active if correction.photograph}
    parts = [marks_judged_in(project, key) for name in sorted(names) if (key := key_of_name(name)) in project.inspected]
    parts = [part for part in parts if len(part.surprise)]
    if not parts:
        return NO_MARKS
    return JudgedMarks(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.surprise for part in parts]),
        [kind for part in parts for kind in part.kinds],
        [name for part in parts for name in part.photographs],
    )


def proposal(project: Project, report: Callable[[int, int], None]) -> Proposal:
    """Returns what taking over would change; `report` gets the number of photographs that are done, and of all."""
    judged, keys, changes = all_judged(project), list(project.inspected), list[MarkChange]()
    before, after = _checked(project, judged)
    for index, key in enumerate(keys):
        if key in project.photographs and project.inspected[key].is_mapped:
            changes += _changes(project, key, judged)
        report(index + 1, len(keys))
    return Proposal(len(judged.surprise), before, after, changes)


def _changes(project: Project, key: str, judged: JudgedMarks) -> list[MarkChange]:
    """Returns the marks of a photograph that would come into the first view, or leave it."""
    cracks = [crack for crack in shown_cracks(project, key) if crack.status == UNSEEN and is_shown(project, crack)]
    longest_px, name, changes = longer_side(project, key), project.photograph(key).name, list[MarkChange]()
    for crack, moved in zip(cracks, moved_marks(project, key, cracks, judged), strict=True):
        if moved is None:
            continue
        likely = is_likely(moved.probability, crack.record.length_px / longest_px)
        new = replace(crack, record=replace(crack.record, likely=likely))
        if new.is_folded(longest_px) != crack.is_folded(longest_px):
            x, y = _middle(crack)
            rises = moved.probability > (crack.record.probability or 0.0)
            why = moved.why if moved.why and rises == likely else LESS_ALIKE
            changes.append(MarkChange(key, name, crack.record.number, x, y, likely, why))
    return changes


def _middle(crack: JudgedCrack) -> tuple[float, float]:
    longest = max(crack.record.lines, key=len)
    x, y = longest[len(longest) // 2]
    return float(x), float(y)


def _checked(project: Project, judged: JudgedMarks) -> tuple[float | None, float | None]:
    """Returns the AUROC of the judged marks by the judge alone, and with what was judged in other photographs."""
    marks = [correction for correction in project.active if _is_checkable(correction)]
    true = torch.tensor([int(correction.kind == "accept") for correction in marks])
    judge = project.inspection.judge
    if judge is None or len(marks) < MIN_JUDGED or true.all() or not true.any():
        return None, None
    others = {name: judged.without(name) for name in set(judged.photographs)}
    before, after = list[float](), list[float]()
    for correction in marks:
        probability, seen = float(correction.probability or 0.0), _values_of(project, correction, judge)
        before.append(probability)
        if seen is not None and correction.photograph in others:
            teachers = [(others[correction.photograph], ELSEWHERE)]
            probability = moved_by(teachers, seen[None], np.array([probability]))[0].probability
        after.append(probability)
    first, second = (float(binary_auroc(torch.tensor(values), true)) for values in (before, after))
    return round(first, 3), round(second, 3)


def _is_checkable(correction: Correction) -> bool:
    return correction.kind in ("accept", "reject") and correction.probability is not None


def _values_of(project: Project, correction: Correction, judge: MarkJudge) -> np.ndarray | None:
    """Returns what the network saw along a judged mark, None if it is not kept."""
    key = key_of_name(correction.photograph)
    if key not in project.photographs:
        return None
    return values_along(project, key, correction.lines, correction.name, judge)


def take_over(project: Project) -> None:
    """Keeps what was judged so far, and uses it in all photographs."""
    judged = all_judged(project)
    if not len(judged.surprise):
        raise UserError("nobody judged a mark yet: accept or reject some first")
    number = max((correction.number for correction in project.active), default=0)
    name = write_marks(project.folder, number, judged)
    project.set(learned=(*[kept for kept in project.settings.learned if kept != name], name))
    project.learned = judged


def go_back(project: Project) -> None:
    """Uses what was used before the last `take_over`."""
    if not project.settings.learned:
        raise UserError("nothing was taken over: there is nothing to go back to")
    project.set(learned=project.settings.learned[:-1])
    project.learned = read_marks(project.folder, project.settings.learned)
