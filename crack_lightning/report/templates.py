"""Pages and cards from the templates beside this file: every text of HTML is escaped, every cell of a Markdown row."""

import base64
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from crack_lightning import __version__
from crack_lightning.system.names import showable


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("crack_lightning.report", ""),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = __version__
    made.filters |= {"picture": _picture, "address": _address, "shown": showable, "row": _row, "yaml": _yaml}
    return made


def rendered(template: str, **values: object) -> str:
    """Returns the text that `template` makes of `values`; a page holds its style and script, files of their own."""
    return _environment().get_template(template).render(**values)


def _picture(jpeg: bytes) -> str:
    """Returns a picture as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _address(path: str) -> str:
    """Returns a path relative to the page as an address, whatever bytes its names hold."""
    return quote(path.encode("utf-8", "surrogateescape"))


def _row(cells: Iterable[object]) -> str:
    """Returns a row of a Markdown table: one line of that many cells, whatever names they hold."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    safe = str(value).encode("utf-8", "replace").decode()
    return safe.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("\r", " ")


def _yaml(value: object) -> str:
    """Returns the lines of the metadata in front of a card, by which a hub lists it."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n")
