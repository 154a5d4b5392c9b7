"""The reported facts of a crack: position, length, width and class, in pixels and, if the scale is known, in mm."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.measurement.cracks import Crack, measure_crack
from crack_lightning.measurement.network import Branch
from crack_lightning.measurement.scale import Scale

Array = np.ndarray

KINDS = CRACK_KIND, *OTHER_KINDS = "crack", "joint", "spall", "other"  # what people call marks
# Probability of a mark to be a crack from which on it is in the first view: of any mark, and of one that has LONG_SHARE
# of the photograph's longer side. Chosen on every second photograph of CrackSight, so that no long crack is left out.
LIKELY, LONG_LIKELY, LONG_SHARE = 0.5, 0.2, 0.05
HALF_BAND_PX = 6.0  # a crack is measured again within this distance of its line
IN_PIXELS = "pixels of the upright photograph, x to the right and y down from its upper left corner"


@dataclass(frozen=True)
class Widths:
    """The width of a crack, all values in one unit: median, 95th percentile and maximum, None where it is not claimed.

    `uncertainty` is the standard error of the median. `below` is an upper limit, for a width that is not claimed.
    """

    median: float | None = None
    p95: float | None = None
    maximum: float | None = None
    uncertainty: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class CrackFacts:
    """The reported values of a crack without its lines, rounded; None where a value is not known or not claimed.

    The fields are also the columns of cracks.csv and the properties in cracks.geojson.
    """

    id: int
    length_px: float
    width_px: float | None
    width_p95_px: float | None
    width_max_px: float | None
    width_uncertainty_px: float | None
    width_below_px: float | None
    width_max_x_px: float | None
    width_max_y_px: float | None
    length_mm: float | None
    width_mm: float | None
    width_p95_mm: float | None
    width_max_mm: float | None
    width_uncertainty_mm: float | None
    width_below_mm: float | None
    width_class: str
    branches: int
    touches_edge: bool
    mean_probability: float
    least_probability: float
    probability: float | None
    likely: bool
    status: str
    kind: str
    note: str


@dataclass(frozen=True)
class CrackRecord:
    """One crack, in pixels of the upright photograph and, where the scale is known, in millimetres on the surface.

    `lines`, `lines_mm`: x and y of points (n, 2), for each line.
    `along_px` (sum of n,): the width at each point, line after line, NaN where it is not claimed.
    `probability`: of the mark to be a crack, None if nothing judged it. `likely`: whether the first view shows it.
    `status`: what people decided in the page. `kind`, `note`: what they wrote about it.
    """

    number: int
    lines: Sequence[Array]
    length_px: float
    width_px: Widths
    widest_px: tuple[float, float] | None
    mean_probability: float
    least_probability: float
    touches_edge: bool
    length_mm: float | None = None
    width_mm: Widths = Widths()
    lines_mm: Sequence[Array] | None = None
    width_class: str = ""
    status: str = ""
    along_px: Array | None = None
    probability: float | None = None
    likely: bool = True
    kind: str = ""
    note: str = ""

    def facts(self) -> CrackFacts:
        """Returns all values except the lines, rounded as in the files."""
        x, y = self.widest_px or (None, None)
        px, mm = _rounded_widths(self.width_px, 2), _rounded_widths(self.width_mm, 3)
        return CrackFacts(
            id=self.number,
            length_px=round(float(self.length_px), 1),
            width_px=px.median,
            width_p95_px=px.p95,
            width_max_px=px.maximum,
            width_uncertainty_px=px.uncertainty,
            width_below_px=px.below,
            width_max_x_px=_rounded(x, 1),
            width_max_y_px=_rounded(y, 1),
            length_mm=_rounded(self.length_mm, 1),
            width_mm=mm.median,
            width_p95_mm=mm.p95,
            width_max_mm=mm.maximum,
            width_uncertainty_mm=mm.uncertainty,
            width_below_mm=mm.below,
            width_class=self.width_class,
            branches=len(self.lines),
            touches_edge=self.touches_edge,
            mean_probability=round(self.mean_probability, 4),
            least_probability=round(self.least_probability, 4),
            probability=_rounded(self.probability, 3),
            likely=self.likely,
            status=self.status,
            kind=self.kind,
            note=self.note,
        )

    def feature(self) -> dict[str, Any]:
        """Returns the record as a GeoJSON feature."""
        parts = [np.round(line, 2).tolist() for line in self.lines]
        geometry = {"type": "LineString", "coordinates": parts[0]}
        if len(parts) > 1:
            geometry = {"type": "MultiLineString", "coordinates": parts}
        properties = asdict(self.facts())
        if self.along_px is not None and self.width_px.median is not None:
            ends = np.cumsum([len(line) for line in self.lines])[:-1]
            properties["widths_px"] = [_rounded_or_none(part) for part in np.split(self.along_px, ends)]
        if self.lines_mm is not None:
            properties["lines_mm"] = [np.round(line, 2).tolist() for line in self.lines_mm]
        return {"type": "Feature", "id": self.number, "properties": properties, "geometry": geometry}


def measured_again(records: Sequence[CrackRecord], grey: Array) -> Crack:
    """Measures the cracks of `records`, as one, along their lines as they are, on grey levels (h, w), 0..255."""
    parts = list[tuple[Array, Branch]]()
    for record in records:
        half_px = max(HALF_BAND_PX, (record.width_px.maximum or 0.0) / 2)
        for line in record.lines:
            parts.append((line, Branch(line, 1, half_px, np.full(len(line), record.mean_probability))))
    return measure_crack(parts, grey, as_given=True)


def is_likely(probability: float | None, length_share: float) -> bool:
    """Returns whether a mark is in the first view.

    `probability`: of the mark to be a crack, None if nothing judged it. `length_share`: its length, as a share of the
    photograph's longer side.
    """
    return probability is None or probability >= (LONG_LIKELY if length_share >= LONG_SHARE else LIKELY)


def is_crack(kind: str) -> bool:
    """Returns whether a mark of this kind, empty where nobody gave one, counts as a crack."""
    return kind in ("", CRACK_KIND)


def length_text(facts: CrackFacts) -> str:
    """Returns a crack's length as text, in millimetres where the scale is known."""
    return f"{facts.length_px:.0f} px" if facts.length_mm is None else f"{facts.length_mm:.0f} mm"


