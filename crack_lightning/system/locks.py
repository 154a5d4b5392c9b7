"""Locks that are taken at once or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from crack_lightning.errors import UserError


@contextmanager
def at_once(path: Path, what: str) -> Iterator[None]:
    """Holds the lock at `path`. Raises UserError where another run holds it; `what` says what that does, and where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"another run {what}: wait for it, or end it first") from error
    try:
        yield
    finally:
        lock.release()
