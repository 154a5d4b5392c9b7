"""python -m crack_lightning.audit: what is wrong with a folder of photographs, and what it is worth."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig

from crack_lightning.cli.command import command, plain, run_folder

if TYPE_CHECKING:
    from crack_lightning.data.audit.findings import Finding
    from crack_lightning.data.audit.inventory import Listed
    from crack_lightning.data.audit.leakage import Leakage
    from crack_lightning.data.copies.facts import FileFacts

log = logging.getLogger(__name__)

T = TypeVar("T")


class Stages:
    """How long each stage took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        started_s = time.perf_counter()
        found = work()
        self.seconds[name] = time.perf_counter() - started_s
        return found


def audit(cfg: DictConfig) -> None:
    """Look at every file of a folder; leaves audit.csv, audit.json and audit.html, and exit status 1 for errors."""
    from crack_lightning.data.audit.findings import file_findings, imbalance
    from crack_lightning.data.audit.inventory import inventory
    from crack_lightning.data.copies.facts import read_facts
    from crack_lightning.runs import findings_files as files

    options = plain(cfg)
    data, root = options["data"], _root(options["data"]["root"])
    stages = Stages()
    facts_of = {"layout": _layout(root, data), "labels": data["labels"]}
    listed, findings = stages("listing", lambda: inventory(root, data["class_names"], **facts_of))
    if not listed and not findings:
        raise FileNotFoundError(f"{root} has no images")
    facts = stages("reading", lambda: read_facts([each.path for each in listed], workers=options["num_workers"]))
    findings += file_findings(facts)
    findings += imbalance(Counter(each.class_name for each in listed), root)
    splits = _splits(options["split_csv"], listed, root)
    copies = _copies(facts, options, stages)
    found, leaks = _of_copies(copies, facts, listed, splits)
    audited = files.Audited(root, listed, facts, findings + found, leaks, stages.seconds)
    folder = run_folder()
    stages("writing", lambda: files.write_audit(folder, audited, shown=options["shown"]))
    files.write_groups(folder, list(copies.values())[-1], audited)
    errors = _say(audited, folder)
    if errors:
        sys.exit(1)


def _layout(root: Path, data: Mapping[str, Any]) -> str:
    from crack_lightning.data.samples.layouts import LAYOUTS, OWN, check_layout, matching_folders, recognised

    if data["layout"] is None:
        found = recognised(root, data["class_names"] or [])
        # Where classes lie at the top their own names say more.
        nested = found in LAYOUTS and any(
            each.parent != root for side in matching_folders(root, found) for each in side
        )
        return found if nested and data["class_names"] is None else OWN
    check_layout(data["layout"])
    return data["layout"]


def _copies(facts: "Sequence[FileFacts]", options: Mapping[str, Any], stages: Stages) -> dict[str, list[list[int]]]:
    from crack_lightning.data.copies.duplicates import find_copies
    from crack_lightning.data.copies.overlaps import find_overlaps

    paths, overlaps = [each.path for each in facts], None
    if options["overlaps"]:
        overlaps = stages("overlaps", lambda: find_overlaps(paths, workers=options["num_workers"]))
    return stages("copies", lambda: find_copies(facts, near=options["near_duplicates"], overlaps=overlaps))


def _root(given: str) -> Path:
    from crack_lightning.system.files import expanded

    root = expanded(given).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"data.root={root} is no folder: name the one that holds the class folders")
    return root


def _splits(table: str | None, listed: "Sequence[Listed]", root: Path) -> list[str]:
    """train, val, test or nothing for each file: as split.csv says, else as the folders do."""
    from crack_lightning.data.samples.splits import read_splits
    from crack_lightning.system.files import expanded
    from crack_lightning.system.names import matched

    if table is None:
        return [each.split for each in listed]
    named = read_splits(expanded(table))
    places = matched([str(each.path) for each in listed], named)
    below = matched([each.path.relative_to(root).as_posix() for each in listed], named)
    keys = [places.get(str(each.path)) or below.get(each.path.relative_to(root).as_posix()) for each in listed]
    found = [named[key] if key else "" for key in keys]
    if not any(found):
        raise ValueError(f"none of the images in {root} is in {table}: give the folder that it was made from")
    return found


def _of_copies(
    copies: dict[str, list[list[int]]], facts: "Sequence[FileFacts]", listed: "Sequence[Listed]", splits: Sequence[str]
) -> "tuple[list[Finding], dict[str, list[Leakage]]]":
    from crack_lightning.data.audit.findings import Finding
    from crack_lightning.data.audit.leakage import cluster_findings, label_conflicts, leakage, leaked_places

    paths, classes = [each.path for each in facts], [each.class_name for each in listed]
    found: list[Finding] = []
    told: set[tuple[int, ...]] = set()
    for kind, clusters in copies.items():
        # What is the same file to the last byte is not told again as alike.
        found += cluster_findings(kind, [cluster for cluster in clusters if tuple(cluster) not in told], paths)
        told |= {tuple(cluster) for cluster in clusters}
    widest = list(copies.values())[-1]
    # Crops that overlap may well belong to two classes.
    found += label_conflicts(copies.get("near_duplicate", copies["exact_duplicate"]), paths, classes)
    if "test" not in splits:
        return found, {}
    for place in leaked_places(widest, splits):
        found.append(Finding("leak", paths[place], "a test image that training has a copy or a part of"))
    return found, {kind: leakage(clusters, classes, splits) for kind, clusters in copies.items()}


def _say(audited: Any, folder: Path) -> int:
    counts = Counter(finding.severity for finding in audited.findings)
    for (severity, kind), count in sorted(Counter((f.severity, f.kind) for f in audited.findings).items()):
        log.log(logging.ERROR if severity == "error" else logging.INFO, "%s: %d", kind.replace("_", " "), count)
    for kind, rows in audited.leaks.items():
        leaked, tested = sum(row.leaked for row in rows), sum(row.tested for row in rows)
        log.info("test images with a counterpart in training (%s): %d of %d", kind.replace("_", " "), leaked, tested)
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


def main() -> None:
    command(audit, config_name="audit")


if __name__ == "__main__":
    main()
