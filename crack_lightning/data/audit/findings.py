"""Findings about the files of a data set, one by one: what is wrong or remarkable."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from crack_lightning.data.copies.facts import FileFacts

T = TypeVar("T")

DARK, BRIGHT, FLAT = 10.0, 245.0, 2.0  # grey levels: mean below, mean above, deviation below
LONGEST = 2.0  # times as long as wide: this or more is odd

COMMON = 0.5  # share of the files: a value that more have is common
IMBALANCED = 0.25  # share of all images: this or less in the smaller class is imbalance

ERRORS = ("unreadable", "unreadable_folder", "missing_class", "undeclared_class", "label_conflict", "leak")
WARNINGS = (
    *("wrong_extension", "odd_aspect", "nearly_black", "nearly_white", "one_colour", "class_imbalance"),
    *("exact_duplicate", "near_duplicate", "overlap", "zero_run", "dim_levels", "unread_photograph"),
)
NOTES = ("odd_size", "odd_mode", "sixteen_bit", "turned_by_exif", "animated", "hidden_folder", "link_loop", "no_image")
KINDS = (*ERRORS, *WARNINGS, *NOTES)


@dataclass(frozen=True)
class Finding:
    """A remark about a file or folder. `cluster` numbers findings that belong together, from 1; 0 stands alone."""

    kind: str
    path: Path
    detail: str
    cluster: int = 0

    @property
    def severity(self) -> str:
        """Returns error, warning or note."""
        return "error" if self.kind in ERRORS else "warning" if self.kind in WARNINGS else "note"


def file_findings(facts: Sequence[FileFacts]) -> list[Finding]:
    """Returns the findings about each file, by itself or beside the others."""
    readable = [file for file in facts if not file.problem]
    findings = [Finding("unreadable", file.path, file.problem) for file in facts if file.problem]
    size = _common((file.width_px, file.height_px) for file in readable)
    mode = _common(file.mode for file in readable)
    for file in readable:
        findings += _format_findings(file) + _light_findings(file)
        findings += _odd_findings(file, size, mode)
    return findings


def _format_findings(facts: FileFacts) -> list[Finding]:
    findings = []
    if not facts.extension_fits:
        findings.append(Finding("wrong_extension", facts.path, f"is {facts.format}"))
    if facts.doubt:
        findings.append(Finding("dim_levels", facts.path, facts.doubt))
    if facts.zero_run:
        detail = f"{facts.zero_run} zero bytes in a row within its compressed data: a part of the picture is lost"
        findings.append(Finding("zero_run", facts.path, detail))
    if facts.mode.startswith("I"):
        findings.append(Finding("sixteen_bit", facts.path, f"mode {facts.mode}, scaled to 8 bits when read"))
    if facts.orientation != 1:
        findings.append(Finding("turned_by_exif", facts.path, f"orientation {facts.orientation}, turned when read"))
    if facts.frames > 1 and facts.format != "MPO":
        findings.append(Finding("animated", facts.path, f"{facts.frames} frames, the first is read"))
    width, height = facts.width_px, facts.height_px
    if max(width, height) >= LONGEST * min(width, height):
        findings.append(Finding("odd_aspect", facts.path, f"{width}x{height} px, stretched to a square when read"))
    return findings


def _light_findings(facts: FileFacts) -> list[Finding]:
    detail = f"grey level {facts.mean:.0f} of 255, deviation {facts.deviation:.1f}"
    if facts.mean < DARK:
        return [Finding("nearly_black", facts.path, detail)]
    if facts.mean > BRIGHT:
        return [Finding("nearly_white", facts.path, detail)]
    return [Finding("one_colour", facts.path, detail)] if facts.deviation < FLAT else []


def _odd_findings(facts: FileFacts, size: tuple[int, int] | None, mode: str | None) -> list[Finding]:
    findings = []
    own = (facts.width_px, facts.height_px)
    if size is not None and own != size:
        findings.append(Finding("odd_size", facts.path, f"{own[0]}x{own[1]} px, most are {size[0]}x{size[1]}"))
    if mode is not None and facts.mode != mode:
        findings.append(Finding("odd_mode", facts.path, f"mode {facts.mode}, most are {mode}"))
    return findings


def _common(values: Iterable[T]) -> T | None:
    """Returns the value that most have, if more than COMMON do."""
    counts = Counter(values)
    if not counts:
        return None
    value, count = counts.most_common(1)[0]
    return value if count > COMMON * counts.total() else None


def imbalance(counts: dict[str, int], root: Path) -> list[Finding]:
    """Returns one finding where a class has few of all images."""
    total = sum(counts.values())
    if len(counts) < 2 or not total:
        return []
    name, count = min(counts.items(), key=lambda item: item[1])
    if count > IMBALANCED * total:
        return []
    detail = f"{count} of {total} images ({count / total:.0%}): task.class_weights=balanced weighs them up"
    return [Finding("class_imbalance", root / name, detail)]
