"""Shows progress bars on standard error, by default only in a terminal or a notebook."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")

log = logging.getLogger(__name__)

_wanted: ContextVar[bool | None] = ContextVar("wanted", default=None)  # None: in a terminal or a notebook


class _Speed(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} {self.unit}/s" if task.speed else "")


def bar(unit: str) -> Progress:
    """Returns a bar that shows how many items are done, how fast, and the time left; hidden if nobody would see it."""
    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(unit),
        TimeRemainingColumn(),
    )
    wanted = _wanted.get()
    console = Console(stderr=True, force_terminal=True if wanted and not Console().is_jupyter else None)
    if console.is_jupyter and find_spec("ipywidgets") is None:  # rich would warn at each bar
        if wanted:
            log.warning("bars in a notebook need ipywidgets: pip install ipywidgets")
        wanted = False
    is_seen = console.is_terminal or console.is_jupyter
    return Progress(*columns, console=console, disable=not (is_seen if wanted is None else wanted))


@contextmanager
def showing(wanted: bool | None) -> Iterator[None]:
    """Shows bars (True), hides them (False), or shows them only in a terminal or a notebook (None)."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def track(items: Iterable[T], description: str, *, total: int, unit: str = "images") -> Iterator[T]:
    """Yields `items` while a bar shows how many of `total` are done, how fast, and the time left."""
    with bar(unit) as progress:
        yield from progress.track(items, total=total, description=description)
