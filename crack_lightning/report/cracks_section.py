"""Holds the values for the section of a report that lists cracks, and the text on the limits of the method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crack_lightning.measurement.record import CRACK_KIND

LIMITS = (
    "Lines show where to look first, and do not replace looking: hairlines are missed, and joints, edges and shadows "
    "are taken for cracks. Lengths and widths are measured in what the photograph shows, widths at right angles to the "
    "line: what is hidden is not measured, and a width is not a depth. For a width too small for the picture, only an "
    "upper limit (<) is given; ± is twice the standard deviation."
)


@dataclass(frozen=True)
class CrackRow:
    """A row of the table of cracks. `place` is the widest point of the crack, as shares of the photograph's width and
    height. `close_up` is a path relative to the page, or empty. Fields that end in `_value` are for sorting."""

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
    probability: float | None
    likely: bool
    place: tuple[float, float] | None
    close_up: str
    kind: str = ""
    note: str = ""

    @property
    def remark(self) -> str:
        """Returns what people wrote about it, empty where it is a crack and nothing else was written."""
        return "; ".join(filter(None, [self.kind if self.kind != CRACK_KIND else "", self.note]))


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram; `share` is its height as a share of the highest bar."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class CracksSection:
    """The section on cracks.

    `rows` lists the first of all `total` likely cracks, and after them the first of all `unlikely` marks, which the
    page shows on request. Among the rows are `others`, which people call joint or spall. `classes` maps the width
    classes that occur to their colours. `bars` is the histogram of widths of likely cracks in `unit`; `unclaimed` of
    these have no known width. `scales` are the sources of the scales.
    """

    rows: Sequence[CrackRow]
    total: int
    unlikely: int
    classes: Mapping[str, str]
    preset: str
    close_ups: Sequence[CrackRow]
    bars: Sequence[Bar]
    unit: str
    unclaimed: int
    scales: Sequence[str]
    others: int = 0
