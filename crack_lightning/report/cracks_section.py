"""The part of a report that lists cracks: the values of its template, and its limits in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LIMITS = (
    "Lines show where to look first, and do not replace looking: hairlines are missed, and joints, edges and shadows "
    "are taken for cracks. Lengths and widths are those of what the photograph shows, widths at right angles to the "
    "line: what is hidden is not measured, and a width is not a depth. A width that the picture cannot hold is given "
    "as less than what it can; ± is twice the standard deviation."
)


@dataclass(frozen=True)
class CrackRow:
    """A row of the table of cracks; `place` is its widest place, as shares of the photograph's width and height;
    `close_up` a path relative to the page, or empty. Columns are sorted by the fields that end in `_value`."""

    photograph: str
    number: int
    length: str
    length_value: float
    width: str
    width_value: float
    widest: str
    widest_value: float
    width_class: str
    colour: str
    touches_edge: bool
    place: tuple[float, float] | None
    close_up: str


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: its label, its count, and its height as a share of the highest bar's."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class CracksSection:
    """The section on cracks: `rows` of `total` cracks, the longest first; the `classes` of width that occur, with their
    colours; `bars` of widths in `unit`, which are not known of `unclaimed` cracks; the sources of the `scales`."""

    rows: Sequence[CrackRow]
    total: int
    classes: Mapping[str, str]
    preset: str
    close_ups: Sequence[CrackRow]
    bars: Sequence[Bar]
    unit: str
    unclaimed: int
    scales: Sequence[str]
