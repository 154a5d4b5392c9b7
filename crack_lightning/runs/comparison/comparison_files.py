"""Writes the files of a comparison: a table, pictures of each place, a page to slide from before to after."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from crack_lightning.data.images.formats import jpeg
from crack_lightning.inference.overlay import write_numbers
from crack_lightning.measurement.changes import CHANGES, Change
from crack_lightning.report.templates import rendered
from crack_lightning.system.files import write_atomically, write_csv

Array = np.ndarray

HEADER = [
    *("photograph_before", "photograph_after", "change", "cracks_before", "cracks_after", "length_before_px"),
    *("length_after_px", "width_before_px", "width_after_px", "length_before_mm", "length_after_mm", "width_before_mm"),
    "width_after_mm",
]
CHANGE_COLOURS = {
    "new": "#e03131",
    "longer": "#ff7f0e",
    "wider": "#f2c200",
    "longer and wider": "#c2255c",
    "gone": "#1971c2",
    "unchanged": "#8a949e",
}


@dataclass(frozen=True)
class ComparedPlace:
    """Two aligned photographs of one place and the changes between them. Lines (n, 2) and changes are in pixels of the
    later photograph."""

    before: str  # name of the earlier photograph
    after: str  # name of the later photograph
    points: int  # matching points that agree with the alignment
    changes: Sequence[Change]
    earlier: Image.Image  # the earlier photograph, warped onto `later`
    later: Image.Image  # the later photograph, `factor` times its size
    factor: float
    mm_per_px: float | None  # scale of the later photograph, None if unknown
    lines_after: Mapping[int, Sequence[Array]]  # lines of the cracks in the later photograph, by number
    lines_before: Mapping[int, Sequence[Array]]  # lines of the cracks in the earlier photograph, by number

    @property
    def changed(self) -> list[Change]:
        """Returns the changes, leaving out unchanged cracks."""
        return [change for change in self.changes if change.kind != "unchanged"]


def write_comparison(folder: Path, compared: Sequence[ComparedPlace], refused: Sequence[tuple[str, str]]) -> None:
    """Writes comparison.csv, pictures/, report.html and, if photographs were refused, refused.csv."""
    write_csv(folder / "comparison.csv", HEADER, [row for place in compared for row in _rows(place)])
    if refused:
        write_csv(folder / "refused.csv", ["photograph", "reason"], refused)
    for number, place in enumerate(compared, 1):
        for name, after in (("before", False), ("after", True)):
            write_atomically(
                folder / f"pictures/{number}-{name}.jpg", jpeg(_marked_picture(place, after=after), quality=88)
            )
    counts = Counter(change.kind for place in compared for change in place.changes)
    page = rendered(
        "comparison.html",
        places=sorted(enumerate(compared, 1), key=lambda numbered: -len(numbered[1].changed)),
        counts={kind: counts[kind] for kind in CHANGES if counts[kind]},
        refused=refused,
        colours=CHANGE_COLOURS,
    )
    write_atomically(folder / "report.html", page.encode())


def _rows(place: ComparedPlace) -> list[list[object]]:
    rows = list[list[object]]()
    for change in place.changes:
        pixels = [change.length_before, change.length_after, change.width_before, change.width_after]
        mm = [None if value is None or place.mm_per_px is None else value * place.mm_per_px for value in pixels]
        numbers = [" ".join(map(str, ids)) for ids in (change.before, change.after)]
        values = ["" if value is None else f"{value:.2f}" for value in (*pixels, *mm)]
        rows.append([place.before, place.after, change.kind, *numbers, *values])
    return rows


def _marked_picture(place: ComparedPlace, *, after: bool) -> Image.Image:
    """Returns the earlier or the later picture: changed cracks coloured and numbered, unchanged ones grey."""
    picture = (place.later if after else place.earlier).copy()
    draw, width, label_points = ImageDraw.Draw(picture), max(2, round(max(picture.size) / 600)), list[Array]()
    lines_by_number = place.lines_after if after else place.lines_before
    for change in reversed(place.changes):
        numbers = change.after if after else change.before
        lines = [line for number in numbers for line in lines_by_number.get(number, ())]
        colour = CHANGE_COLOURS[change.kind]
        for line in lines:
            draw.line([tuple(point) for point in (line * place.factor).tolist()], fill=colour, width=width)
        for line in change.added if after else ():
            draw.line(
                [tuple(point) for point in (line * place.factor).tolist()], fill=CHANGE_COLOURS["new"], width=width + 1
            )
    for change in place.changed:
        lines = [line for number in change.after for line in place.lines_after[number]]
        lines = lines or [line for number in change.before for line in place.lines_before[number]]
        longest = max(lines, key=len)
        label_points.append(longest[len(longest) // 2] * place.factor)
    write_numbers(draw, dict(enumerate(label_points, 1)), picture.size)
    return picture
