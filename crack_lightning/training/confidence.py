"""What validation says of a trained classifier's confidence: temperature, threshold, band for a person."""

import io
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from crack_lightning.data.files import write_atomically
from crack_lightning.models.checkpoint import FACTS_KEY, read_checkpoint
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.report.calibration import fit_temperature, operating_point, reliability, review_band
from crack_lightning.report.intervals import figures_of
from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)

MUCH = 0.5  # of all images for a person to look at is worth a warning


@torch.no_grad()
def logits_of(task: CrackTask, loader: DataLoader[Any]) -> tuple[Tensor, Tensor]:
    """Logits (N, 2) and labels (N,) of all batches of pictures or features, on the CPU."""
    training = task.training
    task.eval()
    found = [(task.logits(inputs.to(task.device)).float().cpu(), labels) for inputs, labels in loader]
    task.train(training)
    return torch.cat([logits for logits, _ in found]), torch.cat([labels for _, labels in found])


def set_confidence(
    classifier: CrackClassifier,
    logits: Tensor,
    labels: Tensor,
    *,
    calibrate: bool,
    threshold: str | float,
    review_error_rate: float | None,
) -> dict[str, float]:
    """Set temperature, threshold and review band of `classifier` from validation, and say what they do there.

    `logits` (N, 2), `labels` (N,). Raises ValueError when no threshold reaches what is asked for.
    """
    targets = (labels == classifier.positive_index).long()
    before = classifier.probabilities(logits)[:, classifier.positive_index]
    found = {"val/ece_uncalibrated": reliability(before, targets).error}
    if calibrate:
        classifier.temperature = fit_temperature(logits, labels)
    probabilities = classifier.probabilities(logits)[:, classifier.positive_index]
    classifier.threshold = operating_point(threshold, probabilities, targets)
    found |= {
        "val/ece": reliability(probabilities, targets).error,
        "temperature": classifier.temperature,
        "threshold": classifier.threshold,
    }
    if review_error_rate is not None:
        found |= _set_band(classifier, probabilities, targets, review_error_rate)
    reached = figures_of(probabilities, targets, threshold=classifier.threshold)
    log.info(
        "temperature %.3f, threshold %.4f, from %d validation images: recall %.3f, precision %.3f there",
        classifier.temperature,
        classifier.threshold,
        len(labels),
        reached["recall"],
        reached["precision"],
    )
    return found


def _set_band(
    classifier: CrackClassifier, probabilities: Tensor, targets: Tensor, error_rate: float
) -> dict[str, float]:
    """Set the review band, none where nobody is needed, and say what share of validation it takes."""
    band = review_band(probabilities, targets, threshold=classifier.threshold, error_rate=error_rate)
    if not band.share:
        classifier.review_band = None
        log.info("no image of validation needs a person: without one no more is wrong there than review_band allows")
        return {"review/val_share": 0.0}
    classifier.review_band = [band.low, band.high]
    level = logging.WARNING if band.share > MUCH else logging.INFO
    text = "%.1f %% of validation is for a person to look at: %.3f to %.3f"
    log.log(level, text, 100 * band.share, band.low, band.high)
    return {"review/low": band.low, "review/high": band.high, "review/val_share": band.share}


def keep_facts(path: str | Path, classifier: CrackClassifier) -> None:
    """Write what is known of `classifier` besides its tensors into the checkpoint at `path`."""
    checkpoint = read_checkpoint(path)
    checkpoint[FACTS_KEY]["facts"] = classifier.facts()
    file = io.BytesIO()
    torch.save(checkpoint, file)
    write_atomically(Path(path), file.getvalue())
