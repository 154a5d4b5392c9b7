"""How many stored views of each training image are worth their time: test figures against seconds.

    python benchmarks/views.py --metu METU --sdnet SDNET [--views 1 2 5] [--seeds 3]

METU holds Negative/ and Positive/; SDNET holds surfaces, each with Non-cracked/ and Cracked/, which are taken together.
Each number of views is trained with every seed from an empty cache; the seed moves split, augmentation and training. A
table of mean (lowest to highest) is printed, and as many views as epochs stand for training on the pictures themselves.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FIGURES = ("test/accuracy", "test/f1", "test/average_precision", "test/loss")


def merged(surfaces: Path, folder: Path) -> Path:
    """One folder a class with links to the images of all surfaces."""
    for path in sorted(surfaces.glob("*/*/*")):
        link = folder / path.parent.name / f"{path.parents[1].name}-{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return folder


def measure(overrides: list[str], *, views: int, seeds: int) -> tuple[float, list[dict[str, str]]]:
    """Seconds a run, and the rows of sweep.csv."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as sweep:
        words = [
            *(sys.executable, "train.py", "-m", "figures=false", "logger=none", f"features.views={views}"),
            *(f"seed={','.join(map(str, range(seeds)))}", f"out={sweep}", *overrides),
        ]
        started_s = time.perf_counter()
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        subprocess.run(words, cwd=REPOSITORY, check=True, capture_output=True, env=environment)
        seconds = (time.perf_counter() - started_s) / seeds
        with (Path(sweep) / "sweep.csv").open() as file:
            return seconds, list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metu", type=Path)
    parser.add_argument("--sdnet", type=Path)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="such as trainer.max_epochs=20")
    options = parser.parse_args()
    print("| data | views | seconds a run |", " | ".join(FIGURES), "|\n|" + "---|" * (3 + len(FIGURES)))
    with tempfile.TemporaryDirectory() as folder:
        sets = {"metu": [f"data.root={options.metu.absolute()}"]} if options.metu else {}
        if options.sdnet:
            root = merged(options.sdnet.absolute(), Path(folder))
            classes = ["data.class_names=[Non-cracked,Cracked]", "data.positive_class=Cracked"]
            sets["sdnet"] = [f"data.root={root}", *classes]
        for name, overrides in sets.items():
            for views in options.views:
                words = ["data=folder", *overrides, *options.overrides]
                seconds, rows = measure(words, views=views, seeds=options.seeds)
                columns = [[float(row[figure]) for row in rows] for figure in FIGURES]
                cells = [
                    f"{statistics.mean(column):.4f} ({min(column):.4f} to {max(column):.4f})" for column in columns
                ]
                print(f"| {name} | {views} | {seconds:.0f} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
