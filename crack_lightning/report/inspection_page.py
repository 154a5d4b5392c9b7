"""An inspection as one HTML file: photographs by severity, original and overlay under a slider; works from a file."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote

NAMES = ("photograph", "verdict")
MEANINGS = {
    "cracked": "at least one region",
    "review": "no region, but a person should look",
    "sound": "no region, and nothing in doubt",
    "error": "not inspected",
    "unread": "of a kind that is not read: nobody looked at it",
}
CAVEAT = (
    "Regions show where to look first, and do not replace looking: hairlines are missed, and joints, edges and shadows "
    "are taken for cracks. A region is about half a window wider than its crack on each side: it is no crack width."
)
NUMBERS = ("peak", "surface above threshold", "regions", "longest", "seconds")


@dataclass(frozen=True)
class Shown:
    """A row of the report. `photograph` and `overlay` are paths relative to the page; empty where there are none.

    `figures` say in words what was measured of the regions, from the largest.
    """

    name: str
    verdict: str
    peak: float | None
    share: float | None
    regions: int | None
    longest: str
    longest_px: float
    seconds: float
    figures: Sequence[str]
    photograph: str
    overlay: str
    thumbnail: bytes | None
    error: str = ""


def inspection_page(summary: str, method: Mapping[str, str], colours: Sequence[str], shown: Sequence[Shown]) -> str:
    """The page; `shown` stand in the order that they are to have.

    `summary` is what was found, `method` what it was found by. `colours` are those of the overlay, as CSS has them,
    from a probability of 0 to 1.
    """
    verdicts = list(dict.fromkeys(each.verdict for each in shown))
    kinds = "".join(f"<option>{verdict}</option>" for verdict in verdicts)
    style, script = (files(__package__).joinpath(f"inspection.{kind}").read_text("utf-8") for kind in ("css", "js"))
    facts = "".join(f"<span>{_text(name)} <strong>{_text(value)}</strong></span> " for name, value in method.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Inspection</title>
<meta name="viewport" content="width=device-width"><style>
{style}</style></head><body>
<h1>Inspection</h1><p class="facts">{_text(summary)}</p><p class="method">{facts}</p>
<p class="legend">{_legend(verdicts, colours)}</p><p class="method">{CAVEAT}</p>
<div class="bar"><input type="search" id="find" placeholder="part of a name" aria-label="part of a name">
<select id="kind" aria-label="verdict"><option value="">all verdicts</option>{kinds}</select>
<label><input type="checkbox" id="pictures" autocomplete="off"> pictures, to print</label><span id="count"></span>
<span id="more" class="error"></span></div>
<table><thead><tr><th></th>{_headings()}</tr></thead><tbody>
{"".join(map(_row, shown))}</tbody></table>
<div id="view"><div id="name"></div><div id="figures"></div>
<div id="stage"><img id="under" alt="photograph"><img id="over" alt="overlay"></div>
<label>overlay <input type="range" id="slide" min="0" max="100" value="0"> photograph</label>
<div><button id="back">&uarr; previous</button> <button id="on">&darr; next</button>
<button id="close">close</button></div></div>
<script>
{script}</script></body></html>
"""


def _legend(verdicts: Sequence[str], colours: Sequence[str]) -> str:
    scale = f'<i class="scale" style="background:linear-gradient(to right,{",".join(colours)})"></i>'
    kinds = [f'<span><b class="{kind}">{kind}</b> {MEANINGS[kind]}</span>' for kind in verdicts]
    return (
        f"<span>probability of a crack 0{scale}1</span>"
        '<span><i class="outline"></i>region at or above the threshold, numbered from the largest</span>'
        f"{''.join(kinds)}"
    )


def _headings() -> str:
    kinds = [(name, "") for name in NAMES] + [(name, ' class="n"') for name in NUMBERS]
    return "".join(f"<th{kind}><button>{name}</button></th>" for name, kind in kinds)


def _row(each: Shown) -> str:
    picture = ""
    if each.thumbnail is not None:
        picture = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(each.thumbnail).decode()}">'
    numbers = [
        ("" if each.peak is None else f"{each.peak:.3f}", each.peak),
        ("" if each.share is None else f"{each.share:.2%}", each.share),
        ("" if each.regions is None else str(each.regions), each.regions),
        (each.longest, each.longest_px),
        (f"{each.seconds:.1f}", each.seconds),
    ]
    cells = "".join(
        f'<td class="n" data-name="{name}" data-v="{-1 if value is None else value}">{_text(text)}</td>'
        for name, (text, value) in zip(NUMBERS, numbers, strict=True)
    )
    error = f'<div class="error">{_text(each.error)}</div>' if each.error else ""
    links = f'data-photograph="{_url(each.photograph)}" data-overlay="{_url(each.overlay)}"' if each.overlay else ""
    return (
        f'<tr tabindex="0" data-name="{_text(each.name)}" data-verdict="{_text(each.verdict)}" {links}>'
        f'<td>{picture}</td><td class="path">{_text(each.name)}{error}</td>'
        f'<td class="{_text(each.verdict)}">{_text(each.verdict)}</td>'
        f'{cells}<td class="figures" hidden>{_text("; ".join(each.figures))}</td></tr>\n'
    )


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())


def _url(path: str) -> str:
    return html.escape(quote(path.encode("utf-8", "surrogateescape")))
