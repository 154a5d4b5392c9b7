"""Findings about single files of a data set: what is wrong with them, or remarkable."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from crack_lightning.data.copies.facts import FileFacts

T = TypeVar("T")

# In grey levels from 0 to 255. A picture is nearly black if its mean is below DARK_MEAN, nearly white if it is above
# BRIGHT_MEAN, and of one colour if its standard deviation is below FLAT_DEVIATION.
DARK_MEAN, BRIGHT_MEAN, FLAT_DEVIATION = 10.0, 245.0, 2.0
ODD_ASPECT = 2.0  # ratio of the sides from which on a picture is remarked upon

COMMON_SHARE = 0.5  # a size or mode is common if more than this share of the files has it
IMBALANCED_SHARE = 0.25  # classes are imbalanced if the smaller one has at most this share of all images

ERRORS = ("unreadable", "unreadable_folder", "missing_class", "undeclared_class", "label_conflict", "leak")
WARNINGS = (
    *("wrong_extension", "odd_aspect", "nearly_black", "nearly_white", "one_colour", "class_imbalance"),
    *("exact_duplicate", "near_duplicate", "overlap", "zero_run", "dim_levels", "unread_photograph"),
)
NOTES = ("odd_size", "odd_mode", "sixteen_bit", "turned_by_exif", "animated", "hidden_folder", "link_loop", "no_image")
KINDS = (*ERRORS, *WARNINGS, *NOTES)


@dataclass(frozen=True)
class Finding:
    """A remark about a file or folder.

    `cluster` is the same number, from 1, in all findings that belong together; it is 0 in a finding on its own.
    """

    kind: str
    path: Path
    detail: str
    cluster: int = 0

    @property
    def severity(self) -> str:
        """Returns error, warning or note."""
        return "error" if self.kind in ERRORS else "warning" if self.kind in WARNINGS else "note"


def file_findings(facts: Sequence[FileFacts]) -> list[Finding]:
    """Returns the findings about each file on its own and in comparison with the other files."""
    readable = [file for file in facts if not file.problem]
    findings = [Finding("unreadable", file.path, file.problem) for file in facts if file.problem]
    size = _most_common((file.width_px, file.height_px) for file in readable)
    mode = _most_common(file.mode for file in readable)
    for file in readable:
        findings += _format_findings(file) + _light_findings(file)
        findings += _odd_findings(file, common_size=size, common_mode=mode)
    return findings


def _format_findings(facts: FileFacts) -> list[Finding]:
    findings = []
    if not facts.extension_fits:
        findings.append(Finding("wrong_extension", facts.path, f"is {facts.format}"))
    if facts.doubt:
        findings.append(Finding("dim_levels", facts.path, facts.doubt))
    if facts.zero_run:
        detail = f"{facts.zero_run} zero bytes in a row in its compressed data: part of the picture is lost"
        findings.append(Finding("zero_run", facts.path, detail))
    if facts.mode.startswith("I"):
        findings.append(Finding("sixteen_bit", facts.path, f"mode {facts.mode}, scaled to 8 bits when read"))
    if facts.orientation != 1:
        findings.append(Finding("turned_by_exif", facts.path, f"orientation {facts.orientation}, turned when read"))
    if facts.frames > 1 and facts.format != "MPO":
        findings.append(Finding("animated", facts.path, f"{facts.frames} frames, only the first is read"))
    width, height = facts.width_px, facts.height_px
    if max(width, height) >= ODD_ASPECT * min(width, height):
        findings.append(Finding("odd_aspect", facts.path, f"{width}x{height} px, stretched to a square when read"))
    return findings


def _light_findings(facts: FileFacts) -> list[Finding]:
    detail = f"grey level {facts.mean:.0f} of 255, standard deviation {facts.standard_deviation:.1f}"
    if facts.mean < DARK_MEAN:
        return [Finding("nearly_black", facts.path, detail)]
    if facts.mean > BRIGHT_MEAN:
        return [Finding("nearly_white", facts.path, detail)]
    return [Finding("one_colour", facts.path, detail)] if facts.standard_deviation < FLAT_DEVIATION else []


def _odd_findings(facts: FileFacts, *, common_size: tuple[int, int] | None, common_mode: str | None) -> list[Finding]:
    findings = []
    width, height = facts.width_px, facts.height_px
    if common_size is not None and (width, height) != common_size:
        detail = f"{width}x{height} px, most are {common_size[0]}x{common_size[1]}"
        findings.append(Finding("odd_size", facts.path, detail))
    if common_mode is not None and facts.mode != common_mode:
        findings.append(Finding("odd_mode", facts.path, f"mode {facts.mode}, most are {common_mode}"))
    return findings


def _most_common(values: Iterable[T]) -> T | None:
    """Returns the most frequent value if its share is above COMMON_SHARE, else None."""
    counts = Counter(values)
    if not counts:
        return None
    value, count = counts.most_common(1)[0]
    return value if count > COMMON_SHARE * counts.total() else None


def imbalance(counts: dict[str, int], root: Path) -> list[Finding]:
    """Returns one finding if a class has too small a share of all images, else none; `counts` are images by class."""
    total = sum(counts.values())
    if len(counts) < 2 or not total:
        return []
    name, count = min(counts.items(), key=lambda item: item[1])
    if count > IMBALANCED_SHARE * total:
        return []
    detail = f"{count} of {total} images ({count / total:.0%}): task.class_weights=balanced makes up for that"
    return [Finding("class_imbalance", root / name, detail)]
