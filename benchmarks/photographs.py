"""Whole photographs and folders of patches, against what one would write without this project; and how good it is.

python benchmarks/photographs.py speed CHECKPOINT PHOTOGRAPH PATCHES [--ways ...]
    each way in a process of its own, by turns
python benchmarks/photographs.py quality CHECKPOINT PHOTOGRAPHS   a folder with tiles.csv: photo, row, col, label
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.classification import binary_auroc
from torchvision.transforms import v2

from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.geometry import Grid
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.photographs import PhotographReader, WindowScale, window_px
from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
from crack_lightning.models.classifier import CrackClassifier

SIZE = (4032, 3024)  # 12 megapixels, as telephones have them
PATCHES, BATCH = 4000, 64
FALSE_ALARMS = 0.05
PLAIN_PREDICT = Path(__file__).with_name("plain_predict.py")
PREDICTS = ("predict", "predict, OpenVINO")
WAYS = ("heat map, ONNX Runtime", "heat map, folded", "sliding window", *PREDICTS, "plain script")


def window_of(classifier: CrackClassifier) -> float:
    """Pixels of a window at the training scale."""
    return window_px(classifier, tile_px=None, mm_per_px=None)


def heat_map(checkpoint: Path, photograph: Path, engine: str) -> None:
    """A photograph's file to its heat map, once."""
    classifier = classifier_from(read_checkpoint(checkpoint), checkpoint)
    reader = PhotographReader(classifier, engine=engine)
    scale = WindowScale(window_of(classifier))
    reader.heat(reader.scaled(Image.new("RGB", (600, 600)), scale))  # export and folding are done once a run
    timed(lambda: reader.heat(reader.scaled(read_image(photograph), scale)))


