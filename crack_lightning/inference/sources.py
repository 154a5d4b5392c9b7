"""Finds the photographs for a command, and names them for its results."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.images.folders import is_ignored, walk
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
from crack_lightning.system.names import plural

log = logging.getLogger(__name__)

MAX_NAMED = 5  # files that a warning names
RUN_MARK, CALL_MARK = ".hydra", ".crack_lightning"  # mark a folder as a run of a command, or of a call in Python


@dataclass(frozen=True)
class Photograph:
    """A file and its unique name: its path below the folder common to all photographs.

    A part of the name that is too long for a disk is shortened, so that results can be named after it.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Source:
    """The photographs that can be read, those in formats that cannot, and the names of all other files."""

    photographs: Sequence[Photograph]
    unread: Sequence[Path]
    others: Sequence[str]

    @property
    def left_out(self) -> str:
        """Returns the counts and formats of photographs that cannot be read, `2 .heic, 1 .dng`, or an empty string."""
        return kinds_of(path.name for path in self.unread)


def find_photographs(source: str) -> Source:
    """Returns the photographs in a folder and its subfolders, or those that match a pattern, or one file; sorted.

    Subfolders that hold the results of a run are skipped. Raises FileNotFoundError if there are no photographs.
    """
    if not source.strip():
        raise FileNotFoundError("source= is empty: give a folder, a file or a pattern (source=. is the current folder)")
    location = expanded(source)
    if location.is_file() or (location.is_symlink() and not location.is_dir()):
        paths, files, root = [location.absolute()], [], location.absolute().parent
    else:
        root = location.absolute()
        files = _below(root) if location.is_dir() else _matching_files(location)
        paths = [path for path in files if is_image_name(path.name)]
        if paths and not location.is_dir():
            root = Path(os.path.commonpath([path.parent for path in paths]))
    if not files and not paths and not set("*?[") & set(str(location)) and not location.exists():
        raise FileNotFoundError(f"{typed('source', source)} does not exist: give a folder, a file or a pattern")
    unread = [path for path in files if is_unread_photograph(path.name)]
    if not paths:
        reason = f"{kinds_of(file.name for file in unread)}, and {why_unread(unread[0].name)}" if unread else ""
        hint = reason or ", ".join(image_extensions())
        raise FileNotFoundError(f"{typed('source', source)}: no photographs there that can be read ({hint})")
    photographs = [Photograph(path, short_name(path.relative_to(root).as_posix())) for path in paths]
    others = [path.name for path in files if not is_image_name(path.name) and path not in unread]
    return Source(photographs, unread, others)


def log_left_out(source: Source) -> None:
    """Logs which files are skipped, and why."""
    if source.unread:
        notes = "; ".join(dict.fromkeys(f"{path.name}: {why_unread(path.name)}" for path in source.unread[:MAX_NAMED]))
        log.warning("skipped: %s (%s): %s", plural(len(source.unread), "photograph"), source.left_out, notes)
    if source.others:
        log.info("%d other files are skipped: %s", len(source.others), kinds_of(source.others))


def _matching_files(pattern: Path) -> list[Path]:
    """Returns the files that a pattern matches, and the files in matching folders."""
    paths = (path for match in _matching(pattern) for path in (_below(match) if match.is_dir() else [match]))
    return sorted(set(paths))


def _matching(pattern: Path) -> list[Path]:
    """Returns the paths that a pattern with wildcards matches; ** stands for folders in between."""
    fixed = next((parent for parent in pattern.absolute().parents if not set("*?[") & set(str(parent))), Path("/"))
    if not fixed.is_dir():
        return []
    matches = fixed.glob(str(pattern.absolute().relative_to(fixed)))
    return sorted(path for path in matches if not any(map(is_ignored, path.relative_to(fixed).parts)))


def _below(root: Path) -> list[Path]:
    paths: list[Path] = []
    for folder in walk(root):
        if {RUN_MARK, CALL_MARK} & set(folder.hidden_folders) and folder.path != root:
            log.info("%s is skipped: it holds the results of a run", folder.path)
            folder.folders.clear()
            continue
        paths += [folder.path / name for name in folder.files]
    return sorted(paths)


def check_output_folder(folder: Path, photographs: Sequence[Photograph]) -> None:
    """Raises UserError if results would be written beside a photograph, into the folder that all photographs are below
    (the next inspection would take the pictures in the results for photographs), or over a report that no inspection
    wrote."""
    if (folder / "report.html").exists() and not (folder / "inspection.csv").exists():
        raise UserError(f"{folder} holds a report.html that no inspection wrote: give another out=FOLDER")
    for photograph in photographs:
        if folder.absolute() in (photograph.path.parent, photograph.path.parents[photograph.name.count("/")]):
            raise UserError(
                f"{folder} holds photographs to read: give another out=FOLDER (this command made its "
                f"{RUN_MARK}/ and log, which can be deleted)"
            )
