"""Walks through folders of photographs, without hidden and system folders and without links that loop."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Files and folders that operating systems, servers and archives put beside the data, in lower case.
IGNORED_NAMES = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "recycler", "recycled", "system volume information"),
    *("lost+found", "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "desktop.ini", "icon\r", "@recycle"),
    *("@recently-snapshot", "#snapshot", "@sharebin", "@tmp", "network trash folder", "temporary items"),
    *("found.000", "__pycache__", "$extend", "~snapshot"),
}
MAX_DEPTH, MAX_FOLDERS = 3, 1000  # limits of `folders_below`: levels, and folders in all


@dataclass(frozen=True)
class Folder:
    """The contents of a folder: names, sorted.

    `folders` are walked next, unless the caller clears the list. If the folder is a link back to one that was walked
    already, `leads_to` is that folder and the lists are empty.
    """

    path: Path
    folders: list[str]
    files: list[str]
    hidden_folders: list[str]
    leads_to: Path | None = None


def is_ignored(name: str) -> bool:
    """Returns whether a file or folder with this name is hidden, or belongs to the system and not to the data."""
    return name.startswith(".") or name.lower() in IGNORED_NAMES


def visible_folders(root: Path) -> list[Path]:
    """Returns the folders in `root` that may hold data, sorted."""
    return sorted(entry for entry in root.iterdir() if not is_ignored(entry.name) and entry.is_dir())


def ignored_folders(root: Path) -> list[Path]:
    """Returns the folders in `root` that are hidden or belong to the system, sorted."""
    return sorted(entry for entry in root.iterdir() if is_ignored(entry.name) and entry.is_dir())


def folders_below(root: Path) -> list[Path]:
    """Returns the folders up to three levels below `root`, the nearest first; `root` itself may lack what they hold."""
    level, below = [root], list[Path]()
    for _ in range(MAX_DEPTH):
        try:
            level = [folder for parent in level for folder in visible_folders(parent)][:MAX_FOLDERS]
        except OSError:
            break
        below += level
    return below[:MAX_FOLDERS]


def raise_error(error: OSError) -> None:
    """Raises `error`; this is what `walk` does by default about a folder that cannot be listed."""
    raise error


def walk(root: Path, *, on_error: Callable[[OSError], None] = raise_error) -> Iterator[Folder]:
    """Yields `root` and the folders below it; `on_error` is called with the error of a folder that cannot be listed."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(root, followlinks=True, onerror=on_error):
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
