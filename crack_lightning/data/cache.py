"""What is kept between runs: where, how much, and how it is cleared."""

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

KINDS = ("features", "groups", "synthetic")


@dataclass(frozen=True)
class CacheEntry:
    """A folder in the cache: `<kind>/<name>`, its size and when it was last used, in seconds since 1970."""

    path: Path
    kind: str
    bytes: int
    used_s: float


def cache_folder(override: str | Path | None) -> Path:
    """`override` if given, else `$XDG_CACHE_HOME/crack_lightning`, else `~/.cache/crack_lightning`."""
    if override is not None:
        return Path(override).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crack_lightning"


def entries(cache: Path) -> list[CacheEntry]:
    """Everything kept in the cache, the longest unused first."""
    found = [
        CacheEntry(path, kind, _bytes(path), path.stat().st_mtime)
        for kind in KINDS
        for path in (cache / kind).glob("*")
        if path.is_dir()
    ]
    return sorted(found, key=lambda entry: entry.used_s)


def touch(folder: Path) -> None:
    """Note that a folder of the cache is in use."""
    os.utime(folder)


def evict(cache: Path, kind: str, *, max_bytes: float, keep: Path) -> list[Path]:
    """Remove the longest unused folders of a kind until the rest fits; `keep` stays in any case."""
    known = [entry for entry in entries(cache) if entry.kind == kind]
    total = sum(entry.bytes for entry in known)
    removed = []
    for entry in known:
        if total <= max_bytes:
            break
        if entry.path != keep:
            remove([entry])
            removed.append(entry.path)
            total -= entry.bytes
    if total > max_bytes:
        log.warning("%s takes %.1f GB, more than features.max_cache_gb allows", keep, total / 1e9)
    return removed


def remove(chosen: Sequence[CacheEntry]) -> None:
    """Delete folders of the cache."""
    for entry in chosen:
        log.info("removing %s (%.1f MB)", entry.path, entry.bytes / 1e6)
        shutil.rmtree(entry.path)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
