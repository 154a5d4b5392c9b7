"""Pages as one HTML file each, from templates in which every text is escaped."""

import base64
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import BaseLoader, Environment, TemplateNotFound

from crack_lightning.system.names import showable


class _Beside(BaseLoader):
    """Templates and what they include lie in this folder, installed or not."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:
        source = files(__package__).joinpath(template)
        if not source.is_file():
            raise TemplateNotFound(template)
        return source.read_text("utf-8"), None, None


@cache
def _environment() -> Environment:
    made = Environment(loader=_Beside(), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"picture": _picture, "address": _address, "shown": showable}
    return made


def page(template: str, **values: object) -> str:
    """The page that `template` makes of `values`. Style and script are files of their own, and stand in it."""
    return _environment().get_template(template).render(**values)


def _picture(jpeg: bytes) -> str:
    """A picture within the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _address(path: str) -> str:
    """A path relative to the page, whatever bytes its names hold."""
    return quote(path.encode("utf-8", "surrogateescape"))
