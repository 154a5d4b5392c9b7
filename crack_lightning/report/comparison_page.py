"""Two inspections of one place as one HTML file: before and after under a slider, and what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from crack_lightning.report.templates import rendered

COLOURS = {
    "new": "#e03131",
    "longer": "#ff7f0e",
    "wider": "#f2c200",
    "longer and wider": "#c2255c",
    "gone": "#1971c2",
    "unchanged": "#8a949e",
}
CAVEAT = (
    "A change is reported where it exceeds the uncertainty of both measurements. Photographs are aligned as views of "
    "one plane: what stands out of it is displaced. A crack that one of the photographs shows and its map did not mark "
    "counts as unchanged."
)


@dataclass(frozen=True)
class Pair:
    """A place: the names of its photographs, their pictures as paths relative to the page, how many points agree, and
    each change as its kind and a sentence."""

    before: str
    after: str
    picture_before: str
    picture_after: str
    points: int
    changes: Sequence[tuple[str, str]]


def comparison_page(summary: str, pairs: Sequence[Pair], refused: Sequence[tuple[str, str]]) -> str:
    """The page; `refused` are photographs without a counterpart, and why."""
    ordered = sorted(pairs, key=lambda pair: -len(pair.changes))
    return rendered("comparison.html", summary=summary, pairs=ordered, refused=refused, colours=COLOURS, caveat=CAVEAT)
