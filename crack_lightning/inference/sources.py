"""Which photographs a command is to look at, and what each is called among its results."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.images.folders import is_no_data, walk
from crack_lightning.data.images.formats import (
    image_extensions,
    is_image_name,
    is_unread_photograph,
    kinds_of,
    why_unread,
)
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import expanded, short_name

log = logging.getLogger(__name__)

MOST_NAMED = 5
RUN_MARK = ".hydra"  # a folder with this in it is a run's, whose pictures are results


@dataclass(frozen=True)
class Photograph:
    """A file and its name: the path below what all photographs have in common, so that no two have the same.

    What is too long for a disk in it is cut, so that results can be called after it.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Source:
    """What is to be looked at, the photographs of kinds that are not read here, and the names of all other files."""

    photographs: Sequence[Photograph]
    unread: Sequence[Path]
    others: Sequence[str]

    @property
    def left_out(self) -> str:
        """Numbers and kinds of what nobody looks at: `2 .heic, 1 .dng`; nothing where there is none."""
        return kinds_of(path.name for path in self.unread)


def find_photographs(source: str) -> Source:
    """The photographs that a folder holds, in subfolders too, or a glob pattern matches, or a file is; sorted.

    Folders below it that hold results of a run are left out. Raises FileNotFoundError when there is none.
    """
    if not source.strip():
        raise FileNotFoundError("source= is empty: give a folder, a file or a pattern (source=. is the current folder)")
    given = expanded(source)
    if given.is_file() or (given.is_symlink() and not given.is_dir()):
        paths, files, root = [given.absolute()], [], given.absolute().parent
    else:
        root = given.absolute()
        files = _below(root) if given.is_dir() else _matching_files(given)
        paths = [path for path in files if is_image_name(path.name)]
        if paths and not given.is_dir():
            root = Path(os.path.commonpath([path.parent for path in paths]))
    if not files and not paths and not set("*?[") & set(str(given)) and not given.exists():
        raise FileNotFoundError(f"{typed('source', source)} does not exist: give a folder, a file or a pattern")
    unread = [path for path in files if is_unread_photograph(path.name)]
    if not paths:
        why = f"{kinds_of(each.name for each in unread)}, and {why_unread(unread[0].name)}" if unread else ""
        there = why or ", ".join(image_extensions())
        raise FileNotFoundError(f"{typed('source', source)}: no photographs there that can be read ({there})")
    photographs = [Photograph(path, short_name(path.relative_to(root).as_posix())) for path in paths]
    others = [path.name for path in files if not is_image_name(path.name) and path not in unread]
    return Source(photographs, unread, others)


def tell_left_out(source: Source) -> None:
    """Log what nobody looks at, and why."""
    if source.unread:
        whys = "; ".join(dict.fromkeys(f"{each.name}: {why_unread(each.name)}" for each in source.unread[:MOST_NAMED]))
        log.warning("%d photographs are not looked at (%s): %s", len(source.unread), source.left_out, whys)
    if source.others:
        log.info("%d other files are not looked at: %s", len(source.others), kinds_of(source.others))


def _matching_files(pattern: Path) -> list[Path]:
    """The files that a pattern matches, and those below the folders that it does."""
    found = (path for each in _matching(pattern) for path in (_below(each) if each.is_dir() else [each]))
    return sorted(set(found))


def _matching(pattern: Path) -> list[Path]:
    """What a pattern with wildcards matches, ** for folders in between."""
    fixed = next((parent for parent in pattern.absolute().parents if not set("*?[") & set(str(parent))), Path("/"))
    if not fixed.is_dir():
        return []
    found = fixed.glob(str(pattern.absolute().relative_to(fixed)))
    return sorted(path for path in found if not any(map(is_no_data, path.relative_to(fixed).parts)))


def _below(root: Path) -> list[Path]:
    found: list[Path] = []
    for each in walk(root):
        if RUN_MARK in each.hidden_folders and each.path != root:
            log.info("left out %s: results of a run", each.path)
            each.folders.clear()
            continue
        found += [each.path / name for name in each.files]
    return sorted(found)


def check_not_among(folder: Path, photographs: Sequence[Photograph]) -> None:
    """Raise ValueError when results would be written beside a photograph."""
    for each in photographs:
        if each.path.parent == folder.absolute():
            raise UserError(
                f"{folder} holds photographs to be looked at: give another hydra.run.dir=FOLDER (its {RUN_MARK}/ and "
                "log are of this command, and can be deleted)"
            )
