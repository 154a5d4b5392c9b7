"""Public data sets as they unpack: in which folders sound and cracked concrete lies, by whom, under which licence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.images.folders import folders_below, visible_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import matched
from crack_lightning.system.ranges import check_among

OWN = "folders"  # a folder for each class, called as it is
TABLE = "table"  # one folder of pictures, and a table of their labels
MASKED = "masks"  # photographs and masks of their cracks
CLUSTERED = ("near_duplicates", "overlap")  # kinds of groups that pictures are compared for
LOOKED_FOR = ("exact", *CLUSTERED)  # counterparts of test images in training


@dataclass(frozen=True)
class Layout:
    """Patterns of the folders below the root, and what to say of the data set.

    `photograph` is a regular expression that captures in a path below the root which photograph it was cut from.
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
        # As published: D/UD, D/CD and so on; or by surface with whole words; or one surface alone.
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


def check_layout(name: str) -> None:
    """Raise UserError for a name that is unknown."""
    check_among("data.layout", name, (OWN, TABLE, MASKED, *LAYOUTS))


def matching_folders(root: Path, name: str) -> tuple[list[Path], list[Path]]:
    """As `layout_folders`, of a folder in whatever state."""
    layout = LAYOUTS[name]
    return _matching(root, layout.sound), _matching(root, layout.cracked)


def layout_folders(root: Path, name: str) -> tuple[list[Path], list[Path]]:
    """The folders below `root` with sound and those with cracked concrete, sorted.

    Raises FileNotFoundError when the data set does not lie there, or one class of a surface is missing, and ValueError
    for a folder beside them.
    """
    layout = LAYOUTS[name]
    sound, cracked = matching_folders(root, name)
    if not sound and not cracked:
        deeper = next((each for each in folders_below(root) if all(matching_folders(each, name))), None)
        where = f"it lies in {deeper}: give {typed('data.root', str(deeper))}" if deeper else _expected(layout)
        raise FileNotFoundError(f"{root} is not laid out as {name}: {where} (data=folder takes other folders)")
    for one, other, patterns in ((sound, cracked, layout.cracked), (cracked, sound, layout.sound)):
        if lonely := [folder for folder in one if folder.parent not in {each.parent for each in other}]:
            missing = lonely[0].with_name(_counterpart(lonely[0].name, patterns))
            raise FileNotFoundError(f"{missing} is missing: {lonely[0]} has no counterpart beside it")
    used = {*sound, *cracked}
    for folder in sorted({root, *(each.parent for each in used)}):
        for entry in visible_folders(folder):
            if entry not in used and not any(entry in each.parents for each in used):
                raise UserError(f"{entry} does not belong to {name}: move it out of data.root, or use data=folder")
    return sound, cracked


def _counterpart(name: str, patterns: Sequence[str]) -> str:
    """What the other class's folder beside `name` is called."""
    ends = [pattern.rpartition("/")[2] for pattern in patterns]
    plain = next(end for end in ends if "[" not in end) if "-" in name or (name.isalpha() and len(name) > 2) else None
    return plain or ends[0][0] + name[1:]


def recognised(root: Path, class_names: Sequence[str]) -> str:
    """The layout that `root` has: its own class folders where they are there, else the first known one that fits."""
    there = [entry.name for entry in visible_folders(root)] if root.is_dir() else []
    if there and len(matched(there, class_names)) == len(there):
        return OWN
    for name in LAYOUTS:
        if all(matching_folders(root, name)):
            return name
    return OWN


def _matching(root: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_dir()})


def _expected(layout: Layout) -> str:
    return f"expected sound concrete in {' or '.join(layout.sound)}, cracked in {' or '.join(layout.cracked)}"
