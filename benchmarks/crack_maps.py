"""A crack map, the package's or another, on photographs with masks and on patches with labels.

    python benchmarks/crack_maps.py --masks deepcrack:1 --masks cracksight:2 --patches Negative:Positive ...

A folder of --masks holds images/ and masks/ (white is crack, names alike); behind the colon stands the tolerance in
cells of 4 px. F1 of cells: at its own threshold, and with the threshold chosen on every second photograph and judged on
the others, both ways; and the number of false marks at the level where 80 % of the cells are found. --patches names a
folder of sound patches and one of cracked ones, with a colon between them; --tiles CSV FOLDER judges tiles of SDNET2018
on which two columns of labels agree, by kind of surface.
--photographs FOLDER judges the tiles of whole photographs by what `inspect` writes into tiles.csv; its tiles.csv has
photo, row, col and label of tiles of TILE_PX.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.data.images.reading import read_image
from crack_lightning.evaluation.cell_counts import counted_cells, masked_cells, near, total
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.grouping import LEAST_CELLS, crack_cells, keep_cracks
from crack_lightning.inference.patch_scores import map_logits
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network

LEVELS = np.linspace(-2.5, 4.0, 53)  # log-odds beside the map's own
TILE_PX, TILE_MM = 256, 59.9  # of SDNET2018
RECALL, FALSE_ALARMS, FOUND = 0.9, 0.05, 0.8
EIGHT = np.ones((3, 3), bool)
Pair = tuple[np.ndarray, np.ndarray]  # log-odds and truth (h, w) of cells


def odds_of(reader: CrackMapReader, image: Image.Image) -> np.ndarray:
    """Log-odds of the cells of a photograph, 0 at the map's own threshold."""
    found: np.ndarray = reader.above_median(reader.prepared(image)).numpy() - reader.classifier.level
    return found


def masks(reader: CrackMapReader, folder: Path, tolerance: int, enlarged: int) -> str:
    """A row of the table; photographs and masks are `enlarged` that many times first."""
    paths = sorted((folder / "images").iterdir())
    counts, pairs = [], list[Pair]()
    for path in paths:
        image, mask = read_image(path), Image.open(folder / "masks" / f"{path.stem}.png").convert("L")
        size = image.width * enlarged, image.height * enlarged
        truth = masked_cells(np.asarray(mask.resize(size, Image.Resampling.NEAREST)) > 127)
        odds = odds_of(reader, image if enlarged == 1 else image.resize(size, Image.Resampling.BICUBIC))
        pairs.append((odds, truth))
        counts.append([counted_cells(crack_cells(odds, level), truth, tolerance=tolerance) for level in LEVELS])
    own = total(row[int(np.abs(LEVELS).argmin())] for row in counts)
    halves = [counts[0::2], counts[1::2]]
    best = [int(np.argmax([total(row[k] for row in half).f1 for k in range(len(LEVELS))])) for half in halves]
    crossed = [total(row[best[1 - k]] for row in half).f1 for k, half in enumerate(halves)]
    cells = f"{own.f1:.3f} | {own.precision:.2f}, {own.recall:.2f} | {crossed[0]:.3f}, {crossed[1]:.3f}"
    recalls = [total(row[k] for row in counts).recall for k in range(len(LEVELS))]
    level = max((k for k, recall in enumerate(recalls) if recall >= FOUND), default=0)
    false = sum(false_marks(odds, truth, float(LEVELS[level]), tolerance) for odds, truth in pairs)
    return f"| {folder.name}, {len(paths)} photographs, tolerance {tolerance} | {cells} | {false} |"


def false_marks(odds: np.ndarray, truth: np.ndarray, level: float, tolerance: int) -> int:
    """Connected marks of LEAST_CELLS and more of which most cells are beside cracks."""
    marked = crack_cells(odds, level)
    groups, count = ndimage.label(ndimage.binary_dilation(marked, EIGHT), EIGHT)
    sizes, right = (
        np.bincount(groups[cells], minlength=count + 1) for cells in (marked, marked & near(truth, tolerance))
    )
    return int(((sizes >= LEAST_CELLS) & (right < 0.5 * sizes)).sum())


