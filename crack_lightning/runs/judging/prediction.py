"""Writes a table of the predictions of a checkpoint, or of the crack map of the package, for patches."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crack_lightning.inference.patch_scores import judge_patches
from crack_lightning.inference.patches import FileLogits, Judging, pick_device
from crack_lightning.inference.sources import find_photographs, tell_left_out
from crack_lightning.models.crack_map import Network
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.judging.options import PredictOptions
from crack_lightning.system.files import write_atomically, write_csv
from crack_lightning.system.processes import ctrl_c_says

log = logging.getLogger(__name__)

PATCH_FACTOR = 2  # a picture up to this many times as large or small as the patches of training is still judged as one
HEADER = ["path", "predicted", "probability", "review", "error"]


def predict_patches(options: PredictOptions, folder: Path) -> int:
    """Writes predictions.csv into `folder`, a row for each file; returns how many could not be read.

    Raises UserError or OSError where there are no pictures or no checkpoint to predict with.
    """
    network = load_network(options.ckpt_path)
    source = find_photographs(options.source)
    tell_left_out(source)
    paths = [photograph.path for photograph in source.photographs]
    device, megapixels = pick_device(options.device), options.max_megapixels
    judging = Judging(options.batch_size, options.num_workers, device, options.engine, megapixels)
    with ctrl_c_says(lambda: "nothing is left: predict again"):
        result = judge_patches(network, paths, judging)
    probabilities = network.positive_probabilities(result.logits).tolist()
    rows = _rows(network, paths, probabilities, result)
    write_csv(folder / "predictions.csv", HEADER, rows)
    if options.jsonl:
        _write_lines(folder / "predictions.jsonl", rows)
    unread, positive = sum(bool(error) for error in result.errors), network.decision.positive_class
    cracked = sum(row[1] == positive for row in rows)
    log.info("%d images, %d %s: %s", len(rows), cracked, positive, folder / "predictions.csv")
    if unread:
        log.error("%d images could not be read: see the column error", unread)
    return unread


def _rows(
    network: Network, paths: Sequence[Path], probabilities: Sequence[float], result: FileLogits
) -> list[list[Any]]:
    """Returns a row for each file. One that is not the size of a patch, or whose levels are in doubt, needs review."""
    decision = network.decision
    least, most = (network.patch_px or math.nan) / PATCH_FACTOR, (network.patch_px or math.nan) * PATCH_FACTOR
    rows, wrong_sizes = list[list[Any]](), 0
    facts = zip(paths, probabilities, result.errors, result.doubts, result.sides_px, strict=True)
    for path, probability, error, doubt, side_px in facts:
        if error:
            rows.append([path, "", "", "", error])
            continue
        if doubt:
            log.warning("%s: %s", path, doubt)
        wrong_size = side_px < least or side_px > most
        wrong_sizes += wrong_size
        review = int(wrong_size or bool(doubt) or decision.needs_review(probability))
        rows.append([path, decision.predicted(probability), f"{probability:.6f}", review, ""])
    if wrong_sizes:
        text = "%d images are for review: not half to twice as large as the patches of %d pixels that it was trained on"
        log.warning(f"{text}; whole photographs are for inspect", wrong_sizes, network.patch_px)
    return rows


def _write_lines(path: Path, rows: list[list[Any]]) -> None:
    """Writes a JSON object for each line, with numbers as numbers."""
    lines = []
    for image_path, predicted, probability, review, error in rows:
        prediction = {"predicted": predicted, "probability": float(probability or "nan"), "review": bool(review)}
        lines.append(json.dumps({"path": str(image_path)} | ({"error": error} if error else prediction)))
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
