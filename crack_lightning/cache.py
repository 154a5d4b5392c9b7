"""python -m crack_lightning.cache: lists and clears what is kept between runs."""

import logging
import time
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.errors import UserError
from crack_lightning.runs.options import CacheOptions
from crack_lightning.system.cache import KINDS, cache_folder, entries, remove

log = logging.getLogger(__name__)


def cache(options: CacheOptions, folder: Path) -> None:
    """List the cache, or delete from it what `clear` names: all, a kind, or a folder."""
    kept, clear = cache_folder(options.cache_dir), options.clear
    found = entries(kept)
    names = [entry.path.name for entry in found]
    if clear is not None and clear not in ("all", *KINDS, *names):
        raise UserError(f"clear={clear}: all, {', '.join(KINDS)}, or one of {', '.join(names) or '(nothing kept)'}")
    chosen = [entry for entry in found if clear in ("all", entry.kind, entry.path.name)]
    remove(chosen)
    for entry in found:
        if entry not in chosen:
            days = (time.time() - entry.used_s) / 86400
            log.info("%8.1f MB, used %.1f days ago: %s", entry.bytes / 1e6, days, entry.path)
    log.info("%d kept, %d removed: %s", len(found) - len(chosen), len(chosen), kept)


def main() -> None:
    command(cache, config_name="cache")


if __name__ == "__main__":
    main()
