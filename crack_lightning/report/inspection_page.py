"""An inspection as one HTML file: photographs by severity, original and overlay under a slider; works from a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crack_lightning.report.cracks_section import CracksSection
from crack_lightning.report.templates import rendered

MEANINGS = {
    "cracked": "at least one region",
    "review": "no region, but it needs review",
    "sound": "no region, and nothing in doubt",
    "error": "not inspected",
    "unread": "of a kind that is not read: nobody looked at it",
}
WINDOWS = (
    "Regions show where to look first, and do not replace looking: hairlines are missed, and joints, edges and shadows "
    "are taken for cracks. A region is about half a window wider than its crack on each side, so its width is not the "
    "crack's."
)
LINES = (
    "Lines show where to look first, and do not replace looking: hairlines are missed, and joints, edges and shadows "
    "are taken for cracks. Lengths and widths are those of what the photograph shows, widths at right angles to the "
    "line: what is hidden is not measured, and a width is no depth. A width that the picture cannot hold is given as "
    "less than what it can; ± is twice the standard deviation."
)
NAMES = {"regions": "cracks", "longest": "longest region"}
NUMBERS = ("peak", "surface above threshold", "regions", "longest", "seconds")


@dataclass(frozen=True)
class Shown:
    """A row of the report. `photograph` and `overlay` are paths relative to the page; empty where there are none.

    `figures` say in words what was measured of the regions, from the largest.
    """

    name: str
    verdict: str
    peak: float | None
    share: float | None
    regions: int | None
    longest: str
    longest_px: float
    seconds: float
    figures: Sequence[str]
    photograph: str
    overlay: str
    thumbnail: bytes | None
    error: str = ""

    def numbers(self) -> list[tuple[str, str, float]]:
        """Of each column its name, the text, and what it sorts by."""
        texts: dict[str, tuple[str, float | None]] = {
            "peak": ("" if self.peak is None else f"{self.peak:.3f}", self.peak),
            "surface above threshold": ("" if self.share is None else f"{self.share:.2%}", self.share),
            "regions": ("" if self.regions is None else str(self.regions), self.regions),
            "longest": (self.longest, self.longest_px),
            "seconds": (f"{self.seconds:.1f}", self.seconds),
        }
        return [(name, text, -1 if value is None else value) for name, (text, value) in texts.items()]


def inspection_page(
    summary: str,
    method: Mapping[str, str],
    colours: Sequence[str],
    shown: Sequence[Shown],
    cracks: CracksSection | None = None,
) -> str:
    """The page; `shown` stand in the order that they are to have. `cracks` is None where only windows were judged.

    `summary` is what was found, `method` what it was found by. `colours` are those of the overlay, as CSS has them,
    from a probability of 0 to 1.
    """
    return rendered(
        "inspection.html",
        summary=summary,
        method=method,
        colours=colours,
        shown=shown,
        verdicts=list(dict.fromkeys(row.verdict for row in shown)),
        meanings=MEANINGS,
        caveat=WINDOWS if cracks is None else LINES,
        numbers=[NAMES.get(name, name) if cracks else name for name in NUMBERS],
        names=NAMES if cracks else {},
        cracks=cracks,
    )
