"""Shows the cracks of a photograph, from the kept map with corrections applied, and takes new corrections."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_lightning.corrections.correction import UNDO_OR_REDO, Correction, lines_of
from crack_lightning.corrections.lines import ACCEPTED, REJECTED, JudgedCrack, cut_by, judged_cracks
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.measurement.cracks import measure_crack
from crack_lightning.measurement.network import Branch, refine_cracks
from crack_lightning.measurement.paths import length_of, resampled, smoothed
from crack_lightning.measurement.record import CrackRecord, Widths, in_mm, pixel_records
from crack_lightning.project.project import REOPEN_HINT, Project
from crack_lightning.project.remembered import Remembered
from crack_lightning.project.scale_choice import scale_of
from crack_lightning.runs.inspection.crack_files import kept_records
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat
from crack_lightning.system.ranges import number_of

Array = np.ndarray

_remembered = Remembered[list[CrackRecord]](16)  # for each photograph and threshold

MIN_STROKE_PX = 12.0  # shorter strokes are refused
STROKE_BAND_PX = 6.0  # a drawn crack is looked for within this distance of its stroke
STROKE_STEP_PX, STROKE_SIGMA = 4.0, 2.0  # a stroke gets a point every 4 pixels, and is smoothed over 2 points
RUBBER_RADII_PX = (2.0, 400.0)  # smallest and largest
MIN_THRESHOLD = 0.01  # the largest is 1 - MIN_THRESHOLD
MAX_SIDE_SUMS = 4.0  # greatest length of a stroke or outline, as a multiple of the photograph's width plus height


def records_at(project: Project, key: str, threshold: float) -> list[CrackRecord]:
    """Returns the cracks that the kept map marks at `threshold`, in pixels, without corrections.

    Raises UserError where the photograph is not inspected yet.
    """
    inspected, folder = _inspected(project, key), folder_of(project.folder, project.photograph(key))
    if inspected.made_of.threshold == threshold:
        return _remembered.of((folder, inspected.made_of.key), lambda: _kept_records(folder))
    return _remembered.of(
        (folder, inspected.made_of.map_key, threshold), lambda: _marked_records(project, key, threshold)
    )


def _inspected(project: Project, key: str) -> Inspected:
    name, inspected = project.photograph(key).name, project.inspected.get(key)
    if inspected is None or not inspected.is_mapped:
        raise UserError(f"{name} is not inspected yet" if inspected is None else f"{name}: {inspected.error}")
    return inspected


def _kept_records(folder: Path) -> list[CrackRecord]:
    return [in_pixels(record) for record in kept_records(folder)]


def _marked_records(project: Project, key: str, threshold: float) -> list[CrackRecord]:
    grey = project.grey_of(key)
    heat = read_heat(folder_of(project.folder, project.photograph(key)), _inspected(project, key))
    return pixel_records(cracks_of(heat, grey, threshold, judge=project.inspection.judge))


def shown_cracks(project: Project, key: str, threshold: float | None = None) -> list[JudgedCrack]:
    """Returns the cracks of a photograph after corrections, also in millimetres where its scale is known."""
    used_threshold = project.settings.threshold if threshold is None else threshold
    cracks = judged_cracks(
        records_at(project, key, used_threshold), project.corrections_of(project.photograph(key).name)
    )
    scale = scale_of(project, key)
    if scale is None:
        return cracks
    classes = project.inspection.measuring.classes
    return [replace(crack, record=in_mm(crack.record, scale, classes)) for crack in cracks]


def is_shown(project: Project, crack: JudgedCrack) -> bool:
    """Returns whether a crack is shown: it has at least the project's shortest length, or a correction."""
    return crack.correction is not None or crack.record.length_px >= project.settings.shortest_px


def correct(project: Project, facts: Mapping[str, object]) -> Correction:
    """Writes a person's correction into the journal, and returns it once it is on disk.

    Its `kind` in `facts` needs further values. accept and reject need the name of the `crack` at `threshold`; reject
    takes `lines` instead where there is no crack. draw and erase need the `stroke`, erase also the rubber's
    `radius_px`. exclude needs the outline as `lines`. Raises UserError, and writes nothing, for invalid values.
    """
    kind, name = facts.get("kind"), str(facts.get("photograph") or "")
    entry: dict[str, Any] = {"kind": kind, "photograph": name, "by": facts.get("by", "")}
    if facts.get("reason"):
        entry["reason"] = facts["reason"]
    if kind not in UNDO_OR_REDO and project.is_stale(key := project.key_of(name)):
        raise UserError(f"the file of {name} changed after it was inspected: {REOPEN_HINT}")
    if kind in ("accept", "reject") and "crack" in facts:
        records_at(project, key, _threshold_in_use(project, facts))  # the slow part, done before the journal is locked
    with project.journal.guard:  # otherwise two windows could write the same correction
        return _write_correction(project, facts, entry | {"picture": project.picture_of(name)})


