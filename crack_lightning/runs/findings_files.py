"""The files that an audit writes into its run folder."""

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
from crack_lightning.data.images.reading import read_image
from crack_lightning.report.audit_page import Case, Picture, Section, audit_page, thumbnail
from crack_lightning.system.files import write_atomically, write_csv

MOST_PICTURES = 8  # of one cluster
EXPLANATIONS = {
    "unreadable": "Cannot be decoded: mend or remove them, or train with data.on_error=skip.",
    "unreadable_folder": "Could not be listed: what lies in it is not part of this audit.",
    "missing_class": "Declared in data.class_names, but there is no such folder.",
    "undeclared_class": "A folder that data.class_names does not name: training refuses it.",
    "label_conflict": "The same picture lies in two classes: one of the labels is wrong.",
    "leak": "Test images of which training has a copy or a part: the metrics of the test are too good. Split with "
    "data.group_by=near_duplicates or overlap.",
    "wrong_extension": "The name says another format than the content.",
    "odd_aspect": "Twice as long as wide, or more: stretched to a square, cracks change their look.",
    "nearly_black": "Hardly anything to be seen.",
    "nearly_white": "Hardly anything to be seen.",
    "one_colour": "Nothing to be seen.",
    "class_imbalance": "Of two classes the smaller one is seldom seen in training.",
    "exact_duplicate": "The same file under several names: in two parts of a split, a test that training has seen.",
    "near_duplicate": "The same picture encoded anew, resized, made lighter or darker, mirrored or turned by quarters.",
    "overlap": "Crops of one photograph that share a part of it: of two in different splits one has been seen in part.",
    "zero_run": "Damage that decodes without an error: fetch the file again from where it came from.",
    "dim_levels": "Stored with fewer bits than the file claims: read as nearly black.",
    "unread_photograph": "Photographs in a form that is not read: convert them, or nobody looks at them.",
    "odd_size": "Another size than most.",
    "odd_mode": "Another colour mode than most; converted when read.",
    "sixteen_bit": "16 bits a channel, scaled to 8 when read.",
    "turned_by_exif": "Stored turned; set upright when read.",
    "animated": "Several frames; the first is read.",
    "hidden_folder": "Ignored.",
    "link_loop": "Ignored.",
    "no_image": "Ignored.",
}


@dataclass(frozen=True)
class Audited:
    """All that an audit found out."""

    root: Path
    listed: Sequence[Listed]
    facts: Sequence[FileFacts]
    findings: Sequence[Finding]
    leaks: Mapping[str, Sequence[Leakage]]
    seconds: Mapping[str, float]


def write_audit(folder: Path, audited: Audited, *, shown: int) -> None:
    """audit.csv, audit.json and audit.html."""
    rows = [
        [finding.severity, finding.kind, finding.cluster or "", finding.path, finding.detail]
        for finding in sorted(audited.findings, key=lambda each: KINDS.index(each.kind))
    ]
    write_csv(folder / "audit.csv", ["severity", "kind", "cluster", "path", "detail"], rows)
    text = json.dumps(_summary(audited), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomically(folder / "audit.json", text.encode("utf-8", "surrogateescape"))
    page = audit_page(f"Audit of {audited.root}", _facts(audited), _sections(audited, shown))
    write_atomically(folder / "audit.html", page.encode())


def write_groups(folder: Path, clusters: Sequence[Sequence[int]], audited: Audited) -> None:
    """groups.csv, for data.group_by: every image with its cluster."""
    names = [each.path.relative_to(audited.root).as_posix() for each in audited.listed]
    rows = zip(names, groups_of(clusters, names), strict=True)
    write_csv(folder / "groups.csv", ["path", "group"], list(rows))


def _summary(audited: Audited) -> dict[str, object]:
    counts = Counter(finding.kind for finding in audited.findings)
    seconds = sum(audited.seconds.values())
    return {
        "root": str(audited.root),
        "images": len(audited.facts),
        "classes": dict(Counter(each.class_name for each in audited.listed)),
        "findings": dict(counts),
        "severities": dict(Counter(finding.severity for finding in audited.findings)),
        "leakage": {kind: [asdict(row) for row in rows] for kind, rows in audited.leaks.items()},
        "seconds": dict(audited.seconds),
        "images_per_second": len(audited.facts) / seconds if seconds else None,
    }


def _facts(audited: Audited) -> list[tuple[str, str]]:
    classes = Counter(each.class_name for each in audited.listed)
    sizes = Counter(f"{each.width_px}x{each.height_px}" for each in audited.facts if not each.problem)
    rows = [
        ("images", f"{len(audited.facts)}"),
        ("classes", ", ".join(f"{name or '(none)'} {count}" for name, count in sorted(classes.items()))),
        ("sizes in pixels", ", ".join(f"{size} ({count})" for size, count in sizes.most_common(4))),
    ]
    for kind, leaks in audited.leaks.items():
        of = ", ".join(f"{row.class_name} {row.leaked} of {row.tested}" for row in leaks)
        rows.append((f"test images seen in training ({kind.replace('_', ' ')})", of))
    return rows


def _sections(audited: Audited, shown: int) -> list[Section]:
    by_kind: dict[str, dict[object, list[Finding]]] = defaultdict(lambda: defaultdict(list))
    for finding in audited.findings:
        by_kind[finding.kind][finding.cluster or finding.path].append(finding)
    return [
        Section(
            title=kind.replace("_", " "),
            severity=next(iter(by_kind[kind].values()))[0].severity,
            explanation=EXPLANATIONS[kind],
            count=len(by_kind[kind]),
            cases=[_case(audited.root, members) for members in list(by_kind[kind].values())[:shown]],
        )
        for kind in KINDS
        if kind in by_kind
    ]


def _case(root: Path, members: Sequence[Finding]) -> Case:
    pictures = [Picture(_below(each.path, root), _thumbnail(each.path)) for each in members[:MOST_PICTURES]]
    text = members[0].detail if len(members) == 1 else f"{len(members)} images"
    return Case(text, pictures)


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _thumbnail(path: Path) -> bytes | None:
    try:
        return thumbnail(read_image(path))
    except ValueError:
        return None
