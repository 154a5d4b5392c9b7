"""Reads what a request for a correction says: its threshold, its cracks, and its lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crack_lightning.corrections.correction import MAX_LINES, lines_of
from crack_lightning.corrections.lines import JudgedCrack
from crack_lightning.errors import UserError
from crack_lightning.measurement.paths import length_of
from crack_lightning.project.marks import MIN_THRESHOLD, inspected_of, shown_threshold
from crack_lightning.project.project import Project
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.system.ranges import number_of

Facts = Mapping[str, object]

MAX_SIDE_SUMS = 4.0  # greatest length of a stroke or outline, as a multiple of the photograph's width plus height


def wanted(project: Project, key: str, facts: Facts) -> list[JudgedCrack]:
    """Returns the cracks with the requested `JudgedCrack.name`."""
    names = facts.get("cracks", [facts.get("crack")])
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not isinstance(names, list) or not valid or not 0 < len(names) <= MAX_LINES:
        raise UserError(f"crack must be the name of a crack, cracks a list of 1 to {MAX_LINES}")
    by_name = {crack.name: crack for crack in shown(project, key, facts)}
    if any(name not in by_name for name in names):
        raise UserError("that crack is not there any more: it was changed in another window, or by another threshold")
    return [by_name[name] for name in dict.fromkeys(names)]


def shown(project: Project, key: str, facts: Facts) -> list[JudgedCrack]:
    """Returns the cracks that the window of a request shows, which are measured already."""
    return shown_cracks(project, key, shown_threshold(project, key, threshold_in(project, facts)))


def threshold_in(project: Project, facts: Facts) -> float:
    """Returns the threshold of a request, that of the project if it gives none. Raises UserError if it is not valid."""
    value = facts.get("threshold")
    if value is None:
        return project.settings.threshold
    threshold = number_of(value)
    if not MIN_THRESHOLD <= threshold <= 1 - MIN_THRESHOLD:
        raise UserError(f"threshold={str(value)[:20]}: must be from {MIN_THRESHOLD:g} to {1 - MIN_THRESHOLD:g}")
    return threshold


def clipped_lines(project: Project, key: str, facts: Facts, name: str) -> list[Any]:
    """Returns the lines that a request gives under `name`, clipped to the photograph.

    Raises UserError where they are far outside the photograph, or too long.
    """
    inspected, value = inspected_of(project, key), facts.get(name)
    kind = "draw" if facts.get("kind") == "reshape" else str(facts.get("kind"))
    lines = lines_of(kind, [value] if name == "stroke" else value)
    high = np.array([inspected.width_px, inspected.height_px], float)
    if any((line < -high).any() or (line > 2 * high).any() for line in lines):
        raise UserError(f"{name} is outside the photograph's {inspected.width_px} x {inspected.height_px} pixels")
    if sum(map(length_of, lines)) > MAX_SIDE_SUMS * high.sum():
        raise UserError(
            f"{name} is longer than {MAX_SIDE_SUMS:g} times the photograph's width + height: draw one crack at a time"
        )
    return [line.clip(0, high).tolist() for line in lines]
