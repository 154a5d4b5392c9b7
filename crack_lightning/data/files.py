"""Files that are whole or not there: written beside their place, then renamed."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

REMEMBERED = 2**17  # files that the points of a sweep need not read again


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path`; a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def content_hash(path: Path) -> str:
    """A hash of the file's bytes, read anew when its size or time of change is another."""
    found = path.stat()
    return _content_hash(path, found.st_size, found.st_mtime_ns)


@lru_cache(REMEMBERED)
def _content_hash(path: Path, size: int, mtime_ns: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a comma-separated table in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
