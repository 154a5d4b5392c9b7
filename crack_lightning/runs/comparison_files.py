"""The files of a comparison: a table, pictures of each place before and after, and a page to slide between them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from crack_lightning.inference.overlay import write_numbers
from crack_lightning.measurement.changes import CHANGES, Change
from crack_lightning.report.comparison_page import COLOURS, Pair, comparison_page
from crack_lightning.report.encoding import jpeg
from crack_lightning.system.files import write_atomically, write_csv

Array = np.ndarray

HEADER = [
    *("photograph_before", "photograph_after", "change", "cracks_before", "cracks_after", "length_before_px"),
    *("length_after_px", "width_before_px", "width_after_px", "length_before_mm", "length_after_mm", "width_before_mm"),
    "width_after_mm",
]


@dataclass(frozen=True)
class Compared:
    """Two photographs of one place: how many points agree, the changes, the earlier one as the later shows it and the
    later one, both reduced by `factor`; the later one's scale; the lines of its cracks and of the earlier's, by number,
    all in pixels of the later photograph."""

    before: str
    after: str
    points: int
    changes: Sequence[Change]
    earlier: Image.Image
    later: Image.Image
    factor: float
    mm_per_px: float | None
    lines_after: Mapping[int, Sequence[Array]]
    lines_before: Mapping[int, Sequence[Array]]


def write_comparison(folder: Path, compared: Sequence[Compared], refused: Sequence[tuple[str, str]]) -> None:
    """comparison.csv, refused.csv where there are any, pictures/ and report.html."""
    write_csv(folder / "comparison.csv", HEADER, [row for each in compared for row in _rows(each)])
    if refused:
        write_csv(folder / "refused.csv", ["photograph", "reason"], refused)
    pairs = []
    for number, each in enumerate(compared, 1):
        before, after = f"pictures/{number}-before.jpg", f"pictures/{number}-after.jpg"
        write_atomically(folder / before, jpeg(_marked(each, after=False), quality=88))
        write_atomically(folder / after, jpeg(_marked(each, after=True), quality=88))
        pairs.append(Pair(each.before, each.after, before, after, each.points, _texts(each)))
    counts = Counter(change.kind for each in compared for change in each.changes)
    summary = f"{len(compared)} places: " + ", ".join(f"{counts[kind]} {kind}" for kind in CHANGES if counts[kind])
    write_atomically(folder / "report.html", comparison_page(summary, pairs, refused).encode())


def _rows(each: Compared) -> list[list[object]]:
    found = list[list[object]]()
    for change in each.changes:
        pixels = [change.length_before, change.length_after, change.width_before, change.width_after]
        mm = [None if value is None or each.mm_per_px is None else value * each.mm_per_px for value in pixels]
        numbers = [" ".join(map(str, ids)) for ids in (change.before, change.after)]
        values = ["" if value is None else f"{value:.2f}" for value in (*pixels, *mm)]
        found.append([each.before, each.after, change.kind, *numbers, *values])
    return found


def _texts(each: Compared) -> list[tuple[str, str]]:
    """Of each change that is one, its kind and what is said of it."""
    per_px, unit = (1.0, "px") if each.mm_per_px is None else (each.mm_per_px, "mm")
    found = []
    for number, change in enumerate((c for c in each.changes if c.kind != "unchanged"), 1):
        lengths = _from_to(change.length_before, change.length_after, per_px, 0)
        widths = _from_to(change.width_before, change.width_after, per_px, 2)
        wide = f", {widths} {unit} wide" if widths else ""
        found.append((change.kind, f"{number}: {change.kind}, {lengths} {unit} long{wide}"))
    return found


def _from_to(before: float | None, after: float | None, per_px: float, digits: int) -> str:
    known = [f"{value * per_px:.{digits}f}" for value in (before, after) if value is not None]
    return " then ".join(known)


def _marked(each: Compared, *, after: bool) -> Image.Image:
    """The place with its changed cracks coloured and numbered, the others in grey; before, those of then."""
    picture = (each.later if after else each.earlier).copy()
    draw, width, places = ImageDraw.Draw(picture), max(2, round(max(picture.size) / 600)), list[Array]()
    known = each.lines_after if after else each.lines_before
    changed = [change for change in each.changes if change.kind != "unchanged"]
    for change in reversed(each.changes):
        numbers = change.after if after else change.before
        lines = [line for number in numbers for line in known.get(number, ())]
        colour = COLOURS[change.kind]
        for line in lines:
            draw.line([tuple(point) for point in (line * each.factor).tolist()], fill=colour, width=width)
        for line in change.added if after else ():
            draw.line([tuple(point) for point in (line * each.factor).tolist()], fill=COLOURS["new"], width=width + 1)
    for change in changed:
        lines = [line for number in change.after for line in each.lines_after[number]]
        lines = lines or [line for number in change.before for line in each.lines_before[number]]
        longest = max(lines, key=len)
        places.append(longest[len(longest) // 2] * each.factor)
    write_numbers(draw, places, picture.size)
    return picture
