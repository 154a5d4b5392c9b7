"""How many of the cracks that a map marks in photographs with masks are none, and how many cracks it misses.

    python benchmarks/marks.py MASKED [MASKED ...] [--ckpt best.ckpt] [--tolerance-px 8] [--each]

MASKED holds images/ and masks/, as data=masks has them. A mark is false where less than half of its line lies within
the tolerance of the mask's cracks. A crack of the mask, of 2 % of the longer side and more, is missed where less than
half of its line lies within the tolerance of marks in the first view, which leaves out marks that are probably no
cracks.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

import crack_lightning as cl
from crack_lightning.data.images.reading import read_image
from crack_lightning.measurement.record import LONG_SHARE

CRACK_SHARE = 0.02  # of the longer side: the shortest cracks of a mask that count


@dataclass(frozen=True)
class Mark:
    """A mark: its length in pixels and as a share of the longer side, whether it is false, and in the first view."""

    length_px: float
    share: float
    is_false: bool
    is_shown: bool


@dataclass(frozen=True)
class Judged:
    """A photograph: its marks, the number of its cracks, and of those that the first view misses."""

    name: str
    marks: Sequence[Mark]
    cracks: int
    missed: int


def judged(photograph: Path, mask: Path, model: cl.Model, tolerance_px: float) -> Judged:
    """Returns what a photograph's marks are worth."""
    cracked = np.asarray(read_image(mask).convert("L")) > 127
    away_px, (height, width) = ndimage.distance_transform_edt(~cracked), cracked.shape
    marks, shown = list[Mark](), np.zeros(cracked.shape, bool)
    for crack in model.mark(photograph).cracks:
        x, y = np.concatenate(crack.lines_xy).round().astype(int).T
        x, y = x.clip(0, width - 1), y.clip(0, height - 1)
        is_false = bool((away_px[y, x] <= tolerance_px).mean() < 0.5)
        marks.append(Mark(crack.length_px, crack.length_px / max(height, width), is_false, crack.likely))
        if crack.likely:
            shown[y, x] = True
    return Judged(photograph.stem, marks, *missed_cracks(cracked, shown, tolerance_px))


def missed_cracks(cracked: np.ndarray, shown: np.ndarray, tolerance_px: float) -> tuple[int, int]:
    """Returns the number of cracks of a mask (h, w), and of those that the lines `shown` (h, w) miss."""
    thin = skeletonize(cracked)
    reach = round(tolerance_px)
    groups, count = ndimage.label(ndimage.binary_dilation(thin, np.ones((2 * reach + 1,) * 2)))
    away_px = ndimage.distance_transform_edt(~shown) if shown.any() else np.full(shown.shape, np.inf)
    lengths = np.bincount(groups[thin], minlength=count + 1)
    found = np.bincount(groups[thin & (away_px <= 2 * tolerance_px)], minlength=count + 1)
    long = lengths >= CRACK_SHARE * max(cracked.shape)
    long[0] = False
    return int(long.sum()), int((long & (found < 0.5 * lengths)).sum())


def row(name: str, marks: Sequence[Mark], count: int) -> str:
    wrong = [mark.length_px for mark in marks if mark.is_false]
    share = sum(wrong) / max(sum(mark.length_px for mark in marks), 1e-9)
    return f"| {name} | {len(marks)} | {len(wrong)} | {share:.2f} | {len(wrong) / count:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--tolerance-px", type=float, default=8.0)
    parser.add_argument("--each", action="store_true", help="a row for each photograph too")
    options = parser.parse_args()
    model = cl.load(options.ckpt)
    for folder in options.folders:
        masks = {path.stem.removesuffix("_mask"): path for path in sorted((folder / "masks").iterdir())}
        paths = [path for path in sorted((folder / "images").iterdir()) if path.stem in masks]
        found = [judged(path, masks[path.stem], model, options.tolerance_px) for path in paths]
        if options.each:
            each(found)
        print("\n| photographs | marks | false | share of the marked length that is false | false a photograph |")
        print("|---|---|---|---|---|")
        marks = [mark for photograph in found for mark in photograph.marks]
        print(row(f"{folder.name}, {len(paths)}: all marks", marks, len(paths)))
        print(row("first view", [mark for mark in marks if mark.is_shown], len(paths)))
        true, lost = ([m for m in part if not m.is_false] for part in (marks, [m for m in marks if not m.is_shown]))
        length = sum(mark.length_px for mark in lost) / max(sum(mark.length_px for mark in true), 1e-9)
        long = sum(mark.share >= LONG_SHARE for mark in lost)
        missed, cracks = (sum(getattr(photograph, name) for photograph in found) for name in ("missed", "cracks"))
        left_out = f"{len(lost)} of {len(true)} true marks, {length:.2f} of their length, {long} long"
        print(f"\nLeft out of the first view: {left_out}.")
        print(f"Missed by it: {missed} of {cracks} cracks of {CRACK_SHARE:.0%} of the longer side and more.")


def each(found: Sequence[Judged]) -> None:
    print("| photograph | cracks | missed | marks in the first view | false | folded | true among them |")
    print("|---|---|---|---|---|---|---|")
    for photograph in found:
        shown, folded = ([m for m in photograph.marks if m.is_shown is wanted] for wanted in (True, False))
        false, true = sum(m.is_false for m in shown), sum(not m.is_false for m in folded)
        numbers = [photograph.cracks, photograph.missed, len(shown), false, len(folded), true]
        print(f"| {photograph.name} | {' | '.join(map(str, numbers))} |")


if __name__ == "__main__":
    main()
