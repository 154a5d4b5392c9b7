"""Finds the scale of each photograph from the key mm_per_px, a table, a marker, a checkerboard or the distance.

If several of them give a scale, they must agree, and the first in this order is used.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crack_lightning.data.images.exif import camera_facts
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.markers import checkerboard_scale, marker_scale
from crack_lightning.measurement.scale import (
    Scale,
    agreed_scale,
    check_scale,
    from_distance,
    from_two_points,
    uniform_scale,
)
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.system.files import expanded
from crack_lightning.system.names import comparable
from crack_lightning.system.tables import Row, read_table

log = logging.getLogger(__name__)

Array = np.ndarray

# Functions that find a scale in the picture, by the value of the key `scale`.
PICTURE_SCALES: dict[str, Callable[[Array, float], Scale]] = {
    "marker": marker_scale,
    "checkerboard": checkerboard_scale,
}
POINT_COLUMNS = ("x1", "y1", "x2", "y2", "length_mm")
MAX_NAMED = 5  # unmatched rows that a warning names


@dataclass(frozen=True)
class ScaleRow:
    """A row of a table of scales: its line number, the name of its photograph, the scale, and the two points x1, y1,
    x2, y2 from which the scale was computed, if any."""

    line: int
    name: str
    scale: Scale
    points: Sequence[float]


@dataclass(frozen=True)
class Scales:
    """The sources of scales. `table` maps names of photographs to their rows in a table such as scales.csv; `doubtful`
    maps each photograph that shares a matching row with others to this row."""

    options: InspectOptions
    table: Mapping[str, Sequence[ScaleRow]] = field(default_factory=dict)
    doubtful: Mapping[str, ScaleRow] = field(default_factory=dict)

    def of(self, path: Path, name: str, grey: Array) -> tuple[Scale | None, str]:
        """Returns the scale of the photograph `path`, called `name`, with grey levels (h, w) uint8, or None; and a text
        that says why a requested scale is missing or which scales disagree, empty otherwise."""
        scales, faults = list[Scale](), list[str]()
        for source in (self._from_key, self._from_table, self._from_picture, self._from_distance):
            try:
                scale = source(path, name, grey)
                scales += [] if scale is None else [check_scale(scale)]
            except UserError as error:
                faults.append(str(error))
        try:
            scale = agreed_scale(scales)
        except UserError as error:
            scale, faults = None, [*faults, str(error)]
        if scale is None and faults:
            faults[0] = f"measured in pixels only: {faults[0]}"
        return scale, "; ".join(faults)

    def _from_key(self, path: Path, name: str, grey: Array) -> Scale | None:
        return None if self.options.mm_per_px is None else uniform_scale(self.options.mm_per_px, "mm_per_px")

    def _from_picture(self, path: Path, name: str, grey: Array) -> Scale | None:
        measure = PICTURE_SCALES.get(self.options.scale or "")
        return None if measure is None else measure(grey, float(self.options.marker_mm or 0))

    def _from_distance(self, path: Path, name: str, grey: Array) -> Scale | None:
        if self.options.distance_m is None:
            return None
        facts, (height, width) = camera_facts(path), grey.shape
        if facts.focal_35mm is None:
            raise UserError(f"distance_m needs the focal length, and {facts.fault}: give mm_per_px= or a marker")
        return from_distance(self.options.distance_m, focal_35mm=facts.focal_35mm, size=(width, height))

    def _from_table(self, path: Path, name: str, grey: Array) -> Scale | None:
        if self.options.scale is None or self.options.scale in PICTURE_SCALES:
            return None
        if rows := self.table.get(name):
            for row in rows:
                _check_within(row.points, grey.shape[::-1])
            return agreed_scale([row.scale for row in rows])
        if (shared := self.doubtful.get(name)) is not None:
            raise UserError(
                f"line {shared.line} of scale={self.options.scale} names {shared.name}, which matches several "
                f"photographs: write {name} there, and add a row for each of the other photographs"
            )
        raise UserError(f"scale={self.options.scale} has no row for {name}: add a row with its name and mm_per_px")


def _check_within(points: Sequence[float], size: tuple[int, ...]) -> None:
    """Raises UserError if a point of x1, y1, x2, y2 is outside a photograph of `size` (width, height)."""
    if any(value > side for value, side in zip(points, (*size, *size), strict=False)):
        raise UserError(
            f"its two points {', '.join(f'{value:g}' for value in points)} are outside its {size[0]} x {size[1]} "
            "pixels: measure them in the photograph at full size"
        )


def scales_of(options: InspectOptions, photographs: Sequence[Photograph]) -> Scales:
    """Reads the table of scales, if there is one, and matches its rows with the photographs. Raises UserError or
    OSError."""
    if options.scale is None or options.scale in PICTURE_SCALES:
        return Scales(options)
    path = expanded(options.scale)
    if not path.exists() and not path.suffix:
        raise UserError(
            f"scale={options.scale}: must be one of {', '.join(PICTURE_SCALES)}, or a table with the columns "
            "photograph and mm_per_px"
        )
    rows = read_table(path, ("photograph",), key="scale")
    if not rows:
        columns = ", ".join(POINT_COLUMNS)
        raise UserError(f"scale={path} has no row: it needs photograph and mm_per_px, or photograph and {columns}")
    table, doubtful = _match_rows([scale_row for row in rows for scale_row in _scale_rows(path, row)], photographs)
    return Scales(options, table, doubtful)


def _comparable_name(name: str) -> str:
    """Returns a name or path normalised for comparison: composed Unicode, / as separator, lower-case ending."""
    stem, dot, ending = comparable(name).removeprefix("./").rpartition(".")
    return f"{stem}{dot}{ending.lower()}"


def _match_rows(
    rows: Sequence[ScaleRow], photographs: Sequence[Photograph]
) -> tuple[dict[str, list[ScaleRow]], dict[str, ScaleRow]]:
    """Returns the rows by the name of their photograph, and by the same names the rows that match several photographs.

    A row matches by the exact name or path, else by another spelling of it, else by the end of the path, else by the
    name without its ending.
    """
    levels: list[defaultdict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
    for photograph in photographs:
        path = _comparable_name(str(photograph.path))
        for text in {photograph.name, str(photograph.path)}:
            levels[0][text].append(photograph.name)
        for text in {_comparable_name(photograph.name), path}:
            levels[1][text].append(photograph.name)
        parts = path.split("/")
        for first in range(1, len(parts)):
            levels[2]["/".join(parts[first:])].append(photograph.name)
        levels[3][comparable(photograph.path.stem)].append(photograph.name)
    table, doubtful = defaultdict[str, list[ScaleRow]](list), dict[str, ScaleRow]()
    rest = list(rows)
    for level, names in enumerate(levels):
        matched, remaining = set(table), list[ScaleRow]()
        for row in rest:
            candidates = names.get((str, _comparable_name, _comparable_name, comparable)[level](row.name), [])
            free = [name for name in candidates if name not in matched]
            if len(free) == 1:
                table[free[0]].append(row)
            elif free:
                doubtful |= dict.fromkeys(free, row)
            elif not candidates:
                remaining.append(row)
        rest = remaining
    if rest:
        listed = ", ".join(row.name for row in rest[:MAX_NAMED]) + (" and more" if len(rest) > MAX_NAMED else "")
        log.warning("%d rows of the table of scales match no photograph: %s", len(rest), listed)
    return table, doubtful


def _scale_rows(path: Path, row: Row) -> list[ScaleRow]:
    """Returns the scale of a row; two scales if the row has both mm_per_px and points."""
    where, name, rows = f"{path}, line {row.line}", row["photograph"].strip(), list[ScaleRow]()
    if row["mm_per_px"].strip():
        scale = check_scale(uniform_scale(_number(row, "mm_per_px", where), f"{path.name}, line {row.line}"))
        rows.append(ScaleRow(row.line, name, scale, ()))
    if any(row[column].strip() for column in POINT_COLUMNS):
        *points, length_mm = (_number(row, column, where) for column in POINT_COLUMNS)
        source = f"two points in {path.name}, line {row.line}"
        rows.append(
            ScaleRow(row.line, name, check_scale(from_two_points(points[:2], points[2:], length_mm, source)), points)
        )
    if not rows:
        raise UserError(f"{where}: the row needs mm_per_px, or two points as {', '.join(POINT_COLUMNS)}")
    return rows


def _number(row: Row, column: str, where: str) -> float:
    text = row[column].strip()
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number) or number < 0 or (column in ("mm_per_px", "length_mm") and number == 0):
        range_text = "above 0" if column in ("mm_per_px", "length_mm") else "of at least 0"
        raise UserError(f"{where}: {column}={text!r} is not a number {range_text}")
    return number
