"""How well the other marks of a photograph are distinguished from cracks after a person judged some of them.

    python benchmarks/judged.py MASKED [MASKED ...] [--counts 10 20] [--draws 10] [--across 30]

MASKED holds images/ and masks/, as data=masks has them. A mark is a crack where most of its line lies within 8 pixels
of the mask's cracks. AUROC of the marks that were not judged, before and after, with marks judged at random;
photographs with fewer than the judged and 15 more marks, or fewer than three cracks among them, are left out. Then
that many marks (--across) judged in five photographs move the marks of five others: how many false ones, and how many
true ones, have a probability of 0.5 and more before and after; the mean over draws of photographs and marks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from package_judge import THRESHOLD, is_true
from scipy import ndimage
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.mark_traits import seen_along
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.measurement.record import LIKELY
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.project.judged_marks import ELSEWHERE, step_of

PHOTOGRAPHS = 5  # that are judged, and that are looked at
Marks = tuple[np.ndarray, np.ndarray, np.ndarray]  # log-odds (n,), values of unit length (n, k), true (n,)


def marks_in(reader: CrackMapReader, photograph: Path, mask: Path) -> Marks:
    """Returns the marks of a photograph with a mask."""
    image, judge = read_image(photograph), reader.classifier.judge
    heat = reader.heat(reader.scaled(image, WindowScale(227)))
    if judge is None or heat.seen is None:
        raise SystemExit("this map does not judge marks")
    away = ndimage.distance_transform_edt(np.asarray(read_image(mask).convert("L")) <= 127)
    cracks = cracks_of(heat, np.asarray(image.convert("L")), THRESHOLD, judge=judge)
    probability = np.array([crack.probability or 0.0 for crack in cracks]).clip(1e-6, 1 - 1e-6)
    values = [judge.direction(seen_along(heat, heat.seen, crack.lines)) for crack in cracks]
    return (
        np.log(probability / (1 - probability)),
        np.array(values),
        np.array([is_true(crack, away) for crack in cracks]),
    )


def auroc(odds: np.ndarray, true: np.ndarray) -> float:
    return float(binary_auroc(torch.from_numpy(odds), torch.from_numpy(true.astype(int))))


def judged_once(marks: Marks, count: int, rng: np.random.Generator) -> tuple[float, float] | None:
    """Returns the AUROC of the other marks before and after `count` random ones were judged."""
    odds, values, true = marks
    chosen = rng.permutation(len(true))[:count]
    rest = np.setdiff1d(np.arange(len(true)), chosen)
    if true[rest].all() or not true[rest].any():
        return None
    surprise = true[chosen] - 1 / (1 + np.exp(-odds[chosen]))
    steps = step_of(values[rest] @ values[chosen].T, np.ones(count), surprise)
    return auroc(odds[rest], true[rest]), auroc(odds[rest] + steps, true[rest])


def judged_elsewhere(found: Sequence[Marks], count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the number of false and of true marks with a probability of 0.5 and more in five photographs, before and
    after marks of five others were judged (2, 2)."""
    order = [found[index] for index in rng.permutation(len(found))[: 2 * PHOTOGRAPHS]]
    odds, values, true = (np.concatenate([marks[k] for marks in order[:PHOTOGRAPHS]]) for k in range(3))
    chosen = rng.permutation(len(true))[:count]
    surprise = true[chosen] - 1 / (1 + np.exp(-odds[chosen]))
    before, others, truths = (np.concatenate([marks[k] for marks in order[PHOTOGRAPHS:]]) for k in range(3))
    after = before + step_of(others @ values[chosen].T, np.full(len(chosen), ELSEWHERE), surprise)
    least = np.log(LIKELY / (1 - LIKELY))
    return np.array([[(shown & ~truths).sum(), (shown & truths).sum()] for shown in (before >= least, after >= least)])


def across(found: Sequence[Marks], count: int, draws: int, rng: np.random.Generator) -> None:
    rows = np.mean([judged_elsewhere(found, count, rng) for _ in range(draws)], axis=0)
    print(f"| {count} marks judged in {PHOTOGRAPHS} photographs: shown in {PHOTOGRAPHS} others | before | after |")
    print("|---|---|---|")
    for name, column in (("false", 0), ("true", 1)):
        print(f"| {name} | {rows[0, column]:.1f} | {rows[1, column]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 20])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--across", type=int, default=30)
    options = parser.parse_args()
    network = load_network(options.ckpt)
    if not isinstance(network, CrackMap):
        parser.error(f"{options.ckpt} is a classifier")
    reader, rng = CrackMapReader(network, engine="auto"), np.random.default_rng(0)
    print("| photographs | judged | AUROC before | after | worst photograph |\n|---|---|---|---|---|")
    for folder in options.folders:
        paths = sorted((folder / "images").iterdir())
        found = [marks_in(reader, path, folder / "masks" / f"{path.stem}.png") for path in paths]
        odds, true = (np.concatenate([marks[k] for marks in found]) for k in (0, 2))
        print(f"| {folder.name}: all {len(true)} marks, {true.sum()} cracks | 0 | {auroc(odds, true):.3f} | | |")
        for count in options.counts:
            rows = []
            for marks in found:
                if len(marks[2]) >= count + 15 and marks[2].sum() >= 3:
                    pairs = [judged_once(marks, count, rng) for _ in range(options.draws)]
                    rows.append(np.mean([pair for pair in pairs if pair], axis=0))
            if rows:
                before, after = np.mean(rows, axis=0)
                worst = min(row[1] - row[0] for row in rows)
                print(f"| {folder.name}, {len(rows)} | {count} | {before:.3f} | {after:.3f} | {worst:+.3f} |")
        across(found, options.across, 20 * options.draws, rng)


if __name__ == "__main__":
    main()
