"""The engines against each other: frozen features, crack maps, and what eight bits lose.

    python benchmarks/engines.py features METU [--count 800]
    python benchmarks/engines.py map PHOTOGRAPH
    python benchmarks/engines.py int8 CHECKPOINT METU [--count 1000]

`features`: images a second of MobileNetV2 at 180 px by each engine, in turn, three times; ratios are to the network's
own layers (eager), within each round. `map`: seconds from the open photograph to the probabilities of cells by the map
of the package. `int8`: accuracy, AUROC and F1 of a checkpoint on patches in Negative/ and Positive/ with 32 bits, and
with eight bits as `export precision=int8` quantises, with one step for each layer (per tensor), and with eight bits in
all layers; calibrated on every second picture, judged on the others.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.engines.exports import onnx_bytes
from crack_lightning.engines.int8 import fine_layers, quantised
from crack_lightning.engines.onnx import onnx_step
from crack_lightning.engines.pick import folded_engine, onnx_engine, openvino_engine
from crack_lightning.engines.portable import portable
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
from crack_lightning.models.classifier import build_classifier
from crack_lightning.models.decision import Decision
from crack_lightning.models.package_map import package_map

ROUNDS, BATCH, CALIBRATED = 3, 64, 240
CLASSES = ("Negative", "Positive")


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def pictures(root: Path, count: int, size: int) -> tuple[Tensor, Tensor]:
    """`count` pictures of both classes in random order, and their labels."""
    found = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((root / name).iterdir())]
    chosen, transform = random.Random(0).sample(found, count), plain_transform(size)
    images = torch.stack([transform(read_image(path)) for path, _ in chosen])
    return images, torch.tensor([label for _, label in chosen])


def in_turn(contestants: dict[str, Callable[[], object]], unit: float) -> dict[str, list[float]]:
    """`unit` by the seconds of each, ROUNDS times by turns."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            started_s = time.perf_counter()
            contestant()
            found[name].append(unit / (time.perf_counter() - started_s))
    return found


def features(root: Path, count: int) -> None:
    decision = Decision(CLASSES, CLASSES[1])
    options = {"image_size": 180, "dropout": 0.0, "freeze": True, "decision": decision}
    classifier = build_classifier(backbone="mobilenet_v2", weights="IMAGENET1K_V1", **options).eval()
    images, _ = pictures(root, count, 180)
    engines = {
        "eager": classifier.pooled,
        "folded": folded_engine(classifier),
        "onnxruntime": onnx_engine(classifier),
        "openvino": openvino_engine(classifier),
    }
    with torch.no_grad():
        contestants = {name: _all_of(engine, images) for name, engine in engines.items()}
        rates = in_turn(contestants, count)
    print("| engine | images a second | times as fast as eager |\n|---|---|---|")
    for name, values in rates.items():
        ratios = [own / eager for own, eager in zip(values, rates["eager"], strict=True)]
        print(f"| {name} | {spread(values, 0)} | {spread(ratios, 2)} |")


def _all_of(engine: Callable[[Tensor], Tensor], images: Tensor) -> Callable[[], object]:
    return lambda: [engine(batch) for batch in images.split(BATCH)]


def whole_map(photograph: Path) -> None:
    image, network = read_image(photograph), package_map()
    readers = {name: CrackMapReader(network, engine=name) for name in ("eager", "folded", "onnxruntime", "openvino")}
    contestants = {name: _mapped(reader, image) for name, reader in readers.items()}
    rates = in_turn(contestants, 1.0)
    print(f"{image.width}x{image.height}\n| engine | seconds | times as fast as eager |\n|---|---|---|")
    for name, values in rates.items():
        ratios = [own / eager for own, eager in zip(values, rates["eager"], strict=True)]
        print(f"| {name} | {spread([1 / value for value in values], 2)} | {spread(ratios, 2)} |")


def _mapped(reader: CrackMapReader, image: object) -> Callable[[], object]:
    return lambda: reader.heat(reader.scaled(image, WindowScale(227.0)))  # type: ignore[arg-type]


def int8(checkpoint: Path, root: Path, count: int) -> None:
    classifier = classifier_from(read_checkpoint(checkpoint), checkpoint)
    images, labels = pictures(root, count, classifier.image_size)
    calibrating, judged, truth = images[::2][:CALIBRATED], images[1::2], labels[1::2]
    module = portable(classifier)
    content, keep = onnx_bytes(module), fine_layers(module, images[:1])
    variants = {
        "float32": content,
        "int8, as exported": _quantised(content, calibrating, keep=keep),
        "int8, a step for each layer": _quantised(content, calibrating, keep=keep, per_channel=False),
        "int8, all layers": _quantised(content, calibrating, keep=0),
        "int8, all layers, a step for each": _quantised(content, calibrating, keep=0, per_channel=False),
    }
    print(f"{len(judged)} patches judged, {keep} layers keep 32 bits")
    print(
        "| | accuracy | AUROC | F1 | mean difference of a logit, as a share of their deviation |\n|---|---|---|---|---|"
    )
    first = None
    for name, each in variants.items():
        answer = onnx_step(each, one_size=True)
        found = torch.cat([answer(batch) for batch in judged.split(4)])[:, classifier.decision.positive_index]
        figures = binary_metrics(classifier.decision, prefix="")(found, truth)
        logits = torch.logit(found.double(), eps=1e-15)
        first = logits if first is None else first
        differ = ((logits - first).abs().mean() / first.std()).item()
        shown = " | ".join(f"{figures[key].item():.4f}" for key in ("accuracy", "auroc", "f1"))
        print(f"| {name} | {shown} | {differ:.3f} |", flush=True)


def _quantised(content: bytes, images: Tensor, *, keep: int, per_channel: bool = True) -> bytes:
    batches: list[np.ndarray] = [batch.numpy() for batch in images.split(4)]
    return quantised(content, batches, keep=keep, per_channel=per_channel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, arguments in (("features", ["root"]), ("map", ["photograph"]), ("int8", ["checkpoint", "root"])):
        verb = verbs.add_parser(name)
        for argument in arguments:
            verb.add_argument(argument, type=Path)
        verb.add_argument("--count", type=int, default=800)
    options = parser.parse_args()
    if options.verb == "features":
        features(options.root, options.count)
    elif options.verb == "map":
        whole_map(options.photograph)
    else:
        int8(options.checkpoint, options.root, options.count)


if __name__ == "__main__":
    main()
