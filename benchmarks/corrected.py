"""What corrections teach a crack map, simulated with masks and labels, and how long learning takes.

    python benchmarks/corrected.py masks CRACKSIGHT [--corrections 10]
    python benchmarks/corrected.py places SDNET [--seeds 3]
    python benchmarks/corrected.py time PHOTOGRAPHS [--corrections 200]

masks: CRACKSIGHT holds images/ and masks/. Of each photograph the largest mistakes are corrected as a person would in
the page, until there are that many corrections; the head that they teach is judged on the others of its structure.
The structures are the numbers up to 600 and those above: the set does not name them.
places: SDNET holds Decks/ Walls/ Pavements/ and second_labels.csv; its tiles are put together to photographs again.
Places are corrected by the labels of their tiles: half as many that the page ranks first, against places at random, in
one half of the photographs, and the AUROC of the tiles of the other half, both ways.
time: cracks of photographs are accepted and rejected in turn; the median time of `relearn` without reading pixels.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from crack_maps import agreed, odds_of
from PIL import Image
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.corrections.journal import JOURNAL, Journal
from crack_lightning.corrections.lines import lines_near, near
from crack_lightning.corrections.record import active
from crack_lightning.data.images.reading import read_image
from crack_lightning.evaluation.cells import CellCounts, counted_cells, masked_cells, total
from crack_lightning.inference.crack_maps import CrackMapReader, followed, followed_cells
from crack_lightning.inference.photographs import Scale
from crack_lightning.measurement.paths import length_of
from crack_lightning.measurement.skeletons import skeleton_of
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.runs.inspection import inspect_photograph
from crack_lightning.runs.project.attention import Place, places_of
from crack_lightning.runs.project.cracks import correct, shown_cracks
from crack_lightning.runs.project.folder import Project, open_project
from crack_lightning.runs.project.options import ServeOptions
from crack_lightning.runs.project.photographs import load_photographs
from crack_lightning.runs.project.relearning import relearn

TOLERANCE, TOLERANCE_PX = 2, 8.0
LEAST_PX = 24.0  # of a missed crack or of a false part
TILE_PX, TILES_ACROSS = 256, 18
ERASER_PX = 4.0


def project_of(folder: Path, source: Path) -> Project:
    """A project over `source`, inspected."""
    options = ServeOptions(
        ckpt_path=None,
        source=str(source),
        host="127.0.0.1",
        port=0,
        open=False,
        token=False,
        device="cpu",
        engine="auto",
        threshold=None,
        mm_per_px=None,
        width_classes="ec2",
        min_length_px=None,
        max_megapixels=200.0,
        max_upload_mb=200.0,
        max_photographs=10_000,
        cache_dir=None,
    )
    project = open_project(options, folder)
    load_photographs(project)
    for key, photograph in project.photographs.items():
        project.inspected[key] = inspect_photograph(photograph, folder, project.inspection)
    return project


def forget(project: Project) -> None:
    """Start the journal again."""
    (project.folder / JOURNAL).unlink(missing_ok=True)
    project.journal = Journal(project.folder / JOURNAL)


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
    return counted_cells(followed_cells(odds, 0.0), masked_cells(mask), tolerance=TOLERANCE)


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


def photographs_of(root: Path, folder: Path) -> dict[str, dict[tuple[int, int], bool]]:
    """Put the tiles of SDNET2018 together again, into `folder`; of each photograph the labels by row and column."""
    labels = {path: label for members in agreed(root / "second_labels.csv", root).values() for path, label in members}
    members = dict[str, list[Path]]()
    for path in sorted(root.glob("*/*/*.jpg")):
        members.setdefault(f"{path.parts[-3]}_{path.stem.partition('-')[0]}", []).append(path)
    found = dict[str, dict[tuple[int, int], bool]]()
    for name, paths in members.items():
        places = {path: divmod(int(path.stem.partition("-")[2]) - 1, TILES_ACROSS) for path in paths}
        rows = max(row for row, _ in places.values()) + 1
        whole = Image.new("RGB", (TILES_ACROSS * TILE_PX, rows * TILE_PX))
        for path, (row, column) in places.items():
            whole.paste(Image.open(path), (column * TILE_PX, row * TILE_PX))
        whole.save(folder / f"{name}.png", compress_level=1)
        found[f"{name}.png"] = {place: bool(labels[path]) for path, place in places.items() if path in labels}
    return found


def say(project: Project, place: Place, labels: dict[tuple[int, int], bool]) -> bool:
    """Correct a place by the label of the tile that its middle lies in; whether that is known."""
    x, y = place.middle
    cracked = labels.get((int(y // TILE_PX), int(x // TILE_PX)))
    if cracked is None:
        return False
    line = place.line.tolist()
    facts = {"kind": "draw", "stroke": line} if cracked else {"kind": "reject", "lines": [line]}
    try:
        correct(project, {**facts, "photograph": place.photograph})
    except ValueError:
        return False
    return True


def auroc(
    network: CrackMap, project: Project, keys: Sequence[str], labels: dict[str, dict[tuple[int, int], bool]]
) -> float:
    """Of the tiles of photographs, by the highest probability in each."""
    reader, scores, truth = CrackMapReader(network, engine="auto"), list[float](), list[int]()
    for key in keys:
        photograph = project.photograph(key)
        heat = followed(reader.heat(reader.scaled(read_image(photograph.path), Scale(TILE_PX))), 0.5)
        for (row, column), cracked in labels[photograph.name].items():
            box = (column * TILE_PX, row * TILE_PX, (column + 1) * TILE_PX, (row + 1) * TILE_PX)
            scores.append(heat.of_tile(box))
            truth.append(int(cracked))
    return float(binary_auroc(torch.tensor(scores), torch.tensor(truth)))


def ranked(project: Project, keys: Sequence[str], count: int, labels: dict[str, dict[tuple[int, int], bool]]) -> None:
    """Correct `count` places of these photographs, always what the page would show next."""
    done = 0
    refused = set[tuple[str, tuple[float, float]]]()
    while done < count:
        corrections = active(project.journal.corrections)
        best = [
            place
            for key in keys
            for place in places_of(project, key, corrections)[: 1 + len(refused)]
            if (place.photograph, place.middle) not in refused
        ]
        if not best:
            return
        place = max(best, key=lambda each: each.value)
        if say(project, place, labels[place.photograph]):
            done += 1
        else:
            refused.add((place.photograph, place.middle))


def at_random(
    project: Project, keys: Sequence[str], count: int, labels: dict[str, dict[tuple[int, int], bool]], seed: int
) -> None:
    """Correct `count` places of these photographs, each as likely as any other."""
    places = [place for key in keys for place in places_of(project, key, [])]
    done = 0
    for number in np.random.default_rng(seed).permutation(len(places)):
        place = places[int(number)]
        done += say(project, place, labels[place.photograph])
        if done == count:
            return


def places(root: Path, seeds: int, folder: Path) -> None:
    """A row for each half that is judged."""
    (folder / "whole").mkdir()
    labels = photographs_of(root, folder / "whole")
    project = project_of(folder / "project", folder / "whole")
    keys = sorted(project.photographs, key=lambda key: project.photographs[key].name)
    columns = ("judged half", "no correction", "25 ranked", "50 ranked", "25 at random", "50 at random")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for half in (keys[0::2], keys[1::2]):
        other = [key for key in keys if key not in half]
        row = [auroc(project.network, project, half, labels)]
        for count in (25, 50):
            forget(project)
            ranked(project, other, count, labels)
            row.append(auroc(relearn(project).network, project, half, labels))
        for count in (25, 50):
            found = []
            for seed in range(seeds):
                forget(project)
                at_random(project, other, count, labels, seed)
                found.append(auroc(relearn(project).network, project, half, labels))
            row.append(float(np.mean(found)))
        print(f"| {len(half)} photographs | {' | '.join(f'{value:.4f}' for value in row)} |", flush=True)


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
    for what, count in (("masks", 10), ("places", 0), ("time", 200)):
        command = commands.add_parser(what)
        command.add_argument("root", type=Path)
        if count:
            command.add_argument("--corrections", type=int, default=count)
        else:
            command.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "masks":
            masks(arguments.root, arguments.corrections, Path(folder))
        elif arguments.what == "places":
            places(arguments.root, arguments.seeds, Path(folder))
        else:
            timed(arguments.root, arguments.corrections, Path(folder))


if __name__ == "__main__":
    main()