def _write_correction(project: Project, facts: Mapping[str, object], entry: dict[str, Any]) -> Correction:
    kind = entry["kind"]
    if kind in ("accept", "reject"):
        entry |= _crack_values(project, facts)
    elif kind == "draw":
        entry |= _stroke_values(project, facts)
    elif kind == "erase":
        entry |= {"lines": [line.tolist() for line in _erased_lines(project, facts)]}
    elif kind == "exclude":
        entry |= {"lines": _clipped_lines(project, facts, "lines")}
    elif kind in ("undo", "redo"):
        entry = {"kind": kind, "of": facts.get("of"), "by": entry["by"]}
    else:
        raise UserError(f"kind={str(kind)[:40]!r}: must be one of accept, reject, draw, erase, exclude, undo, redo")
    return project.journal.append(entry)


def _crack_values(project: Project, facts: Mapping[str, object]) -> dict[str, Any]:
    """Returns lines and measurement of the crack with the requested `JudgedCrack.name`, or the lines of a request."""
    if facts.get("kind") == "reject" and "lines" in facts:
        return {"lines": _clipped_lines(project, facts, "lines")}
    key, wanted = project.key_of(str(facts.get("photograph"))), facts.get("crack")
    for crack in shown_cracks(project, key, _requested_threshold(facts)):
        if crack.name == wanted:
            if crack.status == {"accept": ACCEPTED, "reject": REJECTED}[str(facts.get("kind"))]:
                raise UserError(f"that crack is {crack.status} already")
            lines = [line.tolist() for line in crack.record.lines]
            feature = in_pixels(crack.record).feature() if facts.get("kind") == "accept" else None
            known = {"feature": feature, "probability": crack.record.probability}
            return {"lines": lines, **{name: value for name, value in known.items() if value is not None}}
    raise UserError("that crack is not there any more: it was changed in another window, or by another threshold")


def _threshold_in_use(project: Project, facts: Mapping[str, object]) -> float:
    threshold = _requested_threshold(facts)
    return project.settings.threshold if threshold is None else threshold


def _requested_threshold(facts: Mapping[str, object]) -> float | None:
    value = facts.get("threshold")
    if value is None:
        return None
    threshold = number_of(value)
    if not MIN_THRESHOLD <= threshold <= 1 - MIN_THRESHOLD:
        raise UserError(f"threshold={str(value)[:20]}: must be from {MIN_THRESHOLD:g} to {1 - MIN_THRESHOLD:g}")
    return threshold


def in_pixels(record: CrackRecord) -> CrackRecord:
    """Returns a record without the values in millimetres and the width class, since the scale may change."""
    return replace(record, length_mm=None, width_mm=Widths(), lines_mm=None, width_class="")


def _clipped_lines(project: Project, facts: Mapping[str, object], name: str) -> list[Any]:
    """Returns the lines that a request gives under `name`, clipped to the photograph.

    Raises UserError where they are far outside the photograph, or too long.
    """
    inspected = _inspected(project, project.key_of(str(facts.get("photograph"))))
    value = facts.get(name)
    lines = lines_of(str(facts.get("kind")), [value] if name == "stroke" else value)
    high = np.array([inspected.width_px, inspected.height_px], float)
    if any((line < -high).any() or (line > 2 * high).any() for line in lines):
        raise UserError(f"{name} is outside the photograph's {inspected.width_px} x {inspected.height_px} pixels")
    if sum(map(length_of, lines)) > MAX_SIDE_SUMS * high.sum():
        raise UserError(
            f"{name} is longer than {MAX_SIDE_SUMS:g} times the photograph's width + height: draw one crack at a time"
        )
    return [line.clip(0, high).tolist() for line in lines]


def _stroke_values(project: Project, facts: Mapping[str, object]) -> dict[str, Any]:
    """Returns the lines and measurement of the crack beneath the stroke of a request."""
    (stroke,) = (np.array(line, float) for line in _clipped_lines(project, facts, "stroke"))
    if length_of(stroke) < MIN_STROKE_PX:
        raise UserError(f"a stroke of {length_of(stroke):.0f} pixels is too short: draw along the crack")
    key = project.key_of(str(facts.get("photograph")))
    record = measured_along(stroke, project.grey_of(key))
    return {"lines": [line.tolist() for line in record.lines], "feature": record.feature()}


def measured_along(stroke: Array, grey: Array) -> CrackRecord:
    """Returns the crack beneath a `stroke` (n, 2) in the grey levels (h, w) of a photograph, measured in pixels."""
    points = smoothed(resampled(stroke, STROKE_STEP_PX), STROKE_SIGMA)
    branch = Branch(points, 1, STROKE_BAND_PX, np.ones(len(points)))
    (parts,) = refine_cracks([branch], grey)
    (record,) = pixel_records([measure_crack(parts, grey)])
    return record


def _erased_lines(project: Project, facts: Mapping[str, object]) -> Sequence[Array]:
    (stroke,) = (np.array(line, float) for line in _clipped_lines(project, facts, "stroke"))
    radius_px = number_of(facts.get("radius_px"))
    if not RUBBER_RADII_PX[0] <= radius_px <= RUBBER_RADII_PX[1]:
        raise UserError(
            f"radius_px={str(facts.get('radius_px'))[:20]}: must be from {RUBBER_RADII_PX[0]:g} to "
            f"{RUBBER_RADII_PX[1]:g}"
        )
    key = project.key_of(str(facts.get("photograph")))
    shown = [
        crack.record for crack in shown_cracks(project, key, _requested_threshold(facts)) if crack.status != "rejected"
    ]
    parts = cut_by(shown, stroke, radius_px)
    if not parts:
        raise UserError("there is nothing marked to rub out")
    return parts
