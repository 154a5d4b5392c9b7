"""The cracks of a photograph as the page shows them: marks with corrections, moved by what people judged."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import JudgedCrack, MarkJudging
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.measurement.record import CrackRecord, in_mm, is_likely
from crack_lightning.measurement.scale import Scale
from crack_lightning.project.likeness import moved_marks, values_along
from crack_lightning.project.marks import book_of, inspected_of, records_at
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.project.scale_choice import scale_of

_remembered = Remembered[list[JudgedCrack]](64)  # the last that were shown
_judging = Remembered["_Marks"](16)  # for each photograph and threshold


class _Marks:
    """The marks of a photograph at a threshold, and its cracks in millimetres, which one scale makes of those."""

    def __init__(self, records: Sequence[CrackRecord]) -> None:
        self.judging = MarkJudging(records)
        self._in_mm: tuple[bytes, dict[int, tuple[JudgedCrack, JudgedCrack]]] = b"", {}  # by the identity of the first

    def in_mm(self, cracks: Sequence[JudgedCrack], scale: Scale, classes: WidthClasses) -> list[JudgedCrack]:
        """Returns cracks with values in millimetres."""
        used = scale.matrix.tobytes() + repr((scale.deviation, scale.source)).encode()
        last, known_cracks = self._in_mm
        before = known_cracks if used == last else {}
        converted = dict[int, tuple[JudgedCrack, JudgedCrack]]()
        for crack in cracks:
            known = before.get(id(crack))
            if known is None or known[0] is not crack:
                known = crack, replace(crack, record=in_mm(crack.record, scale, classes))
            converted[id(crack)] = known
        self._in_mm = used, converted  # at once: other threads may be converting too
        return [converted[id(crack)][1] for crack in cracks]


def shown_cracks(project: Project, key: str, threshold: float | None = None) -> list[JudgedCrack]:
    """Returns the cracks of a photograph after corrections, also in millimetres where its scale is known.

    Their probabilities are moved by what people judged. Measures marks at a `threshold` that is not the project's.
    """
    used, name = project.settings.threshold if threshold is None else threshold, project.photograph(key).name
    corrections, scales = project.corrections_of(name), [scale.number for scale in project.journal.of("")]
    numbers = tuple(correction.number for correction in corrections), tuple(scales)
    marks = project.folder, key, inspected_of(project, key).made_of, used
    question = (*marks, numbers, project.settings.learned[-1:])
    return list(_remembered.of(question, lambda: _shown(project, key, marks, corrections)))


def _shown(
    project: Project, key: str, question: tuple[Hashable, str, Hashable, float], corrections: Sequence[Correction]
) -> list[JudgedCrack]:
    marks = _judging.of(question, lambda: _Marks(records_at(project, key, question[3])))
    cracks = marks.judging.cracks(corrections, book_of(project, key).number_of)
    scale = scale_of(project, key)
    if scale is not None:
        cracks = marks.in_mm(cracks, scale, project.inspection.measuring.classes)
    return _moved(project, key, cracks)


def remember_values(project: Project, key: str) -> None:
    """Reads what the network saw along the marks of a photograph, which the first judgement in it needs."""
    judge, inspected = project.inspection.judge, project.inspected.get(key)
    if judge is not None and inspected is not None and inspected.made_of.threshold == project.settings.threshold:
        for crack in shown_cracks(project, key):
            values_along(project, key, crack.record.lines, crack.name, judge)


def _moved(project: Project, key: str, cracks: Sequence[JudgedCrack]) -> list[JudgedCrack]:
    """Returns cracks of which those that people's judgements moved have other probabilities."""
    result, longest_px = list[JudgedCrack](), longer_side(project, key)
    for crack, moved in zip(cracks, moved_marks(project, key, cracks), strict=True):
        if moved is None or (not moved.why and moved.probability == crack.record.probability):
            result.append(crack)
            continue
        likely = is_likely(moved.probability, crack.record.length_px / longest_px)
        record = crack.record if crack.record.likely == likely else replace(crack.record, likely=likely)
        result.append(replace(crack, record=record, moved=moved.probability, why=moved.why))
    return result


def longer_side(project: Project, key: str) -> int:
    """Returns the longer side of an inspected photograph in pixels."""
    inspected = inspected_of(project, key)
    return max(inspected.width_px, inspected.height_px)


def is_shown(project: Project, crack: JudgedCrack) -> bool:
    """Returns whether a crack is shown: it has at least the project's shortest length, or a correction."""
    return crack.correction is not None or crack.record.length_px >= project.settings.shortest_px


def first_view(project: Project, key: str, cracks: Sequence[JudgedCrack]) -> list[JudgedCrack]:
    """Returns the cracks that the page shows at first: without those that are probably none, and short marks."""
    longest_px = longer_side(project, key)
    return [crack for crack in cracks if is_shown(project, crack) and not crack.is_folded(longest_px)]
