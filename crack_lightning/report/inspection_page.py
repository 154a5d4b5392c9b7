"""An inspection as one HTML file: photographs by severity, original and overlay under a slider; works from a file."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;margin:1.5rem auto;max-width:75rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0}.facts{color:#57606a;margin:.2rem 0 1rem}
.bar{display:flex;gap:1rem;flex-wrap:wrap;margin:.8rem 0}input[type=search]{padding:.3rem .5rem;min-width:16rem}
table{border-collapse:collapse;width:100%}th{text-align:left;border-bottom:2px solid #d0d7de;cursor:pointer}
td,th{padding:.35rem .6rem;vertical-align:middle}td{border-bottom:1px solid #eaeef2}tbody tr{cursor:pointer}
tbody tr:hover{background:#f6f8fa}.n{text-align:right!important;font-variant-numeric:tabular-nums}
td img{display:block;max-width:112px;max-height:84px}.path{font-family:ui-monospace,monospace;font-size:12px;
overflow-wrap:anywhere}.cracked{color:#b3261e;font-weight:600}.review{color:#9a6700;font-weight:600}
.sound{color:#1b7f4b}.error{color:#57606a;font-style:italic}
#view{position:fixed;inset:0;background:#0d1117ee;color:#fff;display:none;flex-direction:column;align-items:center;
padding:1rem;gap:.6rem}#view.open{display:flex}#stage{position:relative;flex:1;min-height:0;max-width:100%}
#stage img{max-width:100%;max-height:100%;height:100%;object-fit:contain;display:block}
#stage img+img{position:absolute;inset:0}#view label{display:flex;gap:.6rem;width:min(40rem,90%)}#view input{flex:1}
#view button{font:inherit;padding:.2rem .9rem}
@media print{.bar,#view{display:none!important}body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}}
"""

SCRIPT = """
const rows=[...document.querySelectorAll('tbody tr')],body=document.querySelector('tbody');
const view=document.getElementById('view'),under=document.getElementById('under'),over=document.getElementById('over');
const slide=document.getElementById('slide'),find=document.getElementById('find'),kind=document.getElementById('kind');
function wipe(){over.style.clipPath='inset(0 0 0 '+slide.value+'%)'}
function close_(){view.classList.remove('open');under.removeAttribute('src');over.removeAttribute('src')}
let now;function show(row){if(!row||!row.dataset.overlay)return;now=row;
under.src=row.dataset.photograph;over.src=row.dataset.overlay;
document.getElementById('name').textContent=row.dataset.name;wipe();view.classList.add('open')}
function step(by){const seen=[...body.children].filter(r=>!r.hidden&&r.dataset.overlay);
show(seen[seen.indexOf(now)+by])}
function filter(){const text=find.value.toLowerCase();let n=0;for(const row of rows){const on=
row.dataset.name.toLowerCase().includes(text)&&(!kind.value||row.dataset.verdict===kind.value);
row.hidden=!on;n+=on}document.getElementById('count').textContent=n+' of '+rows.length}
let last=-1,up=1;
document.querySelectorAll('th').forEach((th,k)=>th.addEventListener('click',()=>{up=last===k?-up:1;last=k;
const key=r=>{const c=r.children[k];return c.dataset.v!==undefined?parseFloat(c.dataset.v):c.textContent};
rows.sort((a,b)=>{const x=key(a),y=key(b);return up*(typeof x==='number'&&typeof y==='number'?y-x:
String(x).localeCompare(String(y)))});rows.forEach(r=>body.append(r))}));
body.addEventListener('click',e=>{const row=e.target.closest('tr');if(row)show(row)});
slide.addEventListener('input',wipe);document.getElementById('close').addEventListener('click',close_);
document.getElementById('back').addEventListener('click',()=>step(-1));
document.getElementById('on').addEventListener('click',()=>step(1));
addEventListener('keydown',e=>{const open=view.classList.contains('open');if(open&&e.key==='Escape')close_();
else if(open&&(e.key==='ArrowUp'||e.key==='ArrowDown')){step(e.key==='ArrowUp'?-1:1);e.preventDefault()}
else if(!open&&e.key==='Enter'&&e.target.closest('tbody tr'))show(e.target)});
find.addEventListener('input',filter);kind.addEventListener('change',filter);filter();
"""

COLUMNS = ("", "photograph", "verdict", "peak", "surface above threshold", "regions", "largest", "seconds")


@dataclass(frozen=True)
class Shown:
    """A row of the report. `photograph` and `overlay` are paths relative to the page; empty where there are none."""

    name: str
    verdict: str
    peak: float | None
    share: float | None
    regions: int | None
    largest: str
    largest_px: float
    seconds: float
    photograph: str
    overlay: str
    thumbnail: bytes | None
    error: str = ""


def inspection_page(title: str, facts: str, shown: Sequence[Shown]) -> str:
    """The page; `shown` stand in the order that they are to have."""
    head = "".join(f"<th{' class=n' * (k > 2)}>{_text(name)}</th>" for k, name in enumerate(COLUMNS))
    rows = "".join(map(_row, shown))
    kinds = "".join(f"<option>{kind}</option>" for kind in dict.fromkeys(each.verdict for each in shown))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>{_text(title)}</h1><p class="facts">{_text(facts)}</p><div class="bar">'
        '<input type="search" id="find" placeholder="part of a name" aria-label="part of a name">'
        f'<select id="kind" aria-label="verdict"><option value="">all verdicts</option>{kinds}</select>'
        '<span id="count"></span></div>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        '<div id="view"><div id="name" class="path"></div><div id="stage"><img id="under" alt="photograph">'
        '<img id="over" alt="overlay"></div><label>overlay <input type="range" id="slide" min="0" max="100" value="0">'
        ' photograph</label><div><button id="back">&uarr; previous</button> <button id="on">&darr; next</button> '
        '<button id="close">close</button></div></div>'
        f"<script>{SCRIPT}</script></body></html>"
    )


def _row(each: Shown) -> str:
    picture = ""
    if each.thumbnail is not None:
        picture = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(each.thumbnail).decode()}">'
    numbers = [
        ("" if each.peak is None else f"{each.peak:.3f}", each.peak),
        ("" if each.share is None else f"{each.share:.2%}", each.share),
        ("" if each.regions is None else str(each.regions), each.regions),
        (each.largest, each.largest_px),
        (f"{each.seconds:.1f}", each.seconds),
    ]
    cells = "".join(
        f'<td class="n" data-v="{-1 if value is None else value}">{_text(text)}</td>' for text, value in numbers
    )
    error = f'<div class="error">{_text(each.error)}</div>' if each.error else ""
    links = f'data-photograph="{_url(each.photograph)}" data-overlay="{_url(each.overlay)}"' if each.overlay else ""
    return (
        f'<tr tabindex="0" data-name="{_text(each.name)}" data-verdict="{_text(each.verdict)}" {links}>'
        f'<td>{picture}</td><td class="path">{_text(each.name)}{error}</td>'
        f'<td class="{_text(each.verdict)}">{_text(each.verdict)}</td>'
        f"{cells}</tr>"
    )


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())


def _url(path: str) -> str:
    return html.escape(quote(path.encode("utf-8", "surrogateescape")))
