"""Audits a folder of photographs: damaged files, imbalance, copies, and test images with a copy in training."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from crack_lightning.data.audit.findings import Finding, file_findings, imbalance
from crack_lightning.data.audit.inventory import Listed, inventory
from crack_lightning.data.audit.leakage import Leakage, cluster_findings, label_conflicts, leakage, leaked_indices
from crack_lightning.data.copies.duplicates import find_copies
from crack_lightning.data.copies.facts import FileFacts, read_facts
from crack_lightning.data.copies.overlaps import find_overlaps
from crack_lightning.data.images.folders import folders_below, visible_folders
from crack_lightning.data.images.formats import is_image_name
from crack_lightning.data.options import AuditDataOptions
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, LAYOUTS, matching_folders, recognise_layout
from crack_lightning.data.samples.presplit import root_hint
from crack_lightning.data.samples.splits import read_splits
from crack_lightning.errors import UserError
from crack_lightning.runs.audit.audit_files import AuditResults, write_audit, write_groups
from crack_lightning.runs.audit.options import AuditOptions
from crack_lightning.system.names import matched

log = logging.getLogger(__name__)

T = TypeVar("T")


class Stopwatch:
    """Runs the work of a stage when it is called, and keeps how long each stage took in `seconds`, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        started_s = time.perf_counter()
        result = work()
        self.seconds[stage] = time.perf_counter() - started_s
        return result


def audit_folder(options: AuditOptions, folder: Path) -> int:
    """Checks every file in `data.root` and writes audit.csv, audit.json, audit.html and groups.csv into `folder`.

    Returns the number of errors.
    """
    data, root = options.data, Path(options.data.root)
    if not root.is_dir():
        raise FileNotFoundError(f"data.root={root} is not a folder: name the one that holds the class folders")
    _check_depth(root, data)
    timed = Stopwatch()
    layout = _layout(root, data)
    listed, findings = timed("listing", lambda: inventory(root, data.class_names, layout=layout, labels=data.labels))
    if not listed and not findings:
        raise FileNotFoundError(f"{root} has no images")
    facts = timed(
        "reading",
        lambda: read_facts(
            [file.path for file in listed], workers=options.num_workers, megapixels=options.max_megapixels
        ),
    )
    findings += file_findings(facts)
    findings += imbalance(Counter(file.class_name for file in listed), root)
    splits = _splits(options.split_csv, listed, root)
    copies = _find_copies(facts, options, timed)
    copy_findings, leaks = _copy_findings(copies, facts, listed, splits)
    audited = AuditResults(root, listed, facts, findings + copy_findings, leaks, timed.seconds)
    timed("writing", lambda: write_audit(folder, audited, shown=options.shown))
    write_groups(folder, list(copies.values())[-1], audited)
    return _log_summary(audited, folder)


def _check_depth(root: Path, data: AuditDataOptions) -> None:
    """Raises FileNotFoundError if the class folders are not in `root`, but below its only folder."""
    folders = visible_folders(root)
    if data.layout is not None or len(folders) != 1 or any(is_image_name(entry.name) for entry in root.iterdir()):
        return
    for folder in (folders[0], *folders_below(folders[0])):
        if any(is_image_name(entry.name) for entry in folder.iterdir()):
            return
        if len(visible_folders(folder)) > 1:
            raise FileNotFoundError(
                f"{root} has one folder only, and no class folders: they lie in {folder}: {root_hint(folder)}"
            )


def _layout(root: Path, data: AuditDataOptions) -> str:
    if data.layout is not None:
        return data.layout
    layout = recognise_layout(root, data.class_names or [])
    # Class folders in the root itself are read by their own names, which say more than the layout.
    nested = layout in LAYOUTS and any(
        folder.parent != root for side in matching_folders(root, layout) for folder in side
    )
    return layout if nested and data.class_names is None else CLASS_FOLDERS


def _find_copies(facts: Sequence[FileFacts], options: AuditOptions, timed: Stopwatch) -> dict[str, list[list[int]]]:
    """Returns clusters of indices of files, by kind of copy, the strictest kind first."""
    paths, overlaps = [file.path for file in facts], None
    if options.overlaps:
        overlaps = timed("overlaps", lambda: find_overlaps(paths, workers=options.num_workers))
    return timed("copies", lambda: find_copies(facts, near=options.near_duplicates, overlaps=overlaps))


def _splits(table: str | None, listed: Sequence[Listed], root: Path) -> list[str]:
    """Returns the split of each file: train, val, test or an empty text, from `table` if it is given, else from the
    folders."""
    if table is None:
        return [file.split for file in listed]
    split_of = read_splits(Path(table))
    by_path = matched([str(file.path) for file in listed], split_of)
    names = [file.path.relative_to(root).as_posix() for file in listed]
    by_name = matched(names, split_of)
    keys = [by_path.get(str(file.path)) or by_name.get(name) for file, name in zip(listed, names, strict=True)]
    splits = [split_of[key] if key else "" for key in keys]
    if not any(splits):
        raise UserError(f"none of the images in {root} is in {table}: give the folder that the table was made from")
    return splits


def _copy_findings(
    copies: dict[str, list[list[int]]], facts: Sequence[FileFacts], listed: Sequence[Listed], splits: Sequence[str]
) -> tuple[list[Finding], dict[str, list[Leakage]]]:
    """Returns the findings about copies, and the leakage of each class by kind of copy, if there is a test split."""
    paths, classes = [file.path for file in facts], [file.class_name for file in listed]
    findings: list[Finding] = []
    reported: set[tuple[int, ...]] = set()
    for kind, clusters in copies.items():
        # A cluster of exact copies is not reported again as a cluster of near copies.
        findings += cluster_findings(kind, [cluster for cluster in clusters if tuple(cluster) not in reported], paths)
        reported |= {tuple(cluster) for cluster in clusters}
    loosest = list(copies.values())[-1]
    # Overlaps are left out: crops that share a part may well belong to two classes.
    findings += label_conflicts(copies.get("near_duplicate", copies["exact_duplicate"]), paths, classes)
    if "test" not in splits:
        return findings, {}
    for index in leaked_indices(loosest, splits):
        findings.append(Finding("leak", paths[index], "a test image that training has a copy or a part of"))
    return findings, {kind: leakage(clusters, classes, splits) for kind, clusters in copies.items()}


def _log_summary(audited: AuditResults, folder: Path) -> int:
    """Logs what was found; returns the number of errors."""
    counts = Counter(finding.severity for finding in audited.findings)
    kinds = Counter((finding.severity, finding.kind) for finding in audited.findings)
    for (severity, kind), count in sorted(kinds.items()):
        log.log(logging.ERROR if severity == "error" else logging.INFO, "%s: %d", kind.replace("_", " "), count)
    for kind, rows in audited.leaks.items():
        leaked, tested = sum(row.leaked for row in rows), sum(row.tested for row in rows)
        log.info("test images with a copy in training (%s): %d of %d", kind.replace("_", " "), leaked, tested)
    seconds = sum(audited.seconds.values())
    log.info(
        "%d images in %.1f s (%.0f images/s)", len(audited.facts), seconds, len(audited.facts) / max(seconds, 1e-9)
    )
    log.info(
        "%d errors, %d warnings, %d notes: %s",
        *(counts[k] for k in ("error", "warning", "note")),
        folder / "audit.html",
    )
    return counts["error"]
