"""Progress bars on standard error, for people only: quiet when the output is not a terminal."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")

_wanted: ContextVar[bool | None] = ContextVar("wanted", default=None)


class _Speed(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} {self.unit}/s" if task.speed else "")


def bar(unit: str) -> Progress:
    """Returns a bar that shows how many are done, how fast, and the time left; disabled when no person looks."""
    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(unit),
        TimeRemainingColumn(),
    )
    wanted = _wanted.get()
    console = Console(stderr=True, force_terminal=True if wanted and not Console().is_jupyter else None)
    looked_at = console.is_terminal or console.is_jupyter
    return Progress(*columns, console=console, disable=not (looked_at if wanted is None else wanted))


@contextmanager
def showing(wanted: bool | None) -> Iterator[None]:
    """Shows bars, or none, whatever the output is; None is as ever: to a terminal or a notebook."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def track(items: Iterable[T], description: str, *, total: int, unit: str = "images") -> Iterator[T]:
    """Yields `items` while a bar shows how many of `total` are done, how fast, and the time left."""
    with bar(unit) as progress:
        yield from progress.track(items, total=total, description=description)
