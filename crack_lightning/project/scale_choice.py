"""The scale of a photograph in a project: set by a person for it or for all, or given on the command line."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.errors import UserError
from crack_lightning.measurement.markers import marker_scale
from crack_lightning.measurement.scale import Scale, check_scale, from_two_points, uniform_scale
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.system.ranges import number_of

BY_POINTS = ("x1", "y1", "x2", "y2", "length_mm")


def scale_of(project: Project, key: str) -> Scale | None:
    """Returns the scale set last for the photograph or for all, else the command line's; None where there is none."""
    name = project.photograph(key).name
    corrections = [
        correction for owner in (name, "") for correction in project.corrections_of(owner) if correction.kind == "scale"
    ]
    if corrections:
        return scale_from(max(corrections, key=lambda correction: correction.number).scale or {})
    mm_per_px = project.options.mm_per_px
    return None if mm_per_px is None else uniform_scale(mm_per_px, "mm_per_px")


def scale_from(facts: Mapping[str, object]) -> Scale | None:
    """Returns the scale of a journal entry, None of an empty one."""
    if not facts:
        return None
    matrix = np.array([[facts["xx"], facts["xy"]], [facts["yx"], facts["yy"]]])
    return Scale(matrix, number_of(facts["deviation"]), str(facts["source"]))


def scale_facts(scale: Scale) -> dict[str, Any]:
    """Returns a scale as the journal has it."""
    (xx, xy), (yx, yy) = scale.matrix.tolist()
    return {"xx": xx, "xy": xy, "yx": yx, "yy": yy, "deviation": scale.deviation, "source": scale.source}


def set_scale(project: Project, facts: Mapping[str, object]) -> Correction:
    """Sets the scale of the photograph that `facts` name, or with `all` of all, and writes it into the journal.

    It is `mm_per_px`, or follows from two points `x1`, `y1`, `x2`, `y2` that lie `length_mm` apart, or from a marker of
    `marker_mm` in the photograph; with none of them it is forgotten.

    Raises UserError where they give no scale.
    """
    name = str(facts.get("photograph") or "")
    scale = _measured(project, name, facts)
    kept = {} if scale is None else scale_facts(check_scale(scale))
    owner = "" if facts.get("all") else name
    if not owner and not facts.get("all"):
        raise UserError("no photograph is open: open one, or set the scale for all photographs")
    if owner:
        project.key_of(owner)
    entry = {"kind": "scale", "photograph": owner, "by": facts.get("by", ""), "scale": kept}
    return project.journal.append(entry | ({"picture": project.picture_of(owner)} if owner else {}))


def _measured(project: Project, name: str, facts: Mapping[str, object]) -> Scale | None:
    if facts.get("mm_per_px") is not None:
        return uniform_scale(_number(facts, "mm_per_px"), "mm_per_px, set in the page")
    if facts.get("length_mm") is not None:
        x1, y1, x2, y2, length_mm = (_number(facts, field) for field in BY_POINTS)
        inspected = project.inspected.get(key_of_name(name))
        if (
            inspected is not None
            and inspected.is_mapped
            and (max(x1, x2) > inspected.width_px or max(y1, y2) > inspected.height_px)
        ):
            size = f"{inspected.width_px} x {inspected.height_px}"
            raise UserError(f"two points lie outside the {size} pixels of {name}: take both within it")
        return from_two_points((x1, y1), (x2, y2), length_mm, f"two points {length_mm:g} mm apart in {name}")
    if facts.get("marker_mm") is not None:
        return marker_scale(project.grey_of(project.key_of(name)), _number(facts, "marker_mm"))
    return None


def _number(facts: Mapping[str, object], name: str) -> float:
    value = facts.get(name)
    may_be_zero = name[0] in "xy"
    number = number_of(value)
    if np.isnan(number) or number < 0 or (number == 0 and not may_be_zero):
        raise UserError(f"{name}={str(value)[:20]!r} is not a number above 0")
    return number
