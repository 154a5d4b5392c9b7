"""Writes an inspection as a Word document.

It has a summary, tables of cracks and photographs, pages of photographs, close-ups, method and limits.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from crack_lightning.data.images.formats import jpeg
from crack_lightning.data.images.reading import read_image
from crack_lightning.report.cracks_section import LIMITS, CrackRow, CracksSection
from crack_lightning.system import libraries
from crack_lightning.system.names import no_formula, showable

INSTALL_HINT = 'formats=word needs python-docx: pip install -e ".[reports]"'
MAX_ROWS, MAX_CLOSE_UPS = 60, 6  # cracks in the table, and close-ups
MAX_PAGES = 100  # pages with a photograph; 100 take some 30 MB
PAGE_CM, MARGIN_CM = (21.0, 29.7), 2.0  # A4
NAME_CM = 5.0  # width of the first column of a table
PICTURE_CM = (17.0, 19.0)  # largest width and height of a picture that leave room for its heading and text
CLOSE_UP_CM = 7.0  # width of a close-up
CRACK_COLUMNS = ("photograph", "crack", "length", "width, median", "widest", "class", "edge", "kind, note")
PHOTOGRAPH_COLUMNS = ("photograph", "verdict", "cracks", "length")


@dataclass(frozen=True)
class Pictured:
    """A photograph in the document. `overlay` is a path relative to the run's folder, empty if there is none.
    `verdict`, `cracks` (their number) and `length` (in total) are for the table, `text` is for the page."""

    name: str
    overlay: str
    verdict: str
    cracks: str
    length: str
    text: str


def library() -> Any:
    """Returns the module docx of python-docx. Raises UserError, which says how to install it, if it is missing."""
    return libraries.library("docx", INSTALL_HINT)


def word_report(
    run: Path,
    summary: str,
    method: Mapping[str, str],
    cracks: CracksSection,
    photographs: Sequence[Pictured],
    cover: Mapping[str, str] | None = None,
) -> bytes:
    """Returns the document on the `photographs`, which are sorted, the worst first; their pictures are in the folder
    `run`. `cover` is what the first page says, `method` what the last one says."""
    document = library().Document()
    _set_paper(document)
    _add_cover(document, summary, dict(cover or {}))
    document.add_heading("Cracks", 1)
    likely = [row for row in cracks.rows if row.likely]
    limit = "" if cracks.total <= MAX_ROWS else f"; the first {MAX_ROWS} are listed, cracks.csv has all"
    joints = f", and {cracks.others} of another kind (joint, spall, other)" if cracks.others else ""
    others = f", and {cracks.unlikely} marks that are probably none" if cracks.unlikely else ""
    document.add_paragraph(
        f"{cracks.total} cracks{joints}{others}{limit}. Scale: {showable('; '.join(cracks.scales))}."
    )
    _add_table(document, CRACK_COLUMNS, [_row(row) for row in likely[:MAX_ROWS]])
    document.add_heading("Photographs", 1)
    rows = [[photo.name, photo.verdict, photo.cracks, photo.length] for photo in photographs]
    _add_table(document, PHOTOGRAPH_COLUMNS, rows)
    pages = [photo for photo in photographs if photo.overlay]
    if len(pages) > MAX_PAGES:
        document.add_paragraph(f"The worst {MAX_PAGES} have a page of their own; report.html has all.")
    for photo in pages[:MAX_PAGES]:
        document.add_heading(showable(photo.name), 2).paragraph_format.page_break_before = True
        _add_picture(document, run / photo.overlay)
        document.add_paragraph(showable(photo.text))
    _add_close_ups(document, run, cracks)
    _add_method(document, method, cracks)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _add_cover(document: Any, summary: str, facts: dict[str, str]) -> None:
    document.add_heading(showable(facts.pop("structure", "Inspection for cracks")), 0)
    for name, value in facts.items():
        document.add_paragraph(f"{name}: {showable(value)}")
    document.add_paragraph(summary)
    document.add_page_break()


def _add_method(document: Any, method: Mapping[str, str], cracks: CracksSection) -> None:
    document.add_heading("Method and limits", 1)
    document.add_paragraph(
        "A crack map marks cells of 4 x 4 pixels; the lines through them are moved onto the darkest path at the "
        "photograph's resolution. A width of three pixels or more is the distance between the flanks at half depth. "
        "For a narrower crack, the darkness across it is integrated and divided by the contrast between the background "
        f"and the tone that the crack would have without blur. Width classes: {cracks.preset}, by the median width."
    )
    document.add_paragraph(LIMITS)
    for name, value in method.items():
        document.add_paragraph(f"{name}: {showable(value)}", style="List Bullet")


def _cm(length: float) -> Any:
    return import_module("docx.shared").Cm(length)


def _set_paper(document: Any) -> None:
    """Sets A4 paper with narrow margins, the page number at the foot of each page, and no author."""
    page = document.sections[0]
    page.page_width, page.page_height = map(_cm, PAGE_CM)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = _cm(MARGIN_CM)
    field = import_module("docx.oxml").OxmlElement("w:fldSimple")
    field.set(import_module("docx.oxml.ns").qn("w:instr"), "PAGE")
    page.footer.paragraphs[0]._p.append(field)
    properties = document.core_properties
    properties.author, properties.title, properties.comments = "", "Inspection for cracks", ""


def _add_picture(document: Any, path: Path) -> None:
    """Adds a picture as large as fits on the page, reduced so that a document of many pictures stays small."""
    image = read_image(path)
    image.thumbnail((1400, 1400))
    width_cm = min(PICTURE_CM[0], PICTURE_CM[1] * image.width / image.height)
    document.add_picture(io.BytesIO(jpeg(image, quality=75)), width=_cm(width_cm))


def _row(row: CrackRow) -> list[str]:
    values = [row.photograph, str(row.number), row.length, row.width, row.widest, row.width_class]
    return [*values, "touches" if row.touches_edge else "", row.remark]


def _add_table(document: Any, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = document.add_table(rows=len(rows) + 1, cols=len(columns), style="Light Grid Accent 1")
    cells = iter(table._cells)  # one iterator, because each rows[k].cells searches the whole table
    table.autofit = False
    widths = [_cm(NAME_CM), *[_cm((PICTURE_CM[0] - NAME_CM) / (len(columns) - 1))] * (len(columns) - 1)]
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for row in (columns, *rows):
        for value, width in zip(row, widths, strict=True):
            cell = next(cells)
            cell.text, cell.width = no_formula(showable(value)), width


def _add_close_ups(document: Any, run: Path, cracks: CracksSection) -> None:
    if not cracks.close_ups:
        return
    document.add_heading("Widest places", 1)
    for row in cracks.close_ups[:MAX_CLOSE_UPS]:
        caption = f"{showable(row.photograph)}, crack {row.number}: {row.widest} at its widest"
        document.add_paragraph(caption).paragraph_format.keep_with_next = True
        document.add_picture(str(run / row.close_up), width=_cm(CLOSE_UP_CM))
