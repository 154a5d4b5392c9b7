"""Selects and formats the cracks that the report shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from crack_lightning.corrections.lines import ACCEPTED, DRAWN
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.measurement.record import CrackFacts, is_crack, length_text, width_text
from crack_lightning.report.cracks_section import Bar, CrackRow, CracksSection
from crack_lightning.runs.inspection.inspected import Inspected

MAX_ROWS = 2000  # rows of the table on the page; cracks.csv lists every crack
MAX_BARS = 14  # bars of the histogram
MAX_CLOSE_UPS = 12  # close-ups on the page


def cracks_shown(
    cracks: Mapping[str, Sequence[CrackFacts]], photographs: Mapping[str, Inspected], classes: WidthClasses
) -> CracksSection:
    """Returns the table of cracks, close-ups of the widest among them, and the histogram of all widths.

    Likely cracks come first, and those with more length to lose. The keys of `cracks` and `photographs` are names of
    photographs.
    """
    rows = [(name, facts) for name, records in cracks.items() for facts in records]
    in_mm = any(facts.length_mm is not None for _, facts in rows)
    ordered = sorted(rows, key=lambda row: (not row[1].likely, -_expected_length(row[1], in_mm=in_mm)))
    shown = [_row(name, facts, photographs[name], classes) for name, facts in ordered[:MAX_ROWS]]
    likely = [facts for _, facts in rows if facts.likely and is_crack(facts.kind)]
    unlikely = sum(not facts.likely for _, facts in rows)
    widths_or_none = (facts.width_mm if in_mm else facts.width_px for facts in likely)
    widths = [width for width in widths_or_none if width is not None]
    present = [name for name in classes.names if any(facts.width_class == name for _, facts in rows)]
    widest = sorted((row for row in shown if row.close_up and row.likely), key=lambda row: -row.widest_value)
    close_ups = widest[:MAX_CLOSE_UPS]
    return CracksSection(
        rows=shown,
        total=len(likely),
        unlikely=unlikely,
        others=len(rows) - unlikely - len(likely),
        classes={name: classes.colour_of(name) for name in present},
        preset=classes.name,
        close_ups=close_ups,
        bars=_bars(widths),
        unit="mm" if in_mm else "px",
        unclaimed=len(likely) - len(widths),
        scales=sorted(
            {
                photograph.scale.source if photograph.scale else "no scale: in pixels alone"
                for photograph in photographs.values()
            }
        ),
    )


def _row(name: str, facts: CrackFacts, photograph: Inspected, classes: WidthClasses) -> CrackRow:
    x, y = facts.width_max_x_px, facts.width_max_y_px
    widest_place = None if x is None or y is None else (x / photograph.width_px, y / photograph.height_px)
    widest = (facts.width_max_mm, 2, "mm") if facts.length_mm is not None else (facts.width_max_px, 1, "px")
    return CrackRow(
        photograph=name,
        number=facts.id,
        length=length_text(facts),
        length_value=_first_known(facts.length_mm, facts.length_px),
        width=width_text(facts),
        width_value=_first_known(facts.width_mm, facts.width_px),
        widest=_in_unit(widest) or _in_unit((facts.width_max_px, widest[1], "px")),
        widest_value=_first_known(facts.width_max_mm, facts.width_max_px),
        width_class=facts.width_class,
        colour=classes.colour_of(facts.width_class),
        touches_edge=facts.touches_edge,
        probability=facts.probability,
        likely=facts.likely,
        place=widest_place,
        kind=facts.kind,
        note=facts.note,
        close_up=f"photographs/{name}/close_ups/{facts.id}.png" if widest_place is not None and facts.id <= 6 else "",
    )


def _expected_length(facts: CrackFacts, *, in_mm: bool) -> float:
    """Returns a crack's length times its probability, which is 1 where a person decided that."""
    length = (facts.length_mm if in_mm else facts.length_px) or 0.0
    decided = facts.probability is None or facts.status in (ACCEPTED, DRAWN)
    return length * (1.0 if decided else facts.probability or 0.0)


def _first_known(*values: float | None) -> float:
    """Returns the first value that is not None, for sorting; -1 if all are None."""
    return next((value for value in values if value is not None), -1.0)


def _in_unit(value: tuple[float | None, int, str]) -> str:
    number, digits, unit = value
    return "" if number is None else f"{number:.{digits}f} {unit}"


def _bars(widths: Sequence[float]) -> list[Bar]:
    """Returns the histogram of widths; the width of a bar is one, two or five times a power of ten."""
    if not widths or max(widths) <= 0:
        return []
    step = 10.0 ** np.floor(np.log10(max(widths)))
    step = next(factor * step for factor in (0.05, 0.1, 0.2, 0.5, 1.0) if max(widths) / (factor * step) <= MAX_BARS)
    counts = np.bincount((np.array(widths) / step).astype(int))
    return [
        Bar(f"{k * step:.3g} to {(k + 1) * step:.3g}", int(count), float(count / counts.max()))
        for k, count in enumerate(counts)
    ]
