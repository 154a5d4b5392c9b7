"""Finds the split of a data set that is split already, into folders train/ val/ test/ or with similar names."""

from pathlib import Path

from crack_lightning.data.images.folders import visible_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed

SPLITS = ("train", "val", "test")
# Names that other programs give to the folders, with the split that they mean.
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SPLIT_NAMES |= {"testing": "test"}


def named_split(name: str) -> str | None:
    """Returns the split (train, val or test) that a name means, in upper or lower case; None if it means none."""
    return SPLIT_NAMES.get(name.strip().lower())


def split_folders(root: Path) -> dict[str, Path]:
    """Returns the folders of `root` under the keys train, val and test; empty if it has none of them.

    Raises FileNotFoundError if the root or some of the three are missing, NotADirectoryError if the root is a file, and
    ValueError for two folders of the same split or other folders beside them.
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
            "or only class folders, which are then split by data.fractions"
        )
    others = [folder.name for folder in folders if folder not in splits.values()]
    if splits and others:
        raise UserError(f"{root} has {', '.join(others)} beside train/ val/ test/: move them out of data.root")
    return splits


def root_hint(folder: Path) -> str:
    """Returns the option that names `folder` as the root."""
    return f"give {typed('data.root', str(folder))}"
