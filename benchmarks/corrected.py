"""What corrections teach a crack map, simulated with masks, and how long learning takes.

    python benchmarks/corrected.py masks CRACKSIGHT [--corrections 10]
    python benchmarks/corrected.py time PHOTOGRAPHS [--corrections 200]

masks: CRACKSIGHT holds images/ and masks/. Of each photograph the largest mistakes are corrected as a person would in
the page, until there are that many corrections; the head that they teach is judged on the others of its structure.
The structures are the numbers up to 600 and those above: the set does not name them.
time: cracks of photographs are accepted and rejected in turn; the median time of `relearn` without reading pixels.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from crack_maps import odds_of
from PIL import Image
from projects import forget, project_of

from crack_lightning.corrections.correction import active
from crack_lightning.corrections.lines import lines_near, near
from crack_lightning.data.images.reading import read_image
from crack_lightning.evaluation.cell_counts import CellCounts, counted_cells, masked_cells, total
from crack_lightning.inference.crack_maps import CrackMapReader, crack_cells
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.skeletons import skeleton_of
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import relearn
from crack_lightning.project.shown_cracks import correct, shown_cracks

TOLERANCE, TOLERANCE_PX = 2, 8.0
LEAST_PX = 24.0  # of a missed crack or of a false part
ERASER_PX = 4.0


def mistakes(project: Project, key: str, mask: np.ndarray) -> list[tuple[float, dict[str, object]]]:
    """Corrections of a photograph by its mask (h, w), each with the pixels at stake: mistakes first, the largest first,
    then what is right."""
    truth = skeleton_of(masked_cells(mask), masked_cells(mask).astype(float))
    real = [(points[:, ::-1] + 0.5) * CELL_PX for points in truth.branches if len(points) > 1]
    tree, wrong, right = (
        lines_near(real),
        list[tuple[float, dict[str, object]]](),
        list[tuple[float, dict[str, object]]](),
    )
    cracks = shown_cracks(project, key)
    for one in cracks:
        points = np.concatenate(list(one.record.lines))
        false = ~near(points, tree, TOLERANCE_PX)
        length_px = one.record.length_px
        if false.mean() > 0.7:
            wrong.append((length_px, {"kind": "reject", "crack": one.name}))
            continue
        right.append((length_px, {"kind": "accept", "crack": one.name}))
        for line in one.record.lines:
            apart = ~near(line, tree, TOLERANCE_PX)
            if apart.sum() > 1 and (long := length_of(line[apart])) >= LEAST_PX:
                wrong.append((long, {"kind": "erase", "stroke": line[apart].tolist(), "radius_px": ERASER_PX}))
    shown = lines_near([line for one in cracks for line in one.record.lines])
    for line in real:
        missed = ~near(line, shown, TOLERANCE_PX)
        if missed.sum() > 1 and (long := length_of(line[missed])) >= LEAST_PX:
            wrong.append((long, {"kind": "draw", "stroke": line[missed].tolist()}))
    return sorted(wrong, key=lambda pair: -pair[0]) + sorted(right, key=lambda pair: -pair[0])


def apply(project: Project, key: str, wanted: Sequence[dict[str, object]]) -> None:
    """Correct a photograph; what an earlier correction made impossible is left out."""
    name = project.photograph(key).name
    for facts in wanted:
        try:
            correct(project, {**facts, "photograph": name})
        except ValueError as error:
            print(f"<!-- {name}: {facts['kind']} not possible: {error} -->")


def counts_of(network: CrackMap, path: Path, mask: np.ndarray) -> CellCounts:
    """Of a photograph, with the tolerance of crack_maps.py."""
    odds = odds_of(CrackMapReader(network, engine="folded"), read_image(path))
    return counted_cells(crack_cells(odds, 0.0), masked_cells(mask), tolerance=TOLERANCE)


def masks(root: Path, count: int, folder: Path) -> None:
    """A row for each photograph that is corrected."""
    project = project_of(folder, root / "images")
    names = {key: photograph.path for key, photograph in project.photographs.items()}
    truth = {
        key: np.asarray(Image.open(root / "masks" / f"{path.stem}.png").convert("L")) > 127
        for key, path in names.items()
    }
    before = {key: counts_of(project.network, path, truth[key]) for key, path in names.items()}
    structure = {key: int(path.stem.rpartition("_")[2]) > 600 for key, path in names.items()}
    print("| corrected | corrections | F1 of the others before | after | change |\n|---|---|---|---|---|")
    changes = []
    for key, path in names.items():
        forget(project)
        apply(project, key, [facts for _, facts in mistakes(project, key, truth[key])[:count]])
        network = relearn(project).network
        others = [other for other in names if other != key and structure[other] == structure[key]]
        old = total(before[other] for other in others).f1
        new = total(counts_of(network, names[other], truth[other]) for other in others).f1
        changes.append(new - old)
        made = len(active(project.journal.corrections))
        print(f"| {path.stem} | {made} | {old:.4f} | {new:.4f} | {new - old:+.4f} |", flush=True)
    better = sum(change > 0 for change in changes)
    print(f"\nbetter in {better} of {len(changes)}, mean {np.mean(changes):+.4f}, worst {min(changes):+.4f}")


def timed(source: Path, count: int, folder: Path) -> None:
    """The median of five."""
    project = project_of(folder, source)
    made = 0
    for key in project.photographs:
        for one in shown_cracks(project, key):
            if made < count:
                facts = {"kind": ("accept", "reject")[made % 2], "photograph": project.photograph(key).name}
                correct(project, {**facts, "crack": one.name})
                made += 1
    began_s = time.perf_counter()
    proposal = relearn(project)
    first_s = time.perf_counter() - began_s
    seconds = [relearn(project).seconds for _ in range(5)]
    print(
        f"{made} corrections of {proposal.photographs} photographs: the first time {first_s:.1f} s with reading pixels,"
    )
    print(f"after that {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for what, count in (("masks", 10), ("time", 200)):
        command = commands.add_parser(what)
        command.add_argument("root", type=Path)
        command.add_argument("--corrections", type=int, default=count)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure = masks if arguments.what == "masks" else timed
        measure(arguments.root, arguments.corrections, Path(folder))


if __name__ == "__main__":
    main()
