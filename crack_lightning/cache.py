"""python -m crack_lightning.cache: what is kept between runs, and clearing it."""

import logging
import time

from omegaconf import DictConfig

from crack_lightning.cli.command import command, plain

log = logging.getLogger(__name__)


def cache(cfg: DictConfig) -> None:
    """List the cache, or delete from it what `clear` names: all, a kind, or a folder."""
    from crack_lightning.system.cache import KINDS, cache_folder, entries, remove

    options = plain(cfg)
    folder, clear = cache_folder(options["cache_dir"]), options["clear"]
    found = entries(folder)
    names = [entry.path.name for entry in found]
    if clear is not None and clear not in ("all", *KINDS, *names):
        raise ValueError(f"clear={clear}: all, {', '.join(KINDS)}, or one of {', '.join(names) or '(nothing kept)'}")
    chosen = [entry for entry in found if clear in ("all", entry.kind, entry.path.name)]
    remove(chosen)
    for entry in found:
        if entry not in chosen:
            days = (time.time() - entry.used_s) / 86400
            log.info("%8.1f MB, used %.1f days ago: %s", entry.bytes / 1e6, days, entry.path)
    log.info("%d kept, %d removed: %s", len(found) - len(chosen), len(chosen), folder)


def main() -> None:
    command(cache, config_name="cache")


if __name__ == "__main__":
    main()
