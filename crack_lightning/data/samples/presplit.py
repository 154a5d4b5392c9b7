"""Folders that are a split already: train/ val/ test/, as other programs call them too."""

from pathlib import Path

from crack_lightning.data.images.folders import visible_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed

SPLITS = ("train", "val", "test")
CALLED = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CALLED |= {"testing": "test"}


def named_split(name: str) -> str | None:
    """train, val or test for a name that means one, in upper or lower case."""
    return CALLED.get(name.strip().lower())


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of `root` that are train, val and test, by these names; empty where it holds class folders.

    Raises FileNotFoundError for a root that is missing or a file, or where one of the three is missing, and ValueError
    for two folders of one split or other folders beside them.
    """
    if not root.exists():
        raise FileNotFoundError(f"data.root={root} does not exist: name the folder that holds the class folders")
    if not root.is_dir():
        raise NotADirectoryError(f"data.root={root} is a file: name the folder that holds the class folders")
    folders = visible_folders(root)
    there: dict[str, Path] = {}
    for folder in folders:
        if (split := named_split(folder.name)) is None:
            continue
        if split in there:
            raise UserError(f"{there[split]} and {folder} are both {split}: move one of them out of data.root")
        there[split] = folder
    if there and len(there) < len(SPLITS):
        missing = [split for split in SPLITS if split not in there]
        names = "/, ".join(folder.name for folder in there.values())
        raise FileNotFoundError(
            f"{root} has {names}/ but not {'/, '.join(missing)}/: give all of train/ val/ test/, "
            "or class folders alone, which are then split by data.fractions"
        )
    others = [folder.name for folder in folders if folder not in there.values()]
    if there and others:
        raise UserError(f"{root} has {', '.join(others)} beside train/ val/ test/: move them out of data.root")
    return there


def root_hint(folder: Path) -> str:
    """How to name the folder that holds the classes."""
    return f"give {typed('data.root', str(folder))}"