def auroc(network: CrackMap, paths: Sequence[Path], cracked: Sequence[int]) -> float:
    """Of the log-odds of patches; the positive class of the package is its second."""
    logits = map_logits(CrackMapReader(network, engine="auto", patches=True), paths).logits.double()
    scores = logits[:, 1] - logits[:, 0]
    return float(binary_auroc(scores, torch.tensor(cracked)))


def patches(network: CrackMap, sound: Path, cracked: Path) -> str:
    """A row of the table."""
    files = [sorted(folder.glob("*.jpg")) for folder in (sound, cracked)]
    labels = [0] * len(files[0]) + [1] * len(files[1])
    return f"| {sound.parent.name}, {len(labels)} patches | {auroc(network, [*files[0], *files[1]], labels):.4f} |"


def agreed(table: Path, folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """Tiles and labels of each kind of surface on which the two lists agree."""
    kinds = defaultdict[str, list[tuple[Path, int]]](list)
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == row["second"]:
                kinds[row["path"].split("/")[0]].append((folder / row["path"], int(row["label"])))
    return kinds


def tiles(network: CrackMap, table: Path, folder: Path) -> list[str]:
    """A row for each kind of surface."""
    rows = []
    for kind, members in sorted(agreed(table, folder).items()):
        paths, labels = zip(*members, strict=True)
        rows.append(f"| {kind}, {len(labels)} tiles | {auroc(network, paths, labels):.4f} |")
    return rows


def photographs(network: CrackMap, folder: Path) -> str:
    """A row of the table: the highest probability within each tile, as tiles.csv has it, against its label."""
    reader, cracked, probabilities = CrackMapReader(network, engine="auto"), list[bool](), list[float]()
    with (folder / "tiles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in dict.fromkeys(row["photo"] for row in rows):
        heat = reader.heat(reader.scaled(read_image(folder / name), WindowScale(TILE_PX)))
        marked = keep_cracks(heat, network.marking_decision.threshold)
        for row in rows:
            if row["photo"] == name:
                left, top = int(row["col"]) * TILE_PX, int(row["row"]) * TILE_PX
                probabilities.append(marked.of_tile((left, top, left + TILE_PX, top + TILE_PX)))
                cracked.append(row["label"] == "Cracked")
    scores, truth = np.array(probabilities), np.array(cracked)
    area_m2 = (~truth).sum() * (TILE_MM / 1000) ** 2
    alarms = (scores[~truth] >= np.quantile(scores[truth], 1 - RECALL)).sum() / area_m2
    recall = (scores[truth] > np.quantile(scores[~truth], 1 - FALSE_ALARMS)).mean()
    found = float(binary_auroc(torch.from_numpy(scores), torch.from_numpy(truth).long()))
    return f"| {folder.name}, {len(truth)} tiles | {found:.3f} | {alarms:.0f} | {recall:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, help="of a crack map; left out: the package's")
    parser.add_argument("--masks", action="append", default=[], metavar="FOLDER:TOLERANCE")
    parser.add_argument("--enlarged", type=int, default=1, help="times; wide gaps of large photographs are rare")
    parser.add_argument("--patches", action="append", default=[], metavar="SOUND:CRACKED")
    parser.add_argument("--tiles", nargs=2, type=Path, metavar=("CSV", "FOLDER"))
    parser.add_argument("--photographs", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    network = load_network(arguments.ckpt)
    if not isinstance(network, CrackMap):
        parser.error(f"{arguments.ckpt} is a classifier")
    reader = CrackMapReader(network, engine="auto")
    print(
        f"| photographs | F1 | precision, recall | F1 at the threshold of the other half | false, {FOUND:.0%} found |"
    )
    print("|---|---|---|---|---|")
    for given in arguments.masks:
        folder, _, tolerance = given.rpartition(":")
        print(masks(reader, Path(folder), int(tolerance), arguments.enlarged), flush=True)
    print("\n| patches | AUROC |\n|---|---|")
    for given in arguments.patches:
        print(patches(network, *map(Path, given.split(":"))), flush=True)
    if arguments.tiles:
        print("\n".join(tiles(network, *arguments.tiles)))
    if arguments.photographs:
        print("\n| tiles of photographs | AUROC | false alarms a square metre at 90 % recall | recall at 5 % |")
        print("|---|---|---|---|")
        print(photographs(network, arguments.photographs))


if __name__ == "__main__":
    main()