def plain_network(checkpoint: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as torchvision has it: whole batches, and not the order in memory that this project gives it."""
    classifier = classifier_from(read_checkpoint(checkpoint), checkpoint).to(memory_format=torch.contiguous_format)

    def compute(pictures: torch.Tensor) -> torch.Tensor:
        features = classifier.features(classifier.normalise(pictures))
        return classifier.classify(classifier.pool(features).flatten(1))

    return compute


def sliding_window(checkpoint: Path, photograph: Path) -> None:
    """The same pitch by crops, resized and judged batch by batch as a plain script would."""
    classifier, network = classifier_from(read_checkpoint(checkpoint), checkpoint), plain_network(checkpoint)
    side = round(window_of(classifier))
    grid = grid_for(classifier, photograph)
    down, across = grid.px_per_scaled_hw

    @torch.no_grad()
    def work() -> None:
        image = Image.open(photograph).convert("RGB")
        corners = [
            (round(column * grid.stride * across), round(row * grid.stride * down))
            for row in range(grid.windows_hw[0])
            for column in range(grid.windows_hw[1])
        ]
        transform = v2.Compose([v2.PILToTensor(), v2.Resize((classifier.image_size,) * 2, antialias=True)])
        for start in range(0, len(corners), BATCH):
            crops = [image.crop((x, y, x + side, y + side)) for x, y in corners[start : start + BATCH]]
            network(torch.stack([transform(crop) for crop in crops]))

    timed(work)


def grid_for(classifier: CrackClassifier, photograph: Path) -> Grid:
    """The grid of a file."""
    reader = PhotographReader(classifier, engine="eager")
    return reader.scaled(read_image(photograph), WindowScale(window_of(classifier)))[0].grid


def command(*arguments: object) -> None:
    """A process of its own, from its start to its end."""
    words = [sys.executable, *map(str, arguments)]
    timed(lambda: subprocess.run(words, check=True, capture_output=True))


def timed(work: Callable[[], object]) -> None:
    """Seconds and the peak of memory in MiB, of this process or of its child."""
    started_s = time.perf_counter()
    work()
    seconds = time.perf_counter() - started_s
    usages = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(seconds, max(usages) / 1024)


def measure(way: str, checkpoint: Path, photograph: Path, patches: Path, work: Path) -> None:
    """One way, in this process."""
    if way.startswith("heat map"):
        heat_map(checkpoint, photograph, "onnxruntime" if "ONNX" in way else "folded")
    elif way == "sliding window":
        sliding_window(checkpoint, photograph)
    elif way in PREDICTS:
        engine = "openvino" if way == "predict, OpenVINO" else "auto"
        options = (f"ckpt_path={checkpoint}", f"source={patches}", f"out={work}/run", f"engine={engine}")
        command("-m", "crack_lightning", "predict", *options)
    else:
        command(PLAIN_PREDICT, checkpoint, patches, work / "plain.csv")


def speed(options: argparse.Namespace) -> None:
    """All ways by turns, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        read_image(options.photograph).resize(SIZE).save(work / "photograph.jpg", quality=92)
        (work / "patches").mkdir()
        for number, path in enumerate(sorted(options.patches.rglob("*.jpg"))[:PATCHES]):
            (work / "patches" / f"{number}.jpg").symlink_to(path.absolute())
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in options.ways}
        for _ in range(options.repeats):
            for way in found:
                arguments = ["measure", way, str(options.checkpoint), str(work)]
                done = subprocess.run(
                    [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
                )
                seconds, memory = map(float, done.stdout.split())
                found[way].append((seconds, memory))
    for way, values in found.items():
        peer = found.get("plain script" if way in (*PREDICTS, "plain script") else "sliding window", values)
        ratios = [theirs[0] / own[0] for own, theirs in zip(values, peer, strict=True)]
        print(f"| {way} | {spread([v[0] for v in values])} | {spread(ratios)} | {spread([v[1] for v in values], 0)} |")


def spread(values: list[float], digits: int = 2) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def quality(options: argparse.Namespace) -> None:
    """Tiles of photographs against their labels, by the map and by crops."""
    classifier = classifier_from(read_checkpoint(options.checkpoint), options.checkpoint)
    readers = {way: PhotographReader(classifier, engine="auto", windows=way) for way in ("map", "crops")}
    side = window_of(classifier)
    with (options.photographs / "tiles.csv").open() as file:
        rows = list(csv.DictReader(file))
    totals: dict[str, list[tuple[float, int]]] = {"map": [], "crops": []}
    for name in dict.fromkeys(row["photo"] for row in rows):
        image = read_image(options.photographs / name)
        heats = {way: reader.heat(reader.scaled(image, WindowScale(side))) for way, reader in readers.items()}
        ranks = [each.probability.ravel().argsort().argsort() for each in heats.values()]
        told = [f"{name}: rank correlation of map and crops {np.corrcoef(ranks[0], ranks[1])[0, 1]:.3f}"]
        labels = [int(row["label"] == "Cracked") for row in rows if row["photo"] == name]
        for way, heat in heats.items():
            values = [tile(heat, int(row["row"]), int(row["col"]), side) for row in rows if row["photo"] == name]
            totals[way] += zip(values, labels, strict=True)
            told.append(f"{way} AUROC {auroc(values, labels):.3f}")
        print(", ".join(told), flush=True)
    for way, pairs in totals.items():
        scores, truth = (np.array(column) for column in zip(*pairs, strict=True))
        threshold = np.quantile(scores[truth == 0], 1 - FALSE_ALARMS)
        recall = (scores[truth == 1] > threshold).mean()
        own = classifier.decision.is_positive(scores)
        area = (truth == 0).sum() * (side * (classifier.mm_per_px or float("nan")) / 1000) ** 2
        print(
            f"{way}, all {len(truth)} tiles: AUROC {auroc(list(scores), list(truth)):.3f}; recall {recall:.3f} at "
            f"{FALSE_ALARMS:.0%} false alarms ({(scores[truth == 0] > threshold).sum() / area:.2f} a square metre); at "
            f"the threshold {classifier.decision.threshold:.3f} recall {own[truth == 1].mean():.3f}, "
            f"{own[truth == 0].sum() / area:.2f} false alarms a square metre of sound surface"
        )


def tile(heat: Heat, row: int, column: int, side: float) -> float:
    """The probability at the middle of a tile."""
    return float(heat.at(np.array([(row + 0.5) * side]), np.array([(column + 0.5) * side]))[0, 0])


def auroc(scores: list[float], labels: list[int]) -> float:
    """Area under the curve of found against false alarms."""
    return float(binary_auroc(torch.tensor(scores), torch.tensor(labels)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fast = verbs.add_parser("speed")
    for name in ("checkpoint", "photograph", "patches"):
        fast.add_argument(name, type=Path)
    fast.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    fast.add_argument("--repeats", type=int, default=3)
    good = verbs.add_parser("quality")
    for name in ("checkpoint", "photographs"):
        good.add_argument(name, type=Path)
    one = verbs.add_parser("measure")
    one.add_argument("way", choices=WAYS)
    one.add_argument("checkpoint", type=Path)
    one.add_argument("work", type=Path)
    options = parser.parse_args()
    if options.verb == "measure":
        work = options.work
        measure(options.way, options.checkpoint, work / "photograph.jpg", work / "patches", work)
    else:
        {"speed": speed, "quality": quality}[options.verb](options)


if __name__ == "__main__":
    main()
