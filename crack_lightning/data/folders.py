"""Walking through folders of photographs: hidden ones are left out, links are followed unless they loop."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """What lies in a folder, by name and sorted. `folders` are walked next, unless the caller clears them.

    `leads_to` is a folder that was walked already, where a link leads back to it: then all else is empty.
    """

    path: Path
    folders: list[str]
    files: list[str]
    hidden_folders: list[str]
    leads_to: Path | None = None


def visible_folders(root: Path) -> list[Path]:
    """The folders in `root` whose names do not begin with a dot, sorted."""
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def raise_it(error: OSError) -> None:
    """What to do about a folder that cannot be listed, where nothing else is to be done."""
    raise error


def walk(root: Path, *, refused: Callable[[OSError], None] = raise_it) -> Iterator[Folder]:
    """`root` and the folders below it; `refused` is told of one that cannot be listed."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(root, followlinks=True, onerror=refused):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            yield Folder(Path(parent), [], [], [], real)
            continue
        seen.add(real)
        hidden = sorted(name for name in folders if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = sorted(name for name in files if not name.startswith("."))
        yield Folder(Path(parent), folders, visible, hidden)
