"""Finds folders that are a split already: train/ val/ test/, also by the names that other programs give them."""

from pathlib import Path

from crack_lightning.data.images.folders import visible_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SPLIT_NAMES |= {"testing": "test"}


def named_split(name: str) -> str | None:
    """Returns train, val or test for a name that means one, in upper or lower case."""
    return SPLIT_NAMES.get(name.strip().lower())


def split_folders(root: Path) -> dict[str, Path]:
    """Returns the folders of `root` that are train, val and test, by these names; empty where it holds class folders.

    Raises FileNotFoundError where the root or one of the three is missing, NotADirectoryError where the root is a file,
    and ValueError for two folders of one split or other folders beside them.
    """
    if not root.exists():
        raise FileNotFoundError(f"data.root={root} does not exist: name the folder that holds the class folders")
    if not root.is_dir():
        raise NotADirectoryError(f"data.root={root} is a file: name the folder that holds the class folders")
    folders = visible_folders(root)
    splits: dict[str, Path] = {}
    for folder in folders:
        if (split := named_split(folder.name)) is None:
            continue
        if split in splits:
            raise UserError(f"{splits[split]} and {folder} are both {split}: move one of them out of data.root")
        splits[split] = folder
    if splits and len(splits) < len(SPLITS):
        missing = [split for split in SPLITS if split not in splits]
        names = "/, ".join(folder.name for folder in splits.values())
        raise FileNotFoundError(
            f"{root} has {names}/ but not {'/, '.join(missing)}/: give all of train/ val/ test/, "
            "or class folders alone, which are then split by data.fractions"
        )
    others = [folder.name for folder in folders if folder not in splits.values()]
    if splits and others:
        raise UserError(f"{root} has {', '.join(others)} beside train/ val/ test/: move them out of data.root")
    return splits


def root_hint(folder: Path) -> str:
    """Returns how to name the folder that holds the classes."""
    return f"give {typed('data.root', str(folder))}"
