"""The findings of an audit as one HTML file that needs nothing else: to read, to filter, to print."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from crack_lightning.report.templates import rendered

THUMBNAIL_PX = 112


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
    return rendered("audit.html", title=title, facts=facts, sections=sections)
