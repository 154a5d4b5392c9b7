"""Writes files that are whole or not there: beside their place, then renamed."""

import csv
import errno
import hashlib
import io
import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from crack_lightning.system.names import no_formula

REMEMBERED = 2**17  # files that the runs of a sweep need not read again
FULL = (errno.ENOSPC, errno.EDQUOT)
KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)
LONGEST_NAME = 200  # bytes; disks allow 255, and endings are added
_numbers = itertools.count()


def not_a_file(path: Path) -> str | None:
    """Returns why `path` is not a regular file with something in it, or None. It is not opened: a pipe would block."""
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            return f"broken link to {path.readlink()}"
        return "vanished while it was looked at" if error.errno == errno.ENOENT else error.strerror or str(error)
    kind = next((name for is_kind, name in KINDS if is_kind(status.st_mode)), None)
    return kind or ("empty (0 bytes)" if status.st_size == 0 else None)


def expanded(path: str | Path) -> Path:
    """Returns `path` with ~ replaced by the user's home.

    Raises FileNotFoundError where the user has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"{path}: this user has no home folder: write the path out, or set HOME") from error


def is_own_file(path: Path, folder: Path) -> bool:
    """Returns whether `path` is a file that lies in `folder` itself, not a link to another place."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def is_full(error: BaseException) -> bool:
    """Returns whether an error means that the disk, or the user's share of it, is used up."""
    return isinstance(error, OSError) and error.errno in FULL


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to: it takes its place on success, and is removed on failure.

    A reader sees the old file or the new one, never a part. A full disk is an OSError that names the folder.
    """
    with writing_beside(path) as partial:
        yield partial
        partial.replace(path)


@contextmanager
def writing_beside(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to, removed at the end if it still is there; a full disk as `replacing`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{os.getpid()}-{next(_numbers)}.partial"  # short, however long the name is
    try:
        yield partial
    except OSError as error:
        if not is_full(error):
            raise
        raise OSError(error.errno, full_message(path.parent), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def full_message(folder: Path) -> str:
    """Returns what to do about a full disk."""
    free = shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists())).free
    return (
        f"no room is left in {folder} ({free / 2**20:.0f} MiB free): make room there, or give another folder "
        "(out=FOLDER for results, cache_dir=FOLDER for what is kept)"
    )


def check_can_be_made(folder: Path) -> None:
    """Raises OSError where the folder of results cannot be made or written to."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"out={folder} cannot be made: {there} is a file; give another out=FOLDER")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"out={folder} cannot be made: {there} cannot be written to; give another out=FOLDER")


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` to `path`; a reader sees the old file or the new one, never a part."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def short_name(name: str) -> str:
    """Returns `name`, a path below a folder, with each part too long for a disk cut and made unique by a hash."""
    return "/".join(map(_short_part, name.split("/")))


def _short_part(part: str) -> str:
    content = os.fsencode(part)
    if len(content) <= LONGEST_NAME:
        return part
    digest = hashlib.blake2b(content, digest_size=6).hexdigest()
    return f"{os.fsdecode(content[: LONGEST_NAME - 13].decode('utf-8', 'ignore').encode())}-{digest}"


def content_hash(path: Path) -> str:
    """Returns a hash of the file's bytes, which are read again only if its size or time of change differs."""
    status = path.stat()
    return _content_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(REMEMBERED)
def _content_hash(path: Path, size: int, mtime_ns: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a comma-separated table in UTF-8 without formulas; names that are not UTF-8 keep their bytes."""
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for values in itertools.chain([header], rows):
        row = [no_formula(value) if isinstance(value, str) else value for value in values]
        # csv does not quote a carriage return, which ends a line for a reader.
        writer = quoted if any("\r" in str(value) for value in row) else plain
        writer.writerow(row)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
