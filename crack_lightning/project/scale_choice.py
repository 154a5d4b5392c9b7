"""Chooses a photograph's scale: set in the page for this photograph or for all, or given on the command line."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.errors import UserError
from crack_lightning.measurement.markers import marker_scale
from crack_lightning.measurement.scale import Scale, check_scale, from_two_points, uniform_scale
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.system.ranges import number_of

NAMES = {"mm_per_px": "millimetres a pixel", "length_mm": "the distance in mm", "marker_mm": "the marker's width in mm"}
TWO_POINT_FIELDS = ("x1", "y1", "x2", "y2", "length_mm")


def scale_of(project: Project, key: str) -> Scale | None:
    """Returns the scale that was set last for this photograph, else that for all, else the one in the options.

    None without any of them. What was measured in a photograph is not replaced by a scale for all.
    """
    for target in (project.photograph(key).name, ""):
        corrections = [correction for correction in project.corrections_of(target) if correction.kind == "scale"]
        if corrections and corrections[-1].scale:
            return scale_from(corrections[-1].scale)
        if corrections and not target:
            return None  # that for all was forgotten
    mm_per_px = project.options.mm_per_px
    return None if mm_per_px is None else uniform_scale(mm_per_px, "given when the page was started")


def scale_from(facts: Mapping[str, object]) -> Scale | None:
    """Returns the scale in a journal entry; None if the entry is empty, which forgets the scale."""
    if not facts:
        return None
    matrix = np.array([[facts["xx"], facts["xy"]], [facts["yx"], facts["yy"]]])
    return Scale(matrix, number_of(facts["deviation"]), str(facts["source"]))


def scale_facts(scale: Scale) -> dict[str, Any]:
    """Returns a scale as it is written in the journal."""
    (xx, xy), (yx, yy) = scale.matrix.tolist()
    return {"xx": xx, "xy": xy, "yx": yx, "yy": yy, "deviation": scale.deviation, "source": scale.source}


def set_scale(project: Project, facts: Mapping[str, object]) -> Correction:
    """Writes the scale of the `photograph` in `facts`, or with `all` that of all photographs, into the journal.

    The scale is `mm_per_px`, or follows from two points (`x1`, `y1`) and (`x2`, `y2`) that are `length_mm` apart, or
    from a marker `marker_mm` wide in the photograph; without any of these the scale is forgotten.

    Raises UserError where these values do not give a scale.
    """
    name = str(facts.get("photograph") or "")
    scale = _scale_in(project, name, facts)
    journal_facts = {} if scale is None else scale_facts(check_scale(scale))
    target = "" if facts.get("all") else name
    if not target and not facts.get("all"):
        raise UserError("no photograph is open: open one, or set the scale for all photographs")
    if target:
        project.key_of(target)  # raises for an unknown photograph
    entry = {"kind": "scale", "photograph": target, "by": facts.get("by", ""), "scale": journal_facts}
    return project.journal.append(entry | ({"picture": project.picture_of(target)} if target else {}))


def _scale_in(project: Project, name: str, facts: Mapping[str, object]) -> Scale | None:
    if "mm_per_px" in facts:
        return uniform_scale(_number(facts, "mm_per_px"), "set in the page")
    if "length_mm" in facts:
        x1, y1, x2, y2, length_mm = (_number(facts, field) for field in TWO_POINT_FIELDS)
        inspected = project.inspected.get(key_of_name(name))
        if (
            inspected is not None
            and inspected.is_mapped
            and (max(x1, x2) > inspected.width_px or max(y1, y2) > inspected.height_px)
        ):
            size = f"{inspected.width_px} x {inspected.height_px}"
            raise UserError(f"a point is outside {name}, which has {size} pixels: mark both points in the photograph")
        click_px = _number(facts, "click_px") if "click_px" in facts else 1.0
        source = f"two points {length_mm:g} mm apart in {name}"
        return from_two_points((x1, y1), (x2, y2), length_mm, source, click_px=click_px)
    if "marker_mm" in facts:
        return marker_scale(project.grey_of(project.key_of(name)), _number(facts, "marker_mm"))
    return None


def _number(facts: Mapping[str, object], name: str) -> float:
    value = facts.get(name)
    may_be_zero = name[0] in "xy"
    number = number_of(value)
    if np.isnan(number) or number < 0 or (number == 0 and not may_be_zero):
        wanted = "of 0 or more" if may_be_zero else "above 0"
        raise UserError(f"{NAMES.get(name, name)}: {str(value)[:20]!r} is not a number {wanted}")
    return number
