"""Checks, names and writes files. A file is written under another name first, so that it is never seen incomplete."""

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

MAX_REMEMBERED = 2**17  # files whose content is remembered by hash or result, so that a sweep reads them once
DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
OTHER_FILE_TYPES = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)
MAX_NAME_BYTES = 200  # file systems allow 255, and endings are added
_partial_numbers = itertools.count()


def not_a_file(path: Path) -> str | None:
    """Returns why `path` is not a regular, non-empty file, or None if it is. Opens nothing, as a pipe would block."""
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            return f"broken link to {path.readlink()}"
        return "vanished while it was checked" if error.errno == errno.ENOENT else error.strerror or str(error)
    other_type = next((name for is_type, name in OTHER_FILE_TYPES if is_type(status.st_mode)), None)
    return other_type or ("empty (0 bytes)" if status.st_size == 0 else None)


def expanded(path: str | Path) -> Path:
    """Returns `path` with ~ replaced by the user's home folder.

    Raises FileNotFoundError where the user has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"{path}: this user has no home folder: write the path out, or set HOME") from error


def is_own_file(path: Path, folder: Path) -> bool:
    """Returns whether `path` is a file inside `folder`, and not a link that leads out of it."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def is_full(error: BaseException) -> bool:
    """Returns whether an error means that the disk is full or the user's quota is used up."""
    return isinstance(error, OSError) and error.errno in DISK_FULL_ERRORS


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; the file there replaces `path` on success.

    A reader sees the old file or the new one, never a part; on failure, the temporary file is removed. Raises OSError,
    with the folder, when the disk is full.
    """
    with writing_beside(path) as partial:
        yield partial
        partial.replace(path)


@contextmanager
def writing_beside(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; a file left there is removed. Raises as `replacing` for a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is short, since the name of `path` may already be as long as a name can be.
    partial = path.parent / f".{os.getpid()}-{next(_partial_numbers)}.partial"
    try:
        yield partial
    except OSError as error:
        if not is_full(error):
            raise
        raise OSError(error.errno, full_message(path.parent), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def full_message(folder: Path) -> str:
    """Returns the message on a full disk, with the remedy."""
    free = shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists())).free
    return (
        f"no room is left in {folder} ({free / 2**20:.0f} MiB free): make room there, or give another folder "
        "(out=FOLDER for results, cache_dir=FOLDER for what is kept)"
    )


def check_can_be_made(folder: Path) -> None:
    """Raises OSError where the results' folder cannot be created or written to."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"out={folder} cannot be made: {existing} is a file; give another out=FOLDER")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(f"out={folder} cannot be made: {existing} cannot be written to; give another out=FOLDER")


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` to `path`; a reader sees the old file or the new one, never a part."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def short_name(name: str) -> str:
    """Returns `name`, a relative path, with parts that are too long for a disk shortened and made unique by a hash."""
    return "/".join(map(_short_part, name.split("/")))


def _short_part(part: str) -> str:
    content = os.fsencode(part)
    if len(content) <= MAX_NAME_BYTES:
        return part
    digest = hashlib.blake2b(content, digest_size=6).hexdigest()
    return f"{os.fsdecode(content[: MAX_NAME_BYTES - 13].decode('utf-8', 'ignore').encode())}-{digest}"


def content_hash(path: Path) -> str:
    """Returns a hash of the file's bytes, which are read again only if its size or modification time has changed."""
    status = path.stat()
    return _content_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(MAX_REMEMBERED)
def _content_hash(path: Path, size: int, mtime_ns: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file in UTF-8 without formulas; names that are not UTF-8 keep their bytes."""
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for values in itertools.chain([header], rows):
        row = [no_formula(value) if isinstance(value, str) else value for value in values]
        # The csv module does not quote a carriage return, which readers take for the end of a line.
        writer = quoted if any("\r" in str(value) for value in row) else plain
        writer.writerow(row)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
