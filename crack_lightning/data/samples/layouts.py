"""Knows the layouts of public data sets as downloaded: folders of sound and cracked concrete, authors, licences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.images.folders import folders_below, visible_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import matched

CLASS_FOLDERS = "folders"  # layout: a folder for each class, named after it
TABLE = "table"  # layout: one folder of pictures, and a table of their labels
MASKED = "masks"  # layout: photographs, and masks of their cracks
CLUSTER_RULES = ("near_duplicates", "overlap")  # values of `group_by` for which pictures are compared
LEAKAGE_KINDS = ("exact", *CLUSTER_RULES)  # types of copies that test images can have in training


@dataclass(frozen=True)
class Layout:
    """A public data set: its folders, title, citation, licence and address.

    `sound` and `cracked` are patterns of the folders below the root. `photograph` is a regular expression that, in the
    path of a picture below the root, captures the photograph from which it was cut; None if the path does not show it.
    """

    sound: tuple[str, ...]
    cracked: tuple[str, ...]
    photograph: str | None
    title: str
    citation: str
    licence: str
    url: str


LAYOUTS = {
    "metu": Layout(
        sound=("Negative",),
        cracked=("Positive",),
        photograph=None,
        title="Concrete Crack Images for Classification (METU)",
        citation="Ç. F. Özgenel, Concrete Crack Images for Classification, Mendeley Data, version 2, 2019",
        licence="CC BY 4.0",
        url="https://doi.org/10.17632/5y9wdsg2zt.2",
    ),
    "sdnet2018": Layout(
        # As published (D/UD, D/CD and so on), or with whole words below each surface, or only one surface.
        sound=("U[DPW]", "[DPW]/U[DPW]", "Non-cracked", "*/Non-cracked"),
        cracked=("C[DPW]", "[DPW]/C[DPW]", "Cracked", "*/Cracked"),
        photograph=r"(?i)^(?:([^/]+)/)?[^/]+/(\d+)-\d+[.]jpe?g$",  # D/CD/7052-137.jpg: tile 137 of photograph 7052
        title="SDNET2018",
        citation="S. Dorafshan, R. J. Thomas, M. Maguire, SDNET2018: an annotated image dataset for non-contact "
        "concrete crack detection using deep convolutional neural networks, Data in Brief 21 (2018) 1664-1668",
        licence="CC BY 4.0",
        url="https://doi.org/10.15142/T3TD19",
    ),
}


LAYOUT_NAMES = (CLASS_FOLDERS, TABLE, MASKED, *LAYOUTS)
LAYOUT_OF_GROUP = {"folder": CLASS_FOLDERS} | {
    name: name for name in (TABLE, MASKED, *LAYOUTS)
}  # the layout of each file in conf/data


def matching_folders(root: Path, name: str) -> tuple[list[Path], list[Path]]:
    """Returns the folders of sound and those of cracked concrete, as `layout_folders` does, but without checks."""
    layout = LAYOUTS[name]
    return _matching(root, layout.sound), _matching(root, layout.cracked)


def layout_folders(root: Path, name: str) -> tuple[list[Path], list[Path]]:
    """Returns the folders of sound and those of cracked concrete below `root`, each sorted, in the layout `name`.

    Raises FileNotFoundError if the data set is not there or a class is missing for a surface, and ValueError for any
    other folder beside them.
    """
    layout = LAYOUTS[name]
    sound, cracked = matching_folders(root, name)
    if not sound and not cracked:
        deeper = next((path for path in folders_below(root) if all(matching_folders(path, name))), None)
        where = f"it is in {deeper}: give {typed('data.root', str(deeper))}" if deeper else _expected(layout)
        raise FileNotFoundError(f"{root} is not laid out as {name}: {where} (data=folder takes other folders)")
    for folders, counterparts, patterns in ((sound, cracked, layout.cracked), (cracked, sound, layout.sound)):
        if unpaired := [folder for folder in folders if folder.parent not in {path.parent for path in counterparts}]:
            missing = unpaired[0].with_name(_counterpart(unpaired[0].name, patterns))
            raise FileNotFoundError(f"{missing} is missing: {unpaired[0]} has no counterpart beside it")
    used = {*sound, *cracked}
    for folder in sorted({root, *(path.parent for path in used)}):
        for entry in visible_folders(folder):
            if entry not in used and not any(entry in path.parents for path in used):
                raise UserError(f"{entry} does not belong to {name}: move it out of data.root, or use data=folder")
    return sound, cracked


def _counterpart(name: str, patterns: Sequence[str]) -> str:
    """Returns the name that the other class's folder has beside the folder `name`; `patterns` are its patterns."""
    ends = [pattern.rpartition("/")[2] for pattern in patterns]
    word = next(end for end in ends if "[" not in end) if "-" in name or (name.isalpha() and len(name) > 2) else None
    return word or ends[0][0] + name[1:]


def recognise_layout(root: Path, class_names: Sequence[str]) -> str:
    """Returns the layout of `root`: that of a public data set, or CLASS_FOLDERS.

    It is CLASS_FOLDERS if all folders in `root` are named after `class_names`, or if no public data set fits.
    """
    folders = [entry.name for entry in visible_folders(root)] if root.is_dir() else []
    if folders and len(matched(folders, class_names)) == len(folders):
        return CLASS_FOLDERS
    for name in LAYOUTS:
        if all(matching_folders(root, name)):
            return name
    return CLASS_FOLDERS


def _matching(root: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_dir()})


def _expected(layout: Layout) -> str:
    return f"expected sound concrete in {' or '.join(layout.sound)}, cracked in {' or '.join(layout.cracked)}"
