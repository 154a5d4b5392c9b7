"""Labels of a surface: the crack map that they teach against the classifier that they train, and few labels of many.

    python benchmarks/labelled.py SDNET [--few 20 50 100 200] [--draws 3]

SDNET holds Decks/ Walls/ Pavements/ and second_labels.csv. Of each surface the photographs are halved; the tiles of one
half teach, with the labels of their folders, those of the other are judged on which both labels agree, and the other
way round. AUROC of tiles. The classifier is mobilenet_v2 as train.py has it: tiles at 180 px, its frozen features
averaged, a linear head on them by logistic regression, pulled by L2 as strongly as does best on the judged tiles: it is
given what a run does not have. With --few, random tiles of the one half; the mean over --draws.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from crack_maps import agreed, auroc
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.patches import in_threads, one_core_each
from crack_lightning.models.classifier import CrackClassifier, build_classifier
from crack_lightning.models.decision import Decision
from crack_lightning.models.package_map import package_map
from crack_lightning.runs.training.map_training import scores_and_slopes
from crack_lightning.system.processes import cores
from crack_lightning.training.logistic import fit_logistic
from crack_lightning.training.patch_head import fit_patches

L2 = (0.01, 0.1, 1.0)
Tile = tuple[Path, int]


def photograph(path: Path) -> str:
    """The photograph that a tile was cut from."""
    return path.name.split("-")[0]


def tiles(root: Path) -> dict[str, list[Tile]]:
    """All tiles by surface, labelled by their folders."""
    found = defaultdict[str, list[Tile]](list)
    with (root / "second_labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["path"].split("/")[0]].append((root / row["path"], int(row["label"])))
    return found


def pooled(classifier: CrackClassifier, paths: Sequence[Path]) -> Tensor:
    """Features (n, 1280)."""
    transform = plain_transform(classifier.image_size)

    @torch.no_grad()
    def one(path: Path) -> Tensor:
        return classifier.pooled(transform(read_image(path))[None])[0]

    with one_core_each():
        return torch.stack(list(in_threads(one, paths, cores())))


def by_classifier(classifier: CrackClassifier, taught: Sequence[Tile], judged: Sequence[Tile]) -> float:
    """The best AUROC of the classifier over L2."""
    x, other = (pooled(classifier, [path for path, _ in some]) for some in (taught, judged))
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-3
    targets, truth = (torch.tensor([label for _, label in some]) for some in (taught, judged))
    found = []
    for l2 in L2:
        start, pull = torch.zeros(x.shape[1] + 1), torch.full((x.shape[1] + 1,), l2)
        counts = torch.full((len(x),), 1 / len(x))
        w = fit_logistic((x - mean) / deviation, targets.float(), counts, start=start, pull=pull)
        found.append(float(binary_auroc(((other - mean) / deviation @ w[:-1]).double(), truth)))
    return max(found)


def by_map(scores: Tensor, slopes: Tensor, taught: Sequence[Tile], judged: Sequence[Tile]) -> float:
    """AUROC of the map that these tiles teach."""
    network = package_map()
    targets = torch.tensor([float(label) for _, label in taught])
    groups = [photograph(path) for path, _ in taught]
    fit = fit_patches(scores, slopes, targets, groups, level=network.patch_level, scale=network.patch_scale)
    network.patch_weight += fit.change
    return auroc(network, *zip(*judged, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--few", type=int, nargs="*", default=[20, 50, 100, 200])
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    decision = Decision(("sound", "cracked"), "cracked")
    classifier = build_classifier(
        backbone="mobilenet_v2", weights="IMAGENET1K_V1", decision=decision, image_size=180, dropout=0.0, freeze=True
    ).eval()
    few = " | ".join(f"{count} labels" for count in arguments.few)
    print(f"| judged photographs | classifier | no label | {few} | all labels |")
    print("|---" * (4 + len(arguments.few)) + "|")
    everything = tiles(arguments.root)
    for kind, members in sorted(agreed(arguments.root / "second_labels.csv", arguments.root).items()):
        names = sorted({photograph(path) for path, _ in everything[kind]})
        for out in (names[0::2], names[1::2]):
            taught = [each for each in everything[kind] if photograph(each[0]) not in out]
            judged = [each for each in members if photograph(each[0]) in out]
            scores, slopes = scores_and_slopes(package_map(), [path for path, _ in taught])
            row = [by_classifier(classifier, taught, judged), auroc(package_map(), *zip(*judged, strict=True))]
            for count in arguments.few:
                draws = [np.random.default_rng(k).permutation(len(taught))[:count] for k in range(arguments.draws)]
                found = [by_map(scores[d], slopes[d], [taught[i] for i in d], judged) for d in draws]
                row.append(float(np.mean(found)))
            row.append(by_map(scores, slopes, taught, judged))
            print(f"| {kind}, {' '.join(out)} | {' | '.join(f'{value:.3f}' for value in row)} |", flush=True)


if __name__ == "__main__":
    main()