def width_text(facts: CrackFacts) -> str:
    """Returns the text of a crack's median width ± twice its standard error, or of the width that it is below."""
    width, uncertainty, below, unit, digits = (
        (facts.width_px, facts.width_uncertainty_px, facts.width_below_px, "px", 1)
        if facts.length_mm is None
        else (facts.width_mm, facts.width_uncertainty_mm, facts.width_below_mm, "mm", 2)
    )
    if width is not None:
        return f"{width:.{digits}f} ± {2 * (uncertainty or 0):.{digits}f} {unit}"
    return "" if below is None else f"< {below:.{digits}f} {unit}"


def figure_of(record: CrackRecord) -> str:
    """Returns the crack's number, length and width as text."""
    facts, widths, unit, digits = record.facts(), record.width_px, "px", 1
    if record.length_mm is not None:
        widths, unit, digits = record.width_mm, "mm", 2
    widths = _rounded_widths(widths, digits + 1)  # as in the files
    width = "" if widths.below is None else f", less than {widths.below:.{digits}f} {unit} wide"
    if widths.median is not None and widths.maximum is not None:
        width = f", {widths.median:.{digits}f} {unit} wide, {widths.maximum:.{digits}f} {unit} at the widest"
    return f"{record.number}: {length_text(facts)} long{width}"


def _rounded_widths(widths: Widths, digits: int) -> Widths:
    return Widths(*(_rounded(value, digits) for value in vars(widths).values()))  # astuple takes ten times as long


def _rounded_or_none(widths: Array) -> list[float | None]:
    return [round(float(width), 2) if np.isfinite(width) else None for width in widths]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def records_of(cracks: Sequence[Crack], scale: Scale | None, classes: WidthClasses) -> list[CrackRecord]:
    """Returns the records of a photograph's cracks, numbered from 1 in order; in millimetres too with a `scale`."""
    records = pixel_records(cracks)
    return records if scale is None else [in_mm(record, scale, classes) for record in records]


def pixel_records(cracks: Sequence[Crack]) -> list[CrackRecord]:
    """Returns the records of a photograph's cracks, numbered from 1 in their order, in pixels only."""
    return [_pixel_record(number, crack) for number, crack in enumerate(cracks, 1)]


def _pixel_record(number: int, crack: Crack) -> CrackRecord:
    width = crack.width
    below = width.limit if width.median is None and np.isfinite(width.limit) else None
    return CrackRecord(
        number,
        crack.lines,
        crack.length_px,
        Widths(width.median, width.p95, width.maximum, width.uncertainty, below),
        crack.widest_place,
        crack.mean_probability,
        crack.least_probability,
        crack.touches_edge,
        along_px=width.along,
        probability=crack.probability,
        likely=crack.likely,
    )


def in_mm(record: CrackRecord, scale: Scale, classes: WidthClasses) -> CrackRecord:
    """Adds to a record its values in millimetres on the surface and its width class."""
    width_mm = _widths_in_mm(record, scale)
    if width_mm.median is not None:
        name: str | None = classes.class_of(width_mm.median)
    else:
        name = classes.class_below(width_mm.below or float("inf"))
    return replace(
        record,
        length_mm=sum(scale.length_mm(line) for line in record.lines),
        width_mm=width_mm,
        lines_mm=[line @ scale.matrix.T for line in record.lines],
        width_class=name or "",
    )


def _widths_in_mm(record: CrackRecord, scale: Scale) -> Widths:
    width = record.width_px
    if width.median is None or width.uncertainty is None or record.along_px is None:
        return (
            Widths() if width.below is None else Widths(below=width.below * scale.mm_per_px * (1 + 2 * scale.deviation))
        )
    directions = np.concatenate([np.gradient(line, axis=0) for line in record.lines])
    along = scale.width_mm(record.along_px, directions)
    median = float(np.nanmedian(along))
    uncertainty = float(np.hypot(width.uncertainty * median / width.median, scale.deviation * median))
    return Widths(median, float(np.nanpercentile(along, 95)), float(np.nanmax(along)), uncertainty)


def collection(records: Sequence[CrackRecord], scale: Scale | None) -> dict[str, Any]:
    """Returns a FeatureCollection. A foreign member names the coordinates: RFC 7946 expects longitude and latitude."""
    facts: dict[str, Any] = {"coordinates": IN_PIXELS}
    if scale is not None:
        facts |= {"mm_per_px": scale.mm_per_px, "scale": scale.source, "scale_deviation": scale.deviation}
    return {
        "type": "FeatureCollection",
        "crack_lightning": facts,
        "features": [record.feature() for record in records],
    }


COLUMNS = [column.name for column in fields(CrackFacts)]  # the columns of cracks.csv
