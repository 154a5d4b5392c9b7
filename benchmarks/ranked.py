"""Corrections of places that the page ranks first, against places at random, simulated with labels.

    python benchmarks/ranked.py SDNET [--seeds 3]

SDNET holds Decks/ Walls/ Pavements/ and second_labels.csv; its tiles are put together to photographs again. Places are
corrected by the labels of their tiles: half as many that the page ranks first, against places at random, in one half of
the photographs, and the AUROC of the tiles of the other half, both ways.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from crack_maps import agreed
from PIL import Image
from projects import forget, project_of
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.corrections.correction import active
from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.crack_maps import CrackMapReader, keep_cracks
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.project.attention import PlaceToLookAt, places_of
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import relearn
from crack_lightning.project.shown_cracks import correct

TILE_PX, TILES_ACROSS = 256, 18


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


def say(project: Project, place: PlaceToLookAt, labels: dict[tuple[int, int], bool]) -> bool:
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
        heat = keep_cracks(reader.heat(reader.scaled(read_image(photograph.path), WindowScale(TILE_PX))), 0.5)
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


def compare(root: Path, seeds: int, folder: Path) -> None:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments.root, arguments.seeds, Path(folder))


if __name__ == "__main__":
    main()
