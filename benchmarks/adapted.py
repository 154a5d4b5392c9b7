"""The map of the package against maps adapted to the photographs of a surface, unlabelled, judged on others.

    python benchmarks/adapted.py SDNET [--lessons 800] [--l2 0.5] [--plain]

SDNET holds Decks/ Walls/ Pavements/ and second_labels.csv. Of each surface the photographs are halved; a map is adapted
to the tiles of one half and judged on those of the other on which both labels agree, and the other way round. AUROC of
tiles, package and adapted. With --plain, what nobody drew on a tile is learned as sound.
"""

import argparse
from pathlib import Path

from crack_maps import agreed, auroc

from crack_lightning.models.crack_map import package_map
from crack_lightning.runs.training.map_learning import PRIOR_L2, Surface, train_head


def photograph(path: Path) -> str:
    """The photograph that a tile was cut from."""
    return path.name.split("-")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--lessons", type=int, default=800)
    parser.add_argument("--l2", type=float, default=PRIOR_L2, help="pull towards the head of the package")
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    print("| surface, judged photographs | package | adapted |\n|---|---|---|")
    for kind, members in sorted(agreed(arguments.root / "second_labels.csv", arguments.root).items()):
        names = sorted({photograph(path) for path, _ in members})
        for judged in (names[0::2], names[1::2]):
            surfaces: list[Surface] = [path for path, _ in members if photograph(path) not in judged]
            paths, labels = zip(*(each for each in members if photograph(each[0]) in judged), strict=True)
            network = package_map()
            train_head(
                network,
                surfaces,
                count=arguments.lessons,
                level_count=8,
                seeds=(0,),
                plain=arguments.plain,
                prior_l2=arguments.l2,
            )
            adapted = auroc(network, paths, labels)
            print(
                f"| {kind}, {' '.join(judged)} | {auroc(package_map(), paths, labels):.4f} | {adapted:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
