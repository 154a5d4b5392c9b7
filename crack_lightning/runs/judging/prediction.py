"""Writes a table of predictions for patches, by a checkpoint or by the package's crack map."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_lightning.data.images.reading import Picture
from crack_lightning.inference.patch_scores import judge_patches
from crack_lightning.inference.patches import Judging, pick_device
from crack_lightning.inference.sources import find_photographs, log_left_out
from crack_lightning.models.crack_map import Network
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.judging.options import PredictOptions
from crack_lightning.system.files import write_atomically, write_csv
from crack_lightning.system.names import plural
from crack_lightning.system.processes import interrupt_message

log = logging.getLogger(__name__)

PATCH_FACTOR = 2  # a picture may be this many times as large or as small as the training patches
HEADER = ["path", "predicted", "probability", "review", "error"]


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture: the class, the probability of the positive class, and whether it needs review.

    `error` says why the picture could not be read; then there is no class and no probability. `path` is empty for a
    picture from memory.
    """

    path: str
    label: str
    probability: float
    needs_review: bool
    error: str = ""

    def __str__(self) -> str:
        name = self.path or "picture"
        review = ", needs review" if self.needs_review else ""
        return f"{name}: {self.error or f'{self.label} ({self.probability:.4f}){review}'}"


def predict_patches(options: PredictOptions, folder: Path) -> int:
    """Writes predictions.csv into `folder`, one row per file; returns how many files could not be read.

    Raises UserError or OSError if there are no pictures, or if the checkpoint cannot be loaded.
    """
    network = load_network(options.ckpt_path)
    source = find_photographs(options.source)
    log_left_out(source)
    paths = [photograph.path for photograph in source.photographs]
    with interrupt_message(lambda: "nothing was written: predict again"):
        results = predictions_of(network, paths, options)
    write_csv(folder / "predictions.csv", HEADER, [_row(result) for result in results])
    if options.jsonl:
        _write_lines(folder / "predictions.jsonl", results)
    unread, positive = sum(bool(result.error) for result in results), network.decision.positive_class
    cracked = sum(result.label == positive for result in results)
    log.info("%s, %d %s: %s", plural(len(results), "image"), cracked, positive, folder / "predictions.csv")
    if unread:
        log.error("%d images could not be read: see the column `error`", unread)
    return unread


def predictions_of(network: Network, images: Sequence[Path | Picture], options: PredictOptions) -> list[Prediction]:
    """Returns the network's predictions for files or pictures, in their order; writes nothing.

    A picture that is too large or small for a patch, or whose grey levels had to be guessed, needs review too.
    """
    device, megapixels = pick_device(options.device), options.max_megapixels
    judging = Judging(options.batch_size, options.num_workers, device, options.engine, megapixels)
    result = judge_patches(network, images, judging)
    probabilities = network.positive_probabilities(result.logits).tolist()
    decision = network.decision
    smallest, largest = (network.patch_px or math.nan) / PATCH_FACTOR, (network.patch_px or math.nan) * PATCH_FACTOR
    predictions, wrong_sizes = list[Prediction](), 0
    facts = zip(images, probabilities, result.errors, result.doubts, result.sides_px, strict=True)
    for image, probability, error, doubt, side_px in facts:
        path = str(image) if isinstance(image, Path) else ""
        if error:
            predictions.append(Prediction(path, "", math.nan, False, error))
            continue
        if doubt:
            log.warning("%s: %s", path, doubt)
        wrong_size = side_px < smallest or side_px > largest
        wrong_sizes += wrong_size
        review = wrong_size or bool(doubt) or decision.needs_review(probability)
        predictions.append(Prediction(path, decision.predicted(probability), probability, review))
    if wrong_sizes:
        text = "%d images need review: they are not half to twice as large as the training patches of %d pixels"
        log.warning(f"{text}; for whole photographs, use inspect", wrong_sizes, network.patch_px)
    return predictions


def _row(result: Prediction) -> list[Any]:
    if result.error:
        return [result.path, "", "", "", result.error]
    return [result.path, result.label, f"{result.probability:.6f}", int(result.needs_review), ""]


def _write_lines(path: Path, results: Sequence[Prediction]) -> None:
    """Writes one JSON object per line, with numbers as numbers."""
    lines = []
    for result in results:
        review, probability = result.needs_review, float(f"{result.probability:.6f}")
        prediction = {"predicted": result.label, "probability": probability, "review": review}
        lines.append(json.dumps({"path": result.path} | ({"error": result.error} if result.error else prediction)))
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
