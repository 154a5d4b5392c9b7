"""Renders pages and cards from the templates in this folder; escapes text in HTML and in cells of Markdown tables."""

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from urllib.parse import quote

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from crack_lightning import __version__
from crack_lightning.system.names import showable


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("crack_lightning.report", ""),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"version": __version__, "script": script}
    environment.filters |= {"picture": _picture, "address": _address, "shown": showable, "row": _row, "yaml": _yaml}
    return environment


def rendered(template: str, **values: object) -> str:
    """Returns the text of `template` filled with `values`; a page includes its style and script from separate files."""
    return _environment().get_template(template).render(**values)


@cache
def script(name: str) -> Markup:
    """Returns the text of a script in this folder, to be put into a page as it is."""
    return Markup((files("crack_lightning.report") / name).read_text(encoding="utf-8"))


def hash_of_script(name: str) -> str:
    """Returns what a content security policy calls a script that a page includes."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script(name).encode()).digest()).decode()}'"


def _picture(jpeg: bytes) -> str:
    """Returns a data URL that holds a picture."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _address(path: str) -> str:
    """Returns a path relative to the page as a URL; its names may hold any bytes."""
    return quote(path.encode("utf-8", "surrogateescape"))


def _row(cells: Iterable[object]) -> str:
    """Returns a row of a Markdown table: one line with a cell for each value, which may hold any text."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    safe = str(value).encode("utf-8", "replace").decode()
    return safe.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("\r", " ")


def _yaml(value: object) -> str:
    """Returns the YAML metadata for the top of a card, from which a model hub lists the model."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n")
