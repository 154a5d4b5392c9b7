"""The scale of each photograph: by key, table, marker, checkerboard or distance; of several the first that agrees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_lightning.data.images.exif import camera_facts
from crack_lightning.errors import UserError
from crack_lightning.measurement.markers import checkerboard_scale, marker_scale
from crack_lightning.measurement.scale import Scale, agreed, even, from_distance, from_two_points
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.system.files import expanded
from crack_lightning.system.tables import Row, read_table

Array = np.ndarray

IN_PICTURE: dict[str, Callable[[Array, float], Scale]] = {"marker": marker_scale, "checkerboard": checkerboard_scale}
POINTS = ("x1", "y1", "x2", "y2", "length_mm")


@dataclass(frozen=True)
class Scales:
    """Where scales come from; `table` holds those of a scales.csv, by the names of its column `photograph`, and the
    points that some follow from."""

    options: InspectOptions
    table: dict[str, list[tuple[Scale, Sequence[float]]]]

    def of(self, path: Path, name: str, grey: Array) -> tuple[Scale | None, str]:
        """Of the photograph `path`, called `name`, with grey levels (h, w) uint8, or None; and what is to be said of a
        scale that was asked for and is not there, or of two that disagree."""
        found, faults = list[Scale](), list[str]()
        for source in (self._from_key, self._from_table, self._from_picture, self._from_distance):
            try:
                scale = source(path, name, grey)
            except UserError as error:
                faults.append(str(error))
            else:
                found += [] if scale is None else [scale]
        try:
            scale = agreed(found)
        except UserError as error:
            scale, faults = None, [*faults, str(error)]
        if scale is None and faults:
            faults[0] = f"measured in pixels alone: {faults[0]}"
        return scale, "; ".join(faults)

    def _from_key(self, path: Path, name: str, grey: Array) -> Scale | None:
        return None if self.options.mm_per_px is None else even(self.options.mm_per_px, "mm_per_px")

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
        if not self.table:
            return None
        for known in (name, path.name, str(path), path.stem):
            if known in self.table:
                for _, points in self.table[known]:
                    _check_within(points, grey.shape[::-1])
                return agreed([scale for scale, _ in self.table[known]])
        raise UserError(f"scale={self.options.scale} has no row for {name}: add one, with its name and mm_per_px")


def _check_within(points: Sequence[float], size: tuple[int, ...]) -> None:
    """Raise UserError for points x1, y1, x2, y2 that lie outside a photograph of `size` (width, height)."""
    if any(value > side for value, side in zip(points, (*size, *size), strict=False)):
        raise UserError(
            f"its two points {', '.join(f'{value:g}' for value in points)} lie outside its {size[0]} x {size[1]} "
            "pixels: take them from the photograph at its own size"
        )


def scales_of(options: InspectOptions) -> Scales:
    """Read the table, if there is one. Raises UserError or OSError."""
    if options.scale is None or options.scale in IN_PICTURE:
        return Scales(options, {})
    path = expanded(options.scale)
    if not path.exists() and not path.suffix:
        raise UserError(
            f"scale={options.scale}: one of {', '.join(IN_PICTURE)}, or a table with photograph and mm_per_px"
        )
    rows = read_table(path, ("photograph",), key="scale")
    if not rows:
        raise UserError(f"scale={path} has no row: photograph and mm_per_px, or photograph and {', '.join(POINTS)}")
    found = dict[str, list[tuple[Scale, Sequence[float]]]]()
    for row in rows:
        found.setdefault(row["photograph"].strip(), []).append(_from_row(path, row))
    return Scales(options, found)


def _from_row(path: Path, row: Row) -> tuple[Scale, Sequence[float]]:
    where = f"{path}, line {row.line}"
    if row["mm_per_px"].strip():
        return even(_number(row, "mm_per_px", where), f"{path.name}, line {row.line}"), ()
    if not any(row[column].strip() for column in POINTS):
        raise UserError(f"{where}: it needs mm_per_px, or {', '.join(POINTS)} of two points")
    *points, length_mm = (_number(row, column, where) for column in POINTS)
    scale = from_two_points(points[:2], points[2:], length_mm, f"two points in {path.name}, line {row.line}")
    return scale, points


def _number(row: Row, column: str, where: str) -> float:
    text = row[column].strip()
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = float("nan")
    if not np.isfinite(found) or found < 0 or (column in ("mm_per_px", "length_mm") and found == 0):
        least = "above 0" if column in ("mm_per_px", "length_mm") else "of 0 or more"
        raise UserError(f"{where}: {column}={text!r} is no number {least}")
    return found
