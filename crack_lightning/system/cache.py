"""Keeps results between runs in a cache: where it is, how much room it takes, and how it is cleared."""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.system.files import expanded, is_full, write_atomically
from crack_lightning.system.ranges import absolute_path, suggested

log = logging.getLogger(__name__)

CACHE_KINDS = ("features", "groups", "synthetic", "lessons")
MARK_FILE = ".crack_lightning"  # a folder without this file is never removed
MARK_TEXT = "Kept by crack_lightning: crack cache lists and clears it.\n"


@dataclass(frozen=True)
class CacheEntry:
    """A folder `<kind>/<name>` in the cache, its size in bytes, and when it was last used, in seconds since 1970."""

    path: Path
    kind: str
    bytes: int
    used_s: float


def cache_folder(override: str | Path | None) -> Path:
    """Returns `override` if given, else `$XDG_CACHE_HOME/crack_lightning`, else `~/.cache/crack_lightning`.

    For a user without a home folder, it is in the folder for temporary files, with the user's id in its name.
    """
    if override is not None:
        return expanded(override).absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "crack_lightning"
    try:
        return Path.home() / ".cache" / "crack_lightning"
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"crack_lightning-{user}"


def mark_folder(folder: Path) -> None:
    """Creates `folder` and, if it is empty, marks it as a part of this cache, which may be removed.

    Raises OSError, with the remedy, when it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARK_FILE).exists() and not any(folder.iterdir()):
            write_atomically(folder / MARK_FILE, MARK_TEXT.encode())
    except OSError as error:
        if is_full(error):
            raise
        raise OSError(
            f"{folder} cannot be made ({error.strerror}): give another cache_dir=FOLDER or features=live"
        ) from error


def is_marked(folder: Path) -> bool:
    """Returns whether a folder contains the mark of this cache; for a link to such a folder, False."""
    return not folder.is_symlink() and (folder / MARK_FILE).is_file()


def cache_entries(cache: Path) -> list[CacheEntry]:
    """Returns all marked folders in the cache, the least recently used first."""
    marked = [
        CacheEntry(path, kind, _folder_bytes(path), path.stat().st_mtime)
        for kind in CACHE_KINDS
        for path in (cache / kind).glob("*")
        if is_marked(path)
    ]
    return sorted(marked, key=lambda entry: entry.used_s)


def touch(folder: Path) -> None:
    """Records that a folder in the cache is used now; does nothing if it cannot be written to."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def evict(cache: Path, kind: str, *, max_bytes: float, keep: Path) -> list[Path]:
    """Removes the least recently used folders of `kind` until at most `max_bytes` remain; never removes `keep`.

    Returns the removed folders.
    """
    candidates = [entry for entry in cache_entries(cache) if entry.kind == kind]
    total = sum(entry.bytes for entry in candidates)
    removed = []
    for entry in candidates:
        if total <= max_bytes:
            break
        if entry.path == keep:
            continue
        try:
            remove_entries([entry])
        except OSError as error:
            log.warning("%s cannot be removed: %s", entry.path, error.strerror)
            continue
        removed.append(entry.path)
        total -= entry.bytes
    if total > max_bytes:
        log.warning("%s takes %.1f GB, more than features.max_cache_gb allows", keep, total / 1e9)
    return removed


def remove_entries(chosen: Sequence[CacheEntry]) -> None:
    """Deletes folders in the cache. Raises UserError for a folder without the mark."""
    for entry in chosen:
        if not is_marked(entry.path):
            raise UserError(f"{entry.path} does not belong to this cache: it is not removed")
        log.info("removing %s (%.1f MB)", entry.path, entry.bytes / 1e6)
        shutil.rmtree(entry.path)


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass
class CacheOptions:
    """The options of `cache`."""

    cache_dir: str | None = None  # null: $XDG_CACHE_HOME/crack_lightning, or ~/.cache/crack_lightning
    # all, features, groups, synthetic, lessons, or the name of one folder
    clear: str | None = suggested(None, ("all", *CACHE_KINDS))

    def __post_init__(self) -> None:
        self.cache_dir = absolute_path(self.cache_dir)


def list_or_clear(options: CacheOptions, folder: Path) -> None:
    """Removes what `options.clear` names, and logs what remains; nothing is written into `folder`."""
    root, clear = cache_folder(options.cache_dir), options.clear
    kept_entries = cache_entries(root)
    names = [entry.path.name for entry in kept_entries]
    if clear is not None and clear not in ("all", *CACHE_KINDS, *names):
        raise UserError(
            f"clear={clear}: must be all, {', '.join(CACHE_KINDS)}, or one of {', '.join(names) or '(nothing kept)'}"
        )
    chosen = [entry for entry in kept_entries if clear in ("all", entry.kind, entry.path.name)]
    remove_entries(chosen)
    for entry in kept_entries:
        if entry not in chosen:
            days = (time.time() - entry.used_s) / 86400
            log.info("%8.1f MB, used %.1f days ago: %s", entry.bytes / 1e6, days, entry.path)
    log.info("%d kept, %d removed: %s", len(kept_entries) - len(chosen), len(chosen), root)
