"""The samples of a data set: which photographs there are, their class and their group."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from PIL import Image

from crack_lightning.data.folders import visible_folders, walk
from crack_lightning.data.images import IMAGE_EXTENSIONS, is_image_name
from crack_lightning.data.layouts import OWN, layout_folders

log = logging.getLogger(__name__)

MOST_MEASURED = 100
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """A photograph, the index of its class, and the group that must not be torn apart by a split.

    `group` is the file itself (its path below the root) until a rule says otherwise.
    """

    path: Path
    label: int
    group: str


def side_px(samples: Sequence["Sample"]) -> int:
    """The median of the shorter sides of so many of the pictures, by their headers."""
    paths = [sample.path for sample in samples]
    some = paths[:: max(1, len(paths) // MOST_MEASURED)]
    sides = []
    for path in some:
        with Image.open(path) as image:
            sides.append(min(image.size))
    return sorted(sides)[len(sides) // 2]


def check_class_names(class_names: Sequence[str], positive_class: str) -> None:
    """Raise ValueError unless there are two different classes, one of which is the positive one."""
    if len(class_names) != 2 or len(set(class_names)) != 2:
        raise ValueError(f"data.class_names={list(class_names)}: two different classes are needed, sound and cracked")
    if positive_class not in class_names:
        raise ValueError(f"data.positive_class={positive_class} is not one of data.class_names={list(class_names)}")


def is_presplit(root: Path) -> bool:
    """Whether `root` holds `train/ val/ test/` rather than class folders.

    Raises FileNotFoundError for a root that is missing or a file, or where one of the three is missing.
    """
    if not root.exists():
        raise FileNotFoundError(f"data.root={root} does not exist: name the folder that holds the class folders")
    if not root.is_dir():
        raise NotADirectoryError(f"data.root={root} is a file: name the folder that holds the class folders")
    there = [split for split in SPLITS if (root / split).is_dir()]
    if there and len(there) < len(SPLITS):
        missing = [split for split in SPLITS if split not in there]
        raise FileNotFoundError(
            f"{root} has {'/, '.join(there)}/ but not {'/, '.join(missing)}/: give all of train/ val/ test/, "
            "or class folders alone, which are then split by data.fractions"
        )
    others = [entry.name for entry in visible_folders(root) if entry.name not in SPLITS]
    if there and others:
        raise ValueError(f"{root} has {', '.join(others)} beside train/ val/ test/: move them out of data.root")
    return bool(there)


def find_samples(
    root: Path,
    class_names: Sequence[str],
    *,
    layout: str = OWN,
    positive_class: str | None = None,
    group_prefix: str = "",
) -> list[Sample]:
    """All photographs in the class folders of `root`, sorted by class and path; label k belongs to `class_names[k]`.

    In a `layout` of its own the cracked ones are of `positive_class`, whatever their folders are called. A name with an
    image's extension that is no regular file is returned as well, for the checks to report.

    Raises FileNotFoundError or ValueError when folders and `class_names` do not agree.
    """
    if layout == OWN:
        folders = list(enumerate(_class_folders(root, class_names)))
    else:
        sides = layout_folders(root, layout)
        folders = [(k, folder) for k, name in enumerate(class_names) for folder in sides[name == positive_class]]
    samples = []
    for label, folder in folders:
        paths = _image_paths(folder)
        if not paths:
            raise FileNotFoundError(f"{folder} has no images ({', '.join(IMAGE_EXTENSIONS)}, in upper or lower case)")
        samples += [Sample(path, label, group_prefix + path.relative_to(root).as_posix()) for path in paths]
    return samples


def _class_folders(root: Path, class_names: Sequence[str]) -> list[Path]:
    visible = [entry.name for entry in visible_folders(root)]
    for entry in sorted(root.glob(".*/")):
        log.info("ignored hidden folder %s", entry)
    if not visible:
        raise FileNotFoundError(f"{root} has no class folders: expected {' and '.join(class_names)}")
    missing = [name for name in class_names if name not in visible]
    undeclared = [name for name in visible if name not in class_names]
    if missing:
        raise FileNotFoundError(_missing_message(root, missing[0], class_names, undeclared))
    if undeclared:
        raise ValueError(
            f"{root / undeclared[0]} is not a declared class: move it out of data.root, or declare the two "
            f"classes (data.class_names={list(class_names)}; folders: {', '.join(visible)})"
        )
    return [root / name for name in class_names]


def _missing_message(root: Path, name: str, class_names: Sequence[str], undeclared: Sequence[str]) -> str:
    near = get_close_matches(name.lower(), [other.lower() for other in undeclared], 1, 0.5)
    similar = [other for other in undeclared if other.lower() in near]
    names = f"data.class_names=[{','.join(undeclared)}]" if len(undeclared) == 2 else "data.class_names"
    there = f"there are: {', '.join(undeclared)}; " if undeclared else ""
    hint = f"did you mean {similar[0]}? " if similar else ""
    return f"class {name} has no folder in {root} ({there}declared: {', '.join(class_names)}): {hint}set {names}"


def _image_paths(folder: Path) -> list[Path]:
    """Paths with an image's extension below `folder`, folders of such a name too, which are then found unreadable."""
    found: list[Path] = []
    others: Counter[str] = Counter()
    for each in walk(folder):
        if each.leads_to is not None:
            log.warning("%s leads back to %s, which is listed already: ignored", each.path, each.leads_to)
        found += [each.path / name for name in [*each.folders, *each.files] if is_image_name(name)]
        others.update(Path(name).suffix or name for name in each.files if not is_image_name(name))
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5))
        log.info("ignored %d files that are no images in %s: %s", others.total(), folder, kinds)
    return sorted(found)
