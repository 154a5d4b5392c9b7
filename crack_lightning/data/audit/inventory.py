"""Lists the contents of a folder that is to become a data set, whatever state it is in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from crack_lightning.data.audit.findings import Finding
from crack_lightning.data.images.folders import is_ignored, visible_folders, walk
from crack_lightning.data.images.formats import is_image_name, is_unread_photograph, why_unread
from crack_lightning.data.images.reading import open_image
from crack_lightning.data.samples.labels import read_labels
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, TABLE, layout_folders, matching_folders
from crack_lightning.data.samples.presplit import SPLITS, named_split
from crack_lightning.system.files import not_a_file
from crack_lightning.system.names import matched


@dataclass(frozen=True, slots=True)
class Listed:
    """A file in the inventory.

    `class_name` is the name of its class folder, empty if there is none. `split` is train, val, test or empty.
    """

    path: Path
    class_name: str
    split: str


def inventory(
    root: Path, class_names: Sequence[str] | None, *, layout: str = CLASS_FOLDERS, labels: str | None = None
) -> tuple[list[Listed], list[Finding]]:
    """Returns all files below `root` with an image's extension, sorted, and findings about its folders and other files.

    The folders are compared with `class_names`; None accepts any folders. A root without folders is a single class. In
    the layout of a public data set, the classes are called sound and cracked; in a table, they are its labels.
    """
    listed: list[Listed] = []
    findings: list[Finding] = []
    if layout == TABLE:
        return [Listed(row.path, row.label, row.split) for row in read_labels(root, labels)], findings
    if layout != CLASS_FOLDERS:
        findings += _layout_findings(root, layout)
        for name, folders in zip(("sound", "cracked"), matching_folders(root, layout), strict=True):
            listed += [Listed(path, name, "") for folder in folders for path in _image_files(folder, findings)]
        return sorted(listed, key=lambda item: item.path), findings
    for split, class_root in _class_roots(root).items():
        folders = [entry for entry in _list_folder(class_root, findings) if entry.is_dir()]
        findings += [Finding("hidden_folder", item, "ignored") for item in folders if is_ignored(item.name)]
        classes = [item for item in folders if not is_ignored(item.name)]
        findings += _class_findings(class_root, [item.name for item in classes], class_names)
        if not classes:
            listed += [Listed(path, "", split) for path in _image_files(class_root, findings)]
        declared = set(matched(class_names or [], [item.name for item in classes]).values())
        for folder in classes:
            if class_names is None or folder.name in declared:
                listed += [Listed(path, folder.name, split) for path in _image_files(folder, findings)]
    return sorted(listed, key=lambda item: item.path), findings


def _layout_findings(root: Path, layout: str) -> list[Finding]:
    try:
        layout_folders(root, layout)
    except FileNotFoundError as error:
        return [Finding("missing_class", root, str(error))]
    except ValueError as error:
        return [Finding("undeclared_class", root, str(error))]
    return []


def _class_roots(root: Path) -> dict[str, Path]:
    """Returns the folders that hold class folders, by split: train/ val/ test/, or `root` itself under ""."""
    try:
        splits = {named_split(folder.name): folder for folder in visible_folders(root)}
    except OSError:
        splits = {}
    return {name: splits[name] for name in SPLITS} if splits.keys() >= set(SPLITS) else {"": root}


def _list_folder(folder: Path, findings: list[Finding]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        findings.append(Finding("unreadable_folder", folder, error.strerror or str(error)))
        return []


def _class_findings(
    class_root: Path, folder_names: Sequence[str], class_names: Sequence[str] | None
) -> Iterator[Finding]:
    """Yields findings about class folders that are missing or not declared."""
    if class_names is None:
        return
    declared = matched(class_names, folder_names)
    for name in class_names:
        if name not in declared:
            near = get_close_matches(name, folder_names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Finding("missing_class", class_root / name, f"no such folder{hint}")
    for name in folder_names:
        if name not in declared.values():
            yield Finding("undeclared_class", class_root / name, f"declared classes: {', '.join(class_names)}")


def _image_files(folder: Path, findings: list[Finding]) -> Iterator[Path]:
    """Yields the files with an image's extension; appends findings about all other files to `findings`."""

    def on_error(error: OSError) -> None:
        findings.append(Finding("unreadable_folder", Path(error.filename or folder), error.strerror or str(error)))

    for entry in walk(folder, on_error=on_error):
        if entry.leads_to is not None:
            findings.append(
                Finding("link_loop", entry.path, f"leads back to {entry.leads_to}, which is listed already")
            )
        findings += [Finding("hidden_folder", entry.path / name, "ignored") for name in entry.hidden_folders]
        for name in sorted([*entry.folders, *entry.files]):
            if is_image_name(name):
                yield entry.path / name  # even if it is a folder, which is later found unreadable
            elif name in entry.files:
                findings.append(_finding_of_other_file(entry.path / name))


def _finding_of_other_file(path: Path) -> Finding:
    """Returns the finding about a file without an image's extension."""
    if problem := not_a_file(path):
        return Finding("no_image", path, f"ignored: {problem}")
    if is_unread_photograph(path.name):
        return Finding("unread_photograph", path, why_unread(path.name))
    try:
        with path.open("rb") as file, open_image(file) as image:
            return Finding("wrong_extension", path, f"is {image.format}, which is not read under this name")
    except Exception:  # decoders raise any kind of error for files that are not images
        return Finding("no_image", path, "ignored")
