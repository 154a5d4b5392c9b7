"""What the report shows of cracks, from the rows of cracks.csv."""

from collections.abc import Mapping, Sequence

import numpy as np

from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.report.cracks_section import Bar, CrackRow, CracksSection
from crack_lightning.runs.inspection.photograph_files import Inspected

MOST_ROWS = 2000  # of the page's table; cracks.csv has all
MOST_BARS = 14
MOST_CLOSE_UPS = 12


def cracks_shown(
    rows: Sequence[Mapping[str, str]], photographs: Mapping[str, Inspected], classes: WidthClasses
) -> CracksSection:
    """The table of the longest cracks, close-ups of the widest of them, and the histogram of widths."""
    unit = "mm" if any(row["length_mm"] for row in rows) else "px"
    ordered = sorted(rows, key=lambda row: -float(row[f"length_{unit}"] or 0))
    shown = [_row(row, photographs, classes) for row in ordered[:MOST_ROWS]]
    widths = [float(row[f"width_{unit}"]) for row in rows if row[f"width_{unit}"]]
    known = [name for name in classes.names if any(row["width_class"] == name for row in rows)]
    close_ups = [row for row in shown if row.close_up][:MOST_CLOSE_UPS]
    return CracksSection(
        rows=shown,
        total=len(rows),
        classes={name: classes.colour_of(name) for name in known},
        preset=classes.name,
        close_ups=close_ups,
        bars=_bars(widths),
        unit=unit,
        unclaimed=len(rows) - len(widths),
        scales=sorted({place.scale or "no scale: in pixels alone" for place in photographs.values()}),
    )


def _row(row: Mapping[str, str], photographs: Mapping[str, Inspected], classes: WidthClasses) -> CrackRow:
    place = photographs[row["photograph"]]
    x, y = (float(row[f"width_max_{axis}_px"] or 0) for axis in "xy")
    has_place = bool(row["width_max_x_px"])
    number = int(row["id"])
    return CrackRow(
        photograph=row["photograph"],
        number=number,
        length=_value(row, "length", 0),
        length_value=float(row["length_mm"] or row["length_px"]),
        width=_width(row),
        width_value=float(row["width_mm"] or row["width_px"] or -1),
        widest=_value(row, "width_max", 2 if row["length_mm"] else 1),
        widest_value=float(row["width_max_mm"] or row["width_max_px"] or -1),
        width_class=row["width_class"],
        colour=classes.colour_of(row["width_class"]),
        touches_edge=row["touches_edge"] == "1",
        place=(x / place.width_px, y / place.height_px) if has_place else None,
        close_up=f"photographs/{row['photograph']}/close_ups/{number}.png" if has_place and number <= 6 else "",
    )


def _value(row: Mapping[str, str], name: str, digits: int) -> str:
    for unit in ("mm", "px"):
        if text := row[f"{name}_{unit}"]:
            return f"{float(text):.{digits}f} {unit}"
    return ""


def _width(row: Mapping[str, str]) -> str:
    unit, digits = ("mm", 2) if row["length_mm"] else ("px", 1)
    if text := row[f"width_{unit}"]:
        return f"{float(text):.{digits}f} ± {2 * float(row[f'width_uncertainty_{unit}']):.{digits}f} {unit}"
    below = row[f"width_below_{unit}"]
    return f"< {float(below):.{digits}f} {unit}" if below else ""


def _bars(widths: Sequence[float]) -> list[Bar]:
    """The histogram of widths, in steps of one, two or five."""
    if not widths:
        return []
    step = 10.0 ** np.floor(np.log10(max(widths)))
    step = next(part * step for part in (0.05, 0.1, 0.2, 0.5, 1.0) if max(widths) / (part * step) <= MOST_BARS)
    counts = np.bincount((np.array(widths) / step).astype(int))
    return [
        Bar(f"{k * step:.3g} to {(k + 1) * step:.3g}", int(count), float(count / counts.max()))
        for k, count in enumerate(counts)
    ]
