"""The scale of a photograph in a project: what somebody set for it, or for all, or what the command line gave."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crack_lightning.corrections.correction import Correction
from crack_lightning.errors import UserError
from crack_lightning.measurement.markers import marker_scale
from crack_lightning.measurement.scale import Scale, checked, even, from_two_points
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.system.ranges import number_of

BY_POINTS = ("x1", "y1", "x2", "y2", "length_mm")


def scale_of(project: Project, key: str) -> Scale | None:
    """The last that was set for the photograph or for all, else the command line's; None where none is."""
    name = project.photograph(key).name
    said = [one for of in (name, "") for one in project.corrections_of(of) if one.kind == "scale"]
    if said:
        return scale_from(max(said, key=lambda one: one.number).scale or {})
    mm_per_px = project.options.mm_per_px
    return None if mm_per_px is None else even(mm_per_px, "mm_per_px")


def scale_from(facts: Mapping[str, object]) -> Scale | None:
    """The scale as the journal has it; None of none."""
    if not facts:
        return None
    matrix = np.array([[facts["xx"], facts["xy"]], [facts["yx"], facts["yy"]]])
    return Scale(matrix, number_of(facts["deviation"]), str(facts["source"]))


def scale_facts(scale: Scale) -> dict[str, Any]:
    """As the journal has it."""
    (xx, xy), (yx, yy) = scale.matrix.tolist()
    return {"xx": xx, "xy": xy, "yx": yx, "yy": yy, "deviation": scale.deviation, "source": scale.source}


def set_scale(project: Project, facts: Mapping[str, object]) -> Correction:
    """Set the scale of the photograph that `facts` name, or with `all` of all, and write it into the journal.

    It is `mm_per_px`, or follows from two points `x1`, `y1`, `x2`, `y2` that lie `length_mm` apart, or from a marker of
    `marker_mm` in the photograph; with none of them it is forgotten.

    Raises UserError for what gives no scale.
    """
    name = str(facts.get("photograph") or "")
    scale = _measured(project, name, facts)
    kept = {} if scale is None else scale_facts(checked(scale))
    of = "" if facts.get("all") else name
    if not of and not facts.get("all"):
        raise UserError("no photograph is open: open one, or set the scale for all photographs")
    if of:
        project.key_of(of)
    made = {"kind": "scale", "photograph": of, "by": facts.get("by", ""), "scale": kept}
    return project.journal.append(made | ({"picture": project.picture_of(of)} if of else {}))


def _measured(project: Project, name: str, facts: Mapping[str, object]) -> Scale | None:
    if facts.get("mm_per_px") is not None:
        return even(_number(facts, "mm_per_px"), "mm_per_px, set in the page")
    if facts.get("length_mm") is not None:
        x1, y1, x2, y2, length_mm = (_number(facts, each) for each in BY_POINTS)
        found = project.inspected.get(key_of_name(name))
        if found is not None and found.is_mapped and (max(x1, x2) > found.width_px or max(y1, y2) > found.height_px):
            size = f"{found.width_px} x {found.height_px}"
            raise UserError(f"two points lie outside the {size} pixels of {name}: take both within it")
        return from_two_points((x1, y1), (x2, y2), length_mm, f"two points {length_mm:g} mm apart in {name}")
    if facts.get("marker_mm") is not None:
        return marker_scale(project.grey_of(project.key_of(name)), _number(facts, "marker_mm"))
    return None


def _number(facts: Mapping[str, object], name: str) -> float:
    value = facts.get(name)
    least = name[0] in "xy"
    number = number_of(value)
    if np.isnan(number) or number < 0 or (number == 0 and not least):
        raise UserError(f"{name}={str(value)[:20]!r} is no number above 0")
    return number
