"""Which photographs a command is to look at, and what each is called among its results."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.folders import walk
from crack_lightning.data.images import IMAGE_EXTENSIONS, is_image_name

log = logging.getLogger(__name__)

RUN_MARK = ".hydra"  # a folder with this in it is a run's, whose pictures are results


@dataclass(frozen=True)
class Photograph:
    """A file and its name: the path below what all photographs have in common, so that no two have the same."""

    path: Path
    name: str


def find_photographs(source: str) -> list[Photograph]:
    """The photographs that a folder holds, in subfolders too, or a glob pattern matches, or a file is; sorted.

    Folders below it that hold results of a run are left out. Raises FileNotFoundError when there is none.
    """
    if not source.strip():
        raise FileNotFoundError("source= is empty: give a folder, a file or a pattern (source=. is the current folder)")
    given = Path(source).expanduser()
    if given.is_file() or (given.is_symlink() and not given.is_dir()):
        paths, root = [given.absolute()], given.absolute().parent
    elif given.is_dir():
        root = given.absolute()
        paths = _below(root)
    else:
        found = _matching(given)
        paths = sorted({path for each in found for path in (_below(each) if each.is_dir() else [each])})
        paths = [path for path in paths if is_image_name(path.name)]
        root = Path(os.path.commonpath([path.parent for path in paths])) if paths else given
    if not paths:
        raise FileNotFoundError(f"source={source}: no photographs there ({', '.join(IMAGE_EXTENSIONS)})")
    return [Photograph(path, path.relative_to(root).as_posix()) for path in paths]


def _matching(pattern: Path) -> list[Path]:
    """What a pattern with wildcards matches, ** for folders in between."""
    fixed = next((parent for parent in pattern.absolute().parents if not set("*?[") & set(str(parent))), Path("/"))
    return sorted(fixed.glob(str(pattern.absolute().relative_to(fixed)))) if fixed.is_dir() else []


def _below(root: Path) -> list[Path]:
    found: list[Path] = []
    for each in walk(root):
        if RUN_MARK in each.hidden_folders and each.path != root:
            log.info("left out %s: results of a run", each.path)
            each.folders.clear()
            continue
        found += [each.path / name for name in each.files if is_image_name(name)]
    return sorted(found)


def check_not_among(folder: Path, photographs: Sequence[Photograph]) -> None:
    """Raise ValueError when results would be written beside a photograph."""
    for each in photographs:
        if each.path.parent == folder.absolute():
            raise ValueError(
                f"{folder} holds photographs to be looked at: give another hydra.run.dir=FOLDER (its {RUN_MARK}/ and "
                "log are of this command, and can be deleted)"
            )
