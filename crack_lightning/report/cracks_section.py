"""The part of a report that lists cracks: what its template is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CrackRow:
    """A row of the table; `place` is where its widest place lies, as shares of the photograph's width and height;
    `close_up` a path relative to the page, or empty. A `_value` is what a column sorts by."""

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

    def numbers(self) -> list[tuple[str, str, float]]:
        """Of each column its name, the text, and what it sorts by."""
        return [
            ("length", self.length, self.length_value),
            ("width, median", self.width, self.width_value),
            ("widest", self.widest, self.widest_value),
        ]


@dataclass(frozen=True)
class Bar:
    """Of a histogram: what it counts, how many, and its height as a share of the highest."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class CracksSection:
    """`rows` of `total` cracks, the longest first; the `classes` that occur, with their colours; widths in `unit`, of
    which `unclaimed` are not claimed; where the `scales` are from."""

    rows: Sequence[CrackRow]
    total: int
    classes: Mapping[str, str]
    preset: str
    close_ups: Sequence[CrackRow]
    bars: Sequence[Bar]
    unit: str
    unclaimed: int
    scales: Sequence[str]
