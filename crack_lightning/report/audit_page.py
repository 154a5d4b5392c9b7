"""The findings of an audit as one HTML file that needs nothing else: to read, to filter, to print."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

THUMBNAIL_PX = 112

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;margin:2rem auto;max-width:70rem;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin:2rem 0 .4rem;border-bottom:1px solid #d0d7de}
.path,td.path{font-family:ui-monospace,monospace;font-size:12px;overflow-wrap:anywhere}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.error{color:#b3261e}.warning{color:#9a6700}.note{color:#57606a}
.cluster{border:1px solid #d0d7de;border-radius:6px;padding:.5rem .7rem;margin:.5rem 0;break-inside:avoid}
.cluster p{margin:0 0 .4rem;font-size:13px}
.pictures{display:flex;flex-wrap:wrap;gap:.6rem}figure{margin:0;width:112px}
figure img{width:112px;height:112px;object-fit:contain;background:#eef0f3;display:block}
figcaption{font:11px/1.3 ui-monospace,monospace;overflow-wrap:anywhere;color:#57606a}
.more{color:#57606a;font-size:13px}
@media print{body{margin:0;max-width:none;font-size:11pt}a{color:inherit;text-decoration:none}nav{display:none}}
"""


@dataclass(frozen=True)
class Picture:
    """A caption and the PNG or JPEG bytes of a small picture; none where the file cannot be shown."""

    caption: str
    jpeg: bytes | None


@dataclass(frozen=True)
class Case:
    """Something found, in words, with the pictures it is about."""

    text: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Section:
    """All that was found of one kind: `count` cases, of which `cases` are shown."""

    title: str
    severity: str
    explanation: str
    count: int
    cases: Sequence[Case]


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of at most THUMBNAIL_PX each way."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    small.convert("RGB").save(file, "JPEG", quality=75)
    return file.getvalue()


def audit_page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """`facts` are rows of name and value, shown above the sections."""
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in facts)
    contents = "".join(
        f'<tr><td class="n">{section.count}</td><td><a class="{section.severity}" href="#s{place}">'
        f"{_text(section.title)}</a></td><td>{section.severity}</td></tr>"
        for place, section in enumerate(sections)
    )
    body = "".join(_section(place, section) for place, section in enumerate(sections))
    nothing = "" if sections else "<p>Nothing was found.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{_text(title)}</h1><table>{rows}</table><nav><table>{contents}</table></nav>{nothing}{body}</body></html>"
    )


def _section(place: int, section: Section) -> str:
    more = section.count - len(section.cases)
    rest = f'<p class="more">and {more} more, in audit.csv</p>' if more > 0 else ""
    return (
        f'<h2 id="s{place}" class="{section.severity}">{_text(section.title)}: {section.count}</h2>'
        f"<p>{_text(section.explanation)}</p>" + "".join(map(_case, section.cases)) + rest
    )


def _case(case: Case) -> str:
    pictures = "".join(map(_picture, case.pictures))
    return f'<div class="cluster"><p>{_text(case.text)}</p><div class="pictures">{pictures}</div></div>'


def _picture(picture: Picture) -> str:
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>"
    if picture.jpeg is None:
        return f"<figure>{caption}</figure>"
    data = base64.b64encode(picture.jpeg).decode()
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}">{caption}</figure>'


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())
