"""Lists the samples of a data set: its photographs with their classes and groups."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from crack_lightning.data.images.folders import folders_below, ignored_folders, visible_folders, walk
from crack_lightning.data.images.formats import image_extensions, is_image_name, is_unread_photograph, kinds_of
from crack_lightning.data.images.reading import open_image
from crack_lightning.data.samples.labels import label_indices, labels_table, read_labels
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, TABLE, layout_folders
from crack_lightning.data.samples.mask_labels import CrackLabel
from crack_lightning.data.samples.presplit import SPLITS, named_split, root_hint
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import matched

log = logging.getLogger(__name__)

MAX_MEASURED = 100  # about this many pictures are measured
SOUND_WORDS = (  # words in the names of folders of sound concrete
    "no",
    "non",
    "not",
    "neg",
    "negative",
    "sound",
    "good",
    "ok",
    "intact",
    "normal",
    "healthy",
    "clean",
    "un",
)


@dataclass(frozen=True)
class Sample:
    """A photograph of a data set.

    `label` is the index of its class, `name` its path below the root, with /. `group` is what a split keeps together;
    it equals `name` until a rule changes it. `mask` is a file, if there is one, and `crack_label` the value in it that
    means crack; None: see `mask_labels`.
    """

    path: Path
    label: int
    name: str
    group: str
    mask: Path | None = None
    crack_label: CrackLabel | None = None


def side_px(samples: Sequence["Sample"]) -> int:
    """Returns the median length of the shorter sides of about MAX_MEASURED of the pictures, read from their headers."""
    paths = [sample.path for sample in samples]
    measured = paths[:: max(1, len(paths) // MAX_MEASURED)]
    class_folders = []
    for path in measured:
        with path.open("rb") as file, open_image(file) as image:
            class_folders.append(min(image.size))
    return sorted(class_folders)[len(class_folders) // 2]


def find_samples(
    root: Path,
    class_names: Sequence[str],
    *,
    layout: str = CLASS_FOLDERS,
    positive_class: str | None = None,
    prefix: str = "",
    labels: str | None = None,
) -> list[Sample]:
    """Returns all photographs in the class folders of `root`, sorted by class and path; label k means `class_names[k]`.

    In the layout of a public data set, cracked photographs get `positive_class`, whatever their folders are called. In
    a table, the rows of `labels` give the class. Anything with an image's extension is returned, even a folder, so that
    later checks report it. `prefix` is put before the names.

    Raises FileNotFoundError or ValueError if folders and `class_names` do not agree.
    """
    if layout == TABLE:
        return _samples_from_table(root, class_names, labels)
    if layout == CLASS_FOLDERS:
        folders = list(enumerate(_class_folders(root, class_names)))
    else:
        class_folders = layout_folders(root, layout)
        folders = [
            (k, folder) for k, name in enumerate(class_names) for folder in class_folders[name == positive_class]
        ]
    samples = []
    for label, folder in folders:
        paths = image_paths(folder)
        if not paths:
            endings = ", ".join(image_extensions())
            raise FileNotFoundError(f"{folder} has no images ({endings}, in upper or lower case)")
        names = [prefix + path.relative_to(root).as_posix() for path in paths]
        samples += [Sample(path, label, name, name) for path, name in zip(paths, names, strict=True)]
    return samples


def _samples_from_table(root: Path, class_names: Sequence[str], labels: str | None) -> list[Sample]:
    rows = read_labels(root, labels)
    indices = label_indices(rows, class_names)
    if indices is None:
        labels_used = sorted({row.label for row in rows})
        unknown = next(row for row in rows if label_indices([row], class_names) is None)
        raise UserError(
            f"{labels_table(root, labels)} has the labels {', '.join(labels_used)} ({unknown.label!r} in line "
            f"{unknown.line}), but data.class_names has {', '.join(class_names)}: {_declared_hint(labels_used)}"
        )
    samples = [Sample(row.path, k, row.name, row.group or row.name) for row, k in zip(rows, indices, strict=True)]
    for label, name in enumerate(class_names):
        if label not in indices:
            raise UserError(f"{labels_table(root, labels)} has no row of class {name}")
    return sorted(samples, key=lambda sample: (sample.label, str(sample.path)))


def _class_folders(root: Path, class_names: Sequence[str]) -> list[Path]:
    for entry in ignored_folders(root):
        log.info("ignored hidden folder %s", entry)
    visible = [entry.name for entry in visible_folders(root)]
    folders = matched(class_names, visible)
    if len(folders) < len(class_names):
        raise FileNotFoundError(_missing_message(root, class_names, folders, visible))
    undeclared = [name for name in visible if name not in folders.values()]
    if undeclared:
        raise UserError(
            f"{root / undeclared[0]} is not a declared class: move it out of data.root, or declare the two "
            f"classes ({typed('data.class_names', list(class_names))}; folders: {', '.join(visible)})"
        )
    return [root / folders[name] for name in class_names]


def _missing_message(root: Path, class_names: Sequence[str], folders: Mapping[str, str], visible: Sequence[str]) -> str:
    expected = " and ".join(class_names)
    for folder in (root.parent, *folders_below(root)):
        if _holds_classes(folder, class_names):
            return f"{root} has no class folders {expected}: they are in {folder}: {root_hint(folder)}"
    if not visible:
        return f"{root} has no class folders: expected {expected}"
    missing = next(name for name in class_names if name not in folders)
    undeclared = [name for name in visible if name not in folders.values()]
    near = get_close_matches(missing.lower(), [other.lower() for other in undeclared], 1, 0.5)
    similar = [other for other in undeclared if other.lower() in near]
    remedy = _declared_hint(undeclared) if len(undeclared) == 2 else "set data.class_names"
    other_folders = f"there are: {', '.join(undeclared)}; " if undeclared else ""
    hint = f"did you mean {similar[0]}? " if similar else ""
    return (
        f"class {missing} has no folder in {root} ({other_folders}declared: {', '.join(class_names)}): {hint}{remedy}"
    )


def _declared_hint(names: Sequence[str]) -> str:
    """Returns how to declare two classes with these names; the one whose name means sound comes first."""
    if len(names) != 2:
        return "two classes are needed, sound and cracked"
    sound, cracked = sorted(names, key=_seems_cracked)
    return (
        f"set {typed('data.class_names', [sound, cracked])} if {sound} is the sound one (in training "
        f"{typed('data.positive_class', cracked)} too)"
    )


def _seems_cracked(name: str) -> int:
    """Returns 0 for a name that means sound, else 1."""
    words = re.split(r"[^a-z]+|(?<=no)(?=n?crack)", name.lower())
    return 0 if name.strip() == "0" or any(word in SOUND_WORDS for word in words) else 1


def _holds_classes(folder: Path, class_names: Sequence[str]) -> bool:
    """Returns whether `folder` holds the class folders, also within train/ val/ test/."""
    try:
        folders = visible_folders(folder)
        if len(matched(class_names, [entry.name for entry in folders])) == len(class_names):
            return True
        splits = [entry for entry in folders if named_split(entry.name)]
        return len(splits) >= len(SPLITS) and _holds_classes(splits[0], class_names)
    except OSError:
        return False


def image_paths(folder: Path) -> list[Path]:
    """Returns all paths below `folder` with an image's extension, even those of folders, which later checks report."""
    paths: list[Path] = []
    other_names: list[str] = []
    for entry in walk(folder):
        if entry.leads_to is not None:
            log.warning("%s leads back to %s, which is listed already: ignored", entry.path, entry.leads_to)
        paths += [entry.path / name for name in [*entry.folders, *entry.files] if is_image_name(name)]
        other_names += [name for name in entry.files if not is_image_name(name)]
    if other_names:
        level = logging.WARNING if any(map(is_unread_photograph, other_names)) else logging.INFO
        log.log(
            level, "ignored %d files that are not images in %s: %s", len(other_names), folder, kinds_of(other_names)
        )
    return sorted(paths)
