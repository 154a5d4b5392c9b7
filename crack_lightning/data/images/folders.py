"""Walks through folders of photographs, leaving out what by convention is not data, and links that loop."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Names that systems, servers and archives put beside the data, in lower case.
CONVENTIONS = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "recycler", "recycled", "system volume information"),
    *("lost+found", "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "desktop.ini", "icon\r", "@recycle"),
    *("@recently-snapshot", "#snapshot", "@sharebin", "@tmp", "network trash folder", "temporary items"),
    *("found.000", "__pycache__", "$extend", "~snapshot"),
}
DEEPEST, MOST_FOLDERS = 3, 1000  # levels, and folders in all


@dataclass(frozen=True)
class Folder:
    """The contents of a folder by name, sorted. `folders` are walked next, unless the caller clears them.

    `leads_to` is a folder that was walked already, where a link leads back to it: then all else is empty.
    """

    path: Path
    folders: list[str]
    files: list[str]
    hidden_folders: list[str]
    leads_to: Path | None = None


def is_ignored(name: str) -> bool:
    """Returns whether a file or folder of that name is hidden, or by convention not part of the data."""
    return name.startswith(".") or name.lower() in CONVENTIONS


def visible_folders(root: Path) -> list[Path]:
    """Returns the folders in `root` that may hold data, sorted."""
    return sorted(entry for entry in root.iterdir() if not is_ignored(entry.name) and entry.is_dir())


def left_out_folders(root: Path) -> list[Path]:
    """Returns the other folders in `root`, hidden or conventional, sorted."""
    return sorted(entry for entry in root.iterdir() if is_ignored(entry.name) and entry.is_dir())


def folders_below(root: Path) -> list[Path]:
    """Returns the folders of a few levels below `root`, the nearest first, to look for what `root` itself lacks."""
    level, below = [root], list[Path]()
    for _ in range(DEEPEST):
        try:
            level = [folder for parent in level for folder in visible_folders(parent)][:MOST_FOLDERS]
        except OSError:
            break
        below += level
    return below[:MOST_FOLDERS]


def raise_error(error: OSError) -> None:
    """Raises the error of a folder that cannot be listed, where the caller of `walk` does nothing else about it."""
    raise error


def walk(root: Path, *, refused: Callable[[OSError], None] = raise_error) -> Iterator[Folder]:
    """Yields `root` and the folders below it; `refused` is called with the error of one that cannot be listed."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(root, followlinks=True, onerror=refused):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            yield Folder(Path(parent), [], [], [], real)
            continue
        seen.add(real)
        hidden = sorted(name for name in folders if is_ignored(name))
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        visible = sorted(name for name in files if not is_ignored(name))
        yield Folder(Path(parent), folders, visible, hidden)
