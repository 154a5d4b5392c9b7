"""Finds the scale of each photograph: the first of key, table, marker, checkerboard and distance; all must agree."""

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

IN_PICTURE: dict[str, Callable[[Array, float], Scale]] = {"marker": marker_scale, "checkerboard": checkerboard_scale}
POINTS = ("x1", "y1", "x2", "y2", "length_mm")
MOST_NAMED = 5


@dataclass(frozen=True)
class ScaleRow:
    """A row of a table of scales: its line, the name of its photograph, its scale, and the points that the scale
    follows from, if any."""

    line: int
    name: str
    scale: Scale
    points: Sequence[float]


@dataclass(frozen=True)
class Scales:
    """The sources of scales: `table` holds the rows of a scales.csv by the name of their photograph, `doubtful` the
    rows that several photographs match, by the names of those."""

    options: InspectOptions
    table: Mapping[str, Sequence[ScaleRow]] = field(default_factory=dict)
    doubtful: Mapping[str, ScaleRow] = field(default_factory=dict)

    def of(self, path: Path, name: str, grey: Array) -> tuple[Scale | None, str]:
        """Returns the scale of the photograph `path`, called `name`, with grey levels (h, w) uint8, or None; and why a
        scale that was asked for is missing, or that two disagree."""
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
            faults[0] = f"measured in pixels alone: {faults[0]}"
        return scale, "; ".join(faults)

    def _from_key(self, path: Path, name: str, grey: Array) -> Scale | None:
        return None if self.options.mm_per_px is None else uniform_scale(self.options.mm_per_px, "mm_per_px")

    def _from_picture(self, path: Path, name: str, grey: Array) -> Scale | None:
        measure = IN_PICTURE.get(self.options.scale or "")
        return None if measure is None else measure(grey, float(self.options.marker_mm or 0))

    def _from_distance(self, path: Path, name: str, grey: Array) -> Scale | None:
        if self.options.distance_m is None:
            return None
        facts, (height, width) = camera_facts(path), grey.shape
        if facts.focal_35mm is None:
            raise UserError(f"distance_m needs the focal length, and {facts.fault}: give mm_per_px= or a marker")
        return from_distance(self.options.distance_m, focal_35mm=facts.focal_35mm, size=(width, height))

    def _from_table(self, path: Path, name: str, grey: Array) -> Scale | None:
        if self.options.scale is None or self.options.scale in IN_PICTURE:
            return None
        if rows := self.table.get(name):
            for row in rows:
                _check_within(row.points, grey.shape[::-1])
            return agreed_scale([row.scale for row in rows])
        if (doubt := self.doubtful.get(name)) is not None:
            raise UserError(
                f"line {doubt.line} of scale={self.options.scale} names {doubt.name}, and several photographs are "
                f"called so: write {name} there, and a row for each of the others"
            )
        raise UserError(f"scale={self.options.scale} has no row for {name}: add one, with its name and mm_per_px")


def _check_within(points: Sequence[float], size: tuple[int, ...]) -> None:
    """Raises UserError for points x1, y1, x2, y2 that lie outside a photograph of `size` (width, height)."""
    if any(value > side for value, side in zip(points, (*size, *size), strict=False)):
        raise UserError(
            f"its two points {', '.join(f'{value:g}' for value in points)} lie outside its {size[0]} x {size[1]} "
            "pixels: take them from the photograph at its own size"
        )


def scales_of(options: InspectOptions, photographs: Sequence[Photograph]) -> Scales:
    """Reads the table, if there is one, and matches its rows with photographs. Raises UserError or OSError."""
    if options.scale is None or options.scale in IN_PICTURE:
        return Scales(options)
    path = expanded(options.scale)
    if not path.exists() and not path.suffix:
        raise UserError(
            f"scale={options.scale}: one of {', '.join(IN_PICTURE)}, or a table with photograph and mm_per_px"
        )
    rows = read_table(path, ("photograph",), key="scale")
    if not rows:
        raise UserError(f"scale={path} has no row: photograph and mm_per_px, or photograph and {', '.join(POINTS)}")
    table, doubtful = _matched([scale_row for row in rows for scale_row in _from_row(path, row)], photographs)
    return Scales(options, table, doubtful)


def _spelled(name: str) -> str:
    """Returns a name or path in the form in which it is compared: composed, with /, the ending in lower case."""
    stem, dot, ending = comparable(name).removeprefix("./").rpartition(".")
    return f"{stem}{dot}{ending.lower()}"


def _matched(
    rows: Sequence[ScaleRow], photographs: Sequence[Photograph]
) -> tuple[dict[str, list[ScaleRow]], dict[str, ScaleRow]]:
    """Returns the rows of each photograph by its name, and rows that several photographs match: a row matches by the
    exact name or path, else by another spelling of it, else by the end of the path, else by the name without ending."""
    levels: list[defaultdict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
    for photograph in photographs:
        path = _spelled(str(photograph.path))
        for text in {photograph.name, str(photograph.path)}:
            levels[0][text].append(photograph.name)
        for text in {_spelled(photograph.name), path}:
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
            candidates = names.get((str, _spelled, _spelled, comparable)[level](row.name), [])
            free = [name for name in candidates if name not in matched]
            if len(free) == 1:
                table[free[0]].append(row)
            elif free:
                doubtful |= dict.fromkeys(free, row)
            elif not candidates:
                remaining.append(row)
        rest = remaining
    if rest:
        listed = ", ".join(row.name for row in rest[:MOST_NAMED]) + (" and more" if len(rest) > MOST_NAMED else "")
        log.warning("%d rows of the table of scales match no photograph here: %s", len(rest), listed)
    return table, doubtful


def _from_row(path: Path, row: Row) -> list[ScaleRow]:
    """Returns the scale of a row, or two scales where it has both mm_per_px and points."""
    where, name, rows = f"{path}, line {row.line}", row["photograph"].strip(), list[ScaleRow]()
    if row["mm_per_px"].strip():
        scale = check_scale(uniform_scale(_number(row, "mm_per_px", where), f"{path.name}, line {row.line}"))
        rows.append(ScaleRow(row.line, name, scale, ()))
    if any(row[column].strip() for column in POINTS):
        *points, length_mm = (_number(row, column, where) for column in POINTS)
        source = f"two points in {path.name}, line {row.line}"
        rows.append(
            ScaleRow(row.line, name, check_scale(from_two_points(points[:2], points[2:], length_mm, source)), points)
        )
    if not rows:
        raise UserError(f"{where}: it needs mm_per_px, or {', '.join(POINTS)} of two points")
    return rows


def _number(row: Row, column: str, where: str) -> float:
    text = row[column].strip()
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number) or number < 0 or (column in ("mm_per_px", "length_mm") and number == 0):
        least = "above 0" if column in ("mm_per_px", "length_mm") else "of 0 or more"
        raise UserError(f"{where}: {column}={text!r} is not a number {least}")
    return number
