"""How results show themselves in a notebook: a picture, and a table of facts."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from PIL import Image

from crack_lightning.data.images.formats import jpeg

SHOWN_PX = 900  # longer side of a picture in a notebook
MOST_ROWS = 20


def picture_html(picture: Image.Image) -> str:
    """Returns a picture, reduced, as HTML that needs no file."""
    small = picture.copy()
    small.thumbnail((SHOWN_PX, SHOWN_PX))
    return f'<img style="max-width:100%" src="data:image/jpeg;base64,{b64encode(jpeg(small, quality=85)).decode()}">'


def table_html(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns the first MOST_ROWS rows as an HTML table."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    cells = (
        "".join(f"<td>{'' if value is None else escape(str(value))}</td>" for value in row.values())
        for row in rows[:MOST_ROWS]
    )
    more = f"<p>and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>{more}"
