"""How many of the cracks that a map marks in photographs with masks are none, by number and by length.

    python benchmarks/marks.py MASKED [MASKED ...] [--ckpt best.ckpt] [--tolerance-px 8]

MASKED holds images/ and masks/, as data=masks has them. A mark is false where less than half of its line lies
within the tolerance of the mask's cracks.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

import crack_lightning as cl
from crack_lightning.data.images.reading import read_image


def judged(photograph: Path, mask: Path, model: cl.Model, tolerance_px: float) -> list[tuple[float, bool]]:
    """Returns the length in pixels of each mark of a photograph, and whether it is false."""
    cracked = np.asarray(read_image(mask).convert("L")) > 127
    away_px = ndimage.distance_transform_edt(~cracked)
    height, width = cracked.shape
    marks = []
    for crack in model.mark(photograph).cracks:
        x, y = np.concatenate(crack.lines_xy).round().astype(int).T
        near = away_px[y.clip(0, height - 1), x.clip(0, width - 1)] <= tolerance_px
        marks.append((crack.length_px, bool(near.mean() < 0.5)))
    return marks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--tolerance-px", type=float, default=8.0)
    options = parser.parse_args()
    model = cl.load(options.ckpt)
    print("| photographs | marks | false | share of the marked length that is false | false a photograph |")
    print("|---|---|---|---|---|")
    for folder in options.folders:
        masks = {path.stem.removesuffix("_mask"): path for path in sorted((folder / "masks").iterdir())}
        photographs = [path for path in sorted((folder / "images").iterdir()) if path.stem in masks]
        marks = [mark for path in photographs for mark in judged(path, masks[path.stem], model, options.tolerance_px)]
        wrong = [length for length, is_false in marks if is_false]
        share = sum(wrong) / max(sum(length for length, _ in marks), 1e-9)
        count = len(photographs)
        print(f"| {folder.name}, {count} | {len(marks)} | {len(wrong)} | {share:.2f} | {len(wrong) / count:.1f} |")


if __name__ == "__main__":
    main()
