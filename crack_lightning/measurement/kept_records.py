"""Reads the records of cracks from GeoJSON, and restricts them to some of their points."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.record import CrackRecord, Widths
from crack_lightning.system.ranges import number_of

Array = np.ndarray

LARGEST_VALUE = 1e7  # largest length, width or coordinate, in pixels or millimetres


def record_from(feature: Mapping[str, Any]) -> CrackRecord:
    """Returns the record, in pixels, of a feature that `CrackRecord.feature` made. Raises UserError for any other."""
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
            raise ValueError(f"it has {len(along)} widths for {sum(map(len, lines))} points")
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
            probability=_probability_or_none(facts.get("probability")),
            likely=bool(facts.get("likely", True)),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"this is not a crack record as in cracks.geojson: {reason_of(error)}") from error


def whole_record(feature: Mapping[str, Any]) -> CrackRecord:
    """Returns the same record as `record_from`, with its values in millimetres. Raises UserError as it does."""
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
            kind=str(facts.get("kind", "")),
            note=str(facts.get("note", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"this is not a crack record as in cracks.geojson: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Returns what is wrong with a record, in words for those who do not know Python."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    reasons = {TypeError: "a value has the wrong type", RecursionError: "it is nested too deep"}
    return reasons.get(type(error), str(error))


def checked_lines(parts: Any) -> list[Array]:
    """Returns lists of x and y as lines (n, 2). Raises TypeError or ValueError for any other value."""
    lines = [np.array(part) for part in parts]
    if not lines or not all(line.ndim == 2 and line.shape[1] == 2 and line.dtype.kind in "iuf" for line in lines):
        raise ValueError("a line is not a list of x and y")
    if not all((abs(line) <= LARGEST_VALUE).all() for line in lines):
        raise ValueError("a line contains a value that is not a number, or is too large for any picture")
    return [line.astype(np.float64) for line in lines]


def _number_in_range(value: Any, *, least: float = 0.0, most: float = LARGEST_VALUE) -> float:
    number = number_of(value)
    if not least <= number <= most:
        raise ValueError(f"{str(value)[:20]!r} is not a number from {least:g} to {most:g}")
    return number


def _width_or_none(value: Any) -> float | None:
    """Returns a width at a point, None where it is not claimed; earlier versions wrote some a little below zero."""
    return None if value is None else max(0.0, _number_in_range(value, least=-1.0))


def _probability_or_none(value: Any) -> float | None:
    return None if value is None else _number_in_range(value, most=1.0)


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number_in_range(value)


def restricted_to(record: CrackRecord, kept: Array) -> CrackRecord | None:
    """Returns a crack, in pixels, restricted to the points `kept` (n,) bool of all its lines; None if nothing is left.

    Each run of kept points becomes a line. Length and widths are computed again, except for the uncertainty.
    """
    if kept.all():
        return record
    lines, runs, start = list[Array](), list[Array](), 0
    for line in record.lines:
        for run in _runs(kept[start : start + len(line)]):
            lines.append(line[run])
            runs.append(start + run)
        start += len(line)
    if not lines:
        return None
    indices = np.concatenate(runs)
    along = None if record.along_px is None else record.along_px[indices]
    widths, widest = record.width_px, None
    if along is not None and widths.median is not None:
        if np.isfinite(along).any():
            index = int(np.nanargmax(along))
            x, y = np.concatenate(lines)[index]
            widest = float(x), float(y)
            median, p95 = float(np.nanmedian(along)), float(np.nanpercentile(along, 95))
            widths = Widths(median, p95, float(along[index]), widths.uncertainty)
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
    """Returns the indices of the points of each run of at least two kept points."""
    indices = np.flatnonzero(kept)
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    return [run for run in runs if len(run) > 1]
