"""Reads records of cracks from GeoJSON, and takes parts of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.record import CrackRecord, Widths
from crack_lightning.system.ranges import number_of

Array = np.ndarray

MOST = 1e7  # largest length or coordinate, in pixels or millimetres


def record_from(feature: Mapping[str, Any]) -> CrackRecord:
    """Returns the record, in pixels, of a feature by `CrackRecord.feature`. Raises UserError for anything else."""
    try:
        facts, geometry = feature["properties"], feature["geometry"]
        parts = [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]
        lines = checked_lines(parts)
        names = ("width_px", "width_p95_px", "width_max_px", "width_uncertainty_px", "width_below_px")
        widths = Widths(*(_number_or_none(facts[name]) for name in names))
        place = _number_or_none(facts["width_max_x_px"]), _number_or_none(facts["width_max_y_px"])
        along = None
        if facts.get("widths_px") is not None:
            along = np.array([_width_or_none(width) for part in facts["widths_px"] for width in part], float)
        if along is not None and len(along) != sum(map(len, lines)):
            raise ValueError("it has another number of widths than of points")
        return CrackRecord(
            int(_number_in_range(facts["id"])),
            lines,
            _number_in_range(facts["length_px"]),
            widths,
            None if place[0] is None or place[1] is None else (place[0], place[1]),
            _number_in_range(facts["mean_probability"], most=1.0),
            _number_in_range(facts["least_probability"], most=1.0),
            bool(facts["touches_edge"]),
            along_px=along,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"this is not a crack record as in cracks.geojson: {why(error)}") from error


def whole_record(feature: Mapping[str, Any]) -> CrackRecord:
    """Returns the record of a feature by `CrackRecord.feature`, in millimetres too. Raises as `record_from`."""
    record = record_from(feature)
    try:
        facts = feature["properties"]
        names = ("width_mm", "width_p95_mm", "width_max_mm", "width_uncertainty_mm", "width_below_mm")
        lines_mm = facts.get("lines_mm")
        return replace(
            record,
            length_mm=_number_or_none(facts["length_mm"]),
            width_mm=Widths(*(_number_or_none(facts[name]) for name in names)),
            lines_mm=None if lines_mm is None else checked_lines(lines_mm),
            width_class=str(facts["width_class"]),
            status=str(facts.get("status", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"this is not a crack record as in cracks.geojson: {why(error)}") from error


def why(error: Exception) -> str:
    """Returns what is wrong with a record, in words for those who do not know Python."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    kinds = {TypeError: "a value is of another kind", RecursionError: "it is nested too deep"}
    return kinds.get(type(error), str(error))


def checked_lines(parts: Any) -> list[Array]:
    """Returns lists of x and y as lines (n, 2). Raises TypeError or ValueError for others, or beyond any picture."""
    lines = [np.array(part) for part in parts]
    if not lines or not all(line.ndim == 2 and line.shape[1] == 2 and line.dtype.kind in "iuf" for line in lines):
        raise ValueError("a line is not a list of x and y")
    if not all((abs(line) <= MOST).all() for line in lines):
        raise ValueError("a line contains a value that is not a number, or lies outside any picture")
    return [line.astype(np.float64) for line in lines]


def _number_in_range(value: Any, *, least: float = 0.0, most: float = MOST) -> float:
    number = number_of(value)
    if not least <= number <= most:
        raise ValueError(f"{str(value)[:20]!r} is not a number from {least:g} to {most:g}")
    return number


def _width_or_none(value: Any) -> float | None:
    """Returns a width along the line, None where none is claimed; earlier versions wrote some a little below zero."""
    return None if value is None else max(0.0, _number_in_range(value, least=-1.0))


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number_in_range(value)


def parts_of(record: CrackRecord, kept: Array) -> CrackRecord | None:
    """Returns a crack, in pixels, reduced to the points `kept` (n,) bool of all its lines; None if nothing is left.

    Runs of points become lines; lengths and widths are measured on them, the uncertainty is the whole crack's.
    """
    if kept.all():
        return record
    lines, chosen, start = list[Array](), list[Array](), 0
    for line in record.lines:
        for run in _runs(kept[start : start + len(line)]):
            lines.append(line[run])
            chosen.append(start + run)
        start += len(line)
    if not lines:
        return None
    places = np.concatenate(chosen)
    along = None if record.along_px is None else record.along_px[places]
    widths, widest = record.width_px, None
    if along is not None and widths.median is not None:
        if np.isfinite(along).any():
            number = int(np.nanargmax(along))
            x, y = np.concatenate(lines)[number]
            widest = float(x), float(y)
            middle, high = float(np.nanmedian(along)), float(np.nanpercentile(along, 95))
            widths = Widths(middle, high, float(along[number]), widths.uncertainty)
        else:
            widths = Widths()
    return replace(
        record,
        lines=lines,
        length_px=sum(map(length_of, lines)),
        width_px=widths,
        widest_px=widest,
        along_px=along,
    )


def _runs(kept: Array) -> Sequence[Array]:
    """Returns the numbers of the points of each run of at least two."""
    places = np.flatnonzero(kept)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return [run for run in runs if len(run) > 1]
