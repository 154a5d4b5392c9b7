"""Ctrl-C, and what to do after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_says(what_now: Callable[[], str]) -> Iterator[None]:
    """Lightning answers Ctrl-C by leaving the process: make it an interrupt again that says what to do now."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise KeyboardInterrupt(what_now()) from None
