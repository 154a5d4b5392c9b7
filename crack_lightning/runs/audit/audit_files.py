"""Writes the files of an audit into its run folder."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from crack_lightning.data.audit.findings import KINDS, Finding
from crack_lightning.data.audit.inventory import Listed
from crack_lightning.data.audit.leakage import Leakage
from crack_lightning.data.copies.duplicates import groups_of
from crack_lightning.data.copies.facts import FileFacts
from crack_lightning.data.images.formats import jpeg
from crack_lightning.data.images.reading import read_image
from crack_lightning.report.templates import rendered
from crack_lightning.system.files import write_atomically, write_csv

MAX_PICTURES = 8  # pictures shown of one case
THUMBNAIL_PX = 112  # longer side of each


@dataclass(frozen=True)
class AuditResults:
    """The results of an audit."""

    root: Path
    listed: Sequence[Listed]
    facts: Sequence[FileFacts]  # of the listed files, in their order
    findings: Sequence[Finding]
    leaks: Mapping[str, Sequence[Leakage]]  # leakage of each class, by kind of copy
    seconds: Mapping[str, float]  # duration of each stage, by its name


@dataclass(frozen=True)
class Section:
    """The findings of one kind. A case is a finding, or all findings of a cluster.

    `cases` are the cases that are shown: each has a text and, for each picture, its caption and its JPEG, which is None
    if the file cannot be read.
    """

    kind: str
    severity: str
    count: int  # cases, shown or not
    cases: Sequence[tuple[str, Sequence[tuple[str, bytes | None]]]]


def write_audit(folder: Path, audited: AuditResults, *, shown: int) -> None:
    """Writes audit.csv, audit.json and audit.html."""
    rows = [
        [finding.severity, finding.kind, finding.cluster or "", finding.path, finding.detail]
        for finding in sorted(audited.findings, key=lambda finding: KINDS.index(finding.kind))
    ]
    write_csv(folder / "audit.csv", ["severity", "kind", "cluster", "path", "detail"], rows)
    text = json.dumps(_summary(audited), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomically(folder / "audit.json", text.encode("utf-8", "surrogateescape"))
    page = rendered("audit.html", root=audited.root, facts=_fact_rows(audited), sections=_sections(audited, shown))
    write_atomically(folder / "audit.html", page.encode())


def write_groups(folder: Path, clusters: Sequence[Sequence[int]], audited: AuditResults) -> None:
    """Writes groups.csv, which data.group_by can read: the group of every image, that is its cluster of copies."""
    names = [file.path.relative_to(audited.root).as_posix() for file in audited.listed]
    rows = zip(names, groups_of(clusters, names), strict=True)
    write_csv(folder / "groups.csv", ["path", "group"], list(rows))


def _summary(audited: AuditResults) -> dict[str, object]:
    counts = Counter(finding.kind for finding in audited.findings)
    seconds = sum(audited.seconds.values())
    return {
        "root": str(audited.root),
        "images": len(audited.facts),
        "classes": dict(Counter(file.class_name for file in audited.listed)),
        "findings": dict(counts),
        "severities": dict(Counter(finding.severity for finding in audited.findings)),
        "leakage": {kind: [asdict(row) for row in rows] for kind, rows in audited.leaks.items()},
        "seconds": dict(audited.seconds),
        "images_per_second": len(audited.facts) / seconds if seconds else None,
    }


def _fact_rows(audited: AuditResults) -> list[tuple[str, str]]:
    classes = Counter(file.class_name for file in audited.listed)
    sizes = Counter(f"{file.width_px}x{file.height_px}" for file in audited.facts if not file.problem)
    rows = [
        ("images", f"{len(audited.facts)}"),
        ("classes", ", ".join(f"{name or '(none)'} {count}" for name, count in sorted(classes.items()))),
        ("sizes in pixels", ", ".join(f"{size} ({count})" for size, count in sizes.most_common(4))),
    ]
    for kind, leaks in audited.leaks.items():
        shares = ", ".join(f"{row.class_name} {row.leaked} of {row.tested}" for row in leaks)
        rows.append((f"test images seen in training ({kind.replace('_', ' ')})", shares))
    return rows


def _sections(audited: AuditResults, shown: int) -> list[Section]:
    by_kind: dict[str, dict[object, list[Finding]]] = defaultdict(lambda: defaultdict(list))
    for finding in audited.findings:
        by_kind[finding.kind][finding.cluster or finding.path].append(finding)
    return [
        Section(
            kind=kind,
            severity=next(iter(by_kind[kind].values()))[0].severity,
            count=len(by_kind[kind]),
            cases=[_case(audited.root, findings) for findings in list(by_kind[kind].values())[:shown]],
        )
        for kind in KINDS
        if kind in by_kind
    ]


def _case(root: Path, findings: Sequence[Finding]) -> tuple[str, list[tuple[str, bytes | None]]]:
    pictures = [(_caption(finding.path, root), _thumbnail(finding.path)) for finding in findings[:MAX_PICTURES]]
    return findings[0].detail if len(findings) == 1 else f"{len(findings)} images", pictures


def _caption(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _thumbnail(path: Path) -> bytes | None:
    try:
        image = read_image(path)
    except ValueError:
        return None
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return jpeg(image, quality=75)
