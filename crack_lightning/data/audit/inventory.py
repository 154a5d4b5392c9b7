"""What lies in a folder that is to become a data set, whatever state it is in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from crack_lightning.data.audit.findings import Finding
from crack_lightning.data.images.folders import is_no_data, visible_folders, walk
from crack_lightning.data.images.formats import is_image_name, is_unread_photograph, why_unread
from crack_lightning.data.images.reading import opened
from crack_lightning.data.samples.labels import read_labels
from crack_lightning.data.samples.layouts import OWN, TABLE, layout_folders, matching_folders
from crack_lightning.data.samples.presplit import SPLITS, named_split
from crack_lightning.system.files import not_a_file
from crack_lightning.system.names import matched


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, the class folder it lies in (empty: none), and train, val, test or empty."""

    path: Path
    class_name: str
    split: str


def inventory(
    root: Path, class_names: Sequence[str] | None, *, layout: str = OWN, labels: str | None = None
) -> tuple[list[Listed], list[Finding]]:
    """All files below `root` that are images by name, sorted, and what is to be said of its folders and other files.

    `class_names` are compared with the folders; None takes these as they are. A root without folders is one class. In a
    `layout` of its own the classes are sound and cracked; in that of a table they are what `labels` calls them.
    """
    listed: list[Listed] = []
    findings: list[Finding] = []
    if layout == TABLE:
        return [Listed(row.path, row.label, row.split) for row in read_labels(root, labels)], findings
    if layout != OWN:
        findings += _misfit(root, layout)
        for name, folders in zip(("sound", "cracked"), matching_folders(root, layout), strict=True):
            listed += [Listed(path, name, "") for folder in folders for path in _files(folder, findings)]
        return sorted(listed, key=lambda each: each.path), findings
    for split, top in _tops(root).items():
        folders = [entry for entry in _entries(top, findings) if entry.is_dir()]
        findings += [Finding("hidden_folder", each, "ignored") for each in folders if is_no_data(each.name)]
        classes = [each for each in folders if not is_no_data(each.name)]
        findings += _compared(top, [each.name for each in classes], class_names)
        loose = [] if classes else [Listed(path, "", split) for path in _files(top, findings)]
        listed += loose
        declared = set(matched(class_names or [], [each.name for each in classes]).values())
        for folder in classes:
            if class_names is None or folder.name in declared:
                listed += [Listed(path, folder.name, split) for path in _files(folder, findings)]
    return sorted(listed, key=lambda each: each.path), findings


def _misfit(root: Path, layout: str) -> list[Finding]:
    try:
        layout_folders(root, layout)
    except FileNotFoundError as error:
        return [Finding("missing_class", root, str(error))]
    except ValueError as error:
        return [Finding("undeclared_class", root, str(error))]
    return []


def _tops(root: Path) -> dict[str, Path]:
    try:
        there = {named_split(folder.name): folder for folder in visible_folders(root)}
    except OSError:
        there = {}
    return {name: there[name] for name in SPLITS} if there.keys() >= set(SPLITS) else {"": root}


def _entries(folder: Path, findings: list[Finding]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        findings.append(Finding("unreadable_folder", folder, error.strerror or str(error)))
        return []


def _compared(top: Path, there: Sequence[str], class_names: Sequence[str] | None) -> Iterator[Finding]:
    if class_names is None:
        return
    found = matched(class_names, there)
    for name in class_names:
        if name not in found:
            near = get_close_matches(name, there, 1)
            yield Finding(
                "missing_class", top / name, f"no such folder; did you mean {near[0]}?" if near else "no such folder"
            )
    for name in there:
        if name not in found.values():
            yield Finding("undeclared_class", top / name, f"declared are {', '.join(class_names)}")


def _files(folder: Path, findings: list[Finding]) -> Iterator[Path]:
    """Files with an image's extension; the others are found remarkable."""

    def refused(error: OSError) -> None:
        findings.append(Finding("unreadable_folder", Path(error.filename or folder), error.strerror or str(error)))

    for each in walk(folder, refused=refused):
        if each.leads_to is not None:
            findings.append(Finding("link_loop", each.path, f"leads back to {each.leads_to}, which is listed already"))
        findings += [Finding("hidden_folder", each.path / name, "ignored") for name in each.hidden_folders]
        for name in sorted([*each.folders, *each.files]):
            if is_image_name(name):
                yield each.path / name  # a folder of that name too, which is then found unreadable
            elif name in each.files:
                findings.append(_other(each.path / name))


def _other(path: Path) -> Finding:
    """A file whose name is not that of an image."""
    if problem := not_a_file(path):
        return Finding("no_image", path, f"ignored: {problem}")
    if is_unread_photograph(path.name):
        return Finding("unread_photograph", path, why_unread(path.name))
    try:
        with path.open("rb") as file, opened(file) as image:
            return Finding("wrong_extension", path, f"is {image.format}, and not read under this name")
    except Exception:  # what is no image raises whatever its first bytes remind a decoder of
        return Finding("no_image", path, "ignored")
