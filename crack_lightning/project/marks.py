"""The marks of a photograph, from its kept crack map: at the project's threshold, or at another one that is tried."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.measurement.record import CrackRecord, Widths, pixel_records
from crack_lightning.project.mark_numbers import NumberBook, open_book
from crack_lightning.project.project import Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.runs.inspection.crack_files import kept_records
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat

Array = np.ndarray

MIN_THRESHOLD = 0.01  # the largest is 1 - MIN_THRESHOLD

_remembered = Remembered[list[CrackRecord]](64)  # for each photograph and threshold
_books = Remembered[NumberBook](2**14)


def records_at(project: Project, key: str, threshold: float) -> list[CrackRecord]:
    """Returns the cracks that the kept map marks at `threshold`, in pixels, with their numbers, without corrections.

    They are measured where `is_measured` says that they are not. Raises UserError where the photograph is not inspected
    yet.
    """
    inspected, folder = inspected_of(project, key), folder_of(project.folder, project.photograph(key))
    if inspected.made_of.threshold == threshold:
        return _remembered.of((folder, inspected.made_of.key), lambda: _kept_records(project, key, folder))
    question = (folder, inspected.made_of.map_key, threshold)
    return _remembered.of(question, lambda: _tried_records(project, key, threshold))


def is_measured(project: Project, key: str, threshold: float) -> bool:
    """Returns whether `records_at` need not measure, which takes a second for a large photograph."""
    inspected, folder = inspected_of(project, key), folder_of(project.folder, project.photograph(key))
    return inspected.made_of.threshold == threshold or (folder, inspected.made_of.map_key, threshold) in _remembered


def shown_threshold(project: Project, key: str, wanted: float) -> float:
    """Returns the threshold whose marks the page shows: the `wanted` one, or until it is measured that of the kept
    findings."""
    if is_measured(project, key, wanted):
        return wanted
    kept = inspected_of(project, key).made_of.threshold
    return wanted if kept is None else kept


def inspected_of(project: Project, key: str) -> Inspected:
    """Returns what was found in a photograph. Raises UserError where it is not inspected yet, or could not be."""
    name, inspected = project.photograph(key).name, project.inspected.get(key)
    if inspected is None or not inspected.is_mapped:
        raise UserError(f"{name} is not inspected yet" if inspected is None else f"{name}: {inspected.error}")
    return inspected


def book_of(project: Project, key: str) -> NumberBook:
    """Returns the numbers of a photograph's marks."""
    folder, picture = folder_of(project.folder, project.photograph(key)), inspected_of(project, key).made_of.picture
    book = _books.of((folder, picture), lambda: open_book(folder, picture))
    book.reserved = project.journal.crack_numbers(project.photograph(key).name)
    return book


def in_pixels(record: CrackRecord) -> CrackRecord:
    """Returns a record without the values in millimetres and the width class, since the scale may change."""
    return replace(record, length_mm=None, width_mm=Widths(), lines_mm=None, width_class="")


def _kept_records(project: Project, key: str, folder: Path) -> list[CrackRecord]:
    return book_of(project, key).numbered([in_pixels(record) for record in kept_records(folder)])


def _tried_records(project: Project, key: str, threshold: float) -> list[CrackRecord]:
    grey = project.grey_of(key)
    heat = read_heat(folder_of(project.folder, project.photograph(key)), inspected_of(project, key))
    records = pixel_records(cracks_of(heat, grey, threshold, judge=project.inspection.judge))
    return book_of(project, key).numbered(records)
