"""An inspection as a Word document: cover, table of cracks, pictures of the worst, method and limits."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.report.cracks_section import LIMITS, CracksSection
from crack_lightning.system.names import showable

NEEDS = 'formats=word needs python-docx: pip install -e ".[reports]"'
MOST_ROWS, MOST_CLOSE_UPS = 60, 6
WIDTH_CM, CLOSE_UP_CM = 16.0, 7.0
COLUMNS = ("photograph", "crack", "length", "width, median", "widest", "class", "edge")


@dataclass(frozen=True)
class Pictured:
    """A photograph whose overlay is shown, and what is said of it."""

    name: str
    overlay: Path
    text: str


def library() -> Any:
    """python-docx, or a UserError that says how to install it."""
    try:
        return import_module("docx")
    except ImportError as error:
        raise UserError(NEEDS) from error


def word_report(
    run: Path, summary: str, method: Mapping[str, str], cracks: CracksSection, worst: Sequence[Pictured]
) -> bytes:
    """The document; close-ups lie below the folder `run`."""
    document = library().Document()
    document.add_heading("Inspection for cracks", 0)
    document.add_paragraph(summary)
    for name, value in method.items():
        document.add_paragraph(f"{name}: {showable(value)}", style="List Bullet")
    document.add_page_break()
    document.add_heading("Cracks", 1)
    more = "" if cracks.total <= MOST_ROWS else f"; the longest {MOST_ROWS} are listed, cracks.csv has all"
    document.add_paragraph(f"{cracks.total} cracks{more}. Scale: {showable('; '.join(cracks.scales))}.")
    _table(document, cracks)
    document.add_heading("Photographs", 1)
    for pictured in worst:
        document.add_heading(showable(pictured.name), 2)
        document.add_picture(_jpeg(pictured.overlay), width=_cm(WIDTH_CM))
        document.add_paragraph(showable(pictured.text))
    _close_ups(document, run, cracks)
    document.add_heading("Method and limits", 1)
    document.add_paragraph(
        "A crack map marks cells of 4 x 4 pixels; lines through them are brought onto the darkest path at the "
        "photograph's resolution. A width of three pixels and more is the distance of the flanks at half depth; a "
        "narrower one the darkness integrated across, against the background and the tone that the crack would have "
        f"without blur. Classes of width: {cracks.preset}, by the median width."
    )
    document.add_paragraph(LIMITS)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _cm(length: float) -> Any:
    return import_module("docx.shared").Cm(length)


def _jpeg(path: Path) -> io.BytesIO:
    """A picture small enough for a document of many."""
    image = import_module("PIL.Image").open(path).convert("RGB")
    image.thumbnail((1600, 1600))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    file.seek(0)
    return file


def _table(document: Any, cracks: CracksSection) -> None:
    if not cracks.rows:
        return
    table = document.add_table(rows=1, cols=len(COLUMNS), style="Light Grid Accent 1")
    for cell, name in zip(table.rows[0].cells, COLUMNS, strict=True):
        cell.text = name
    for row in cracks.rows[:MOST_ROWS]:
        values = [showable(row.photograph), str(row.number), row.length, row.width, row.widest, row.width_class]
        for cell, value in zip(table.add_row().cells, [*values, "touches" if row.touches_edge else ""], strict=True):
            cell.text = value


def _close_ups(document: Any, run: Path, cracks: CracksSection) -> None:
    if not cracks.close_ups:
        return
    document.add_heading("Widest places", 1)
    for row in cracks.close_ups[:MOST_CLOSE_UPS]:
        document.add_paragraph(f"{showable(row.photograph)}, crack {row.number}: {row.widest} at its widest")
        document.add_picture(str(run / row.close_up), width=_cm(CLOSE_UP_CM))
