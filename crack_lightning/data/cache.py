"""Where things are kept between runs."""

import os
from pathlib import Path


def cache_folder(override: str | Path | None) -> Path:
    """`override` if given, else `$XDG_CACHE_HOME/crack_lightning`, else `~/.cache/crack_lightning`."""
    if override is not None:
        return Path(override).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crack_lightning"
