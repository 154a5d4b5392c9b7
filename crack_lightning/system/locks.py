"""Locks files without waiting: if another process holds the lock, that is an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from crack_lightning.errors import UserError


@contextmanager
def lock_at_once(path: Path, what: str) -> Iterator[None]:
    """Holds the lock at `path` without waiting for it.

    Raises UserError where another run holds it; `what` says what that run does, such as `computes part 0 of 2`.
    """
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
