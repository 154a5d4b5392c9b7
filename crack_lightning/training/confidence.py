"""Sets a trained classifier's temperature, threshold and review band by its validation results."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from crack_lightning.evaluation.calibration import fit_temperature, operating_point, reliability, review_band
from crack_lightning.evaluation.intervals import figures_of
from crack_lightning.models.checkpoint import FACTS_KEY
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import Network
from crack_lightning.training.checkpoints import write_checkpoint
from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)

MAX_QUIET_SHARE = 0.5  # a warning is logged if a larger share of images needs review


@torch.no_grad()
def logits_of(task: CrackTask, loader: DataLoader[Any]) -> tuple[Tensor, Tensor]:
    """Returns the logits (N, 2) and labels (N,) of all batches (pictures or features) of `loader`, on the CPU."""
    was_training = task.training
    task.eval()
    batches = [(task.logits(inputs.to(task.device)).float().cpu(), labels) for inputs, labels in loader]
    task.train(was_training)
    return torch.cat([logits for logits, _ in batches]), torch.cat([labels for _, labels in batches])


def set_confidence(
    classifier: Network,
    logits: Tensor,
    labels: Tensor,
    *,
    calibrate: bool,
    threshold: str | float,
    review_error_rate: float | None,
) -> dict[str, float]:
    """Sets temperature, threshold and review band of `classifier` by validation `logits` (N, 2) and `labels` (N,).

    Returns them by name, with calibration error and share of review on validation, and logs recall and precision.
    Raises ValueError when no threshold reaches the recall or precision that `threshold` asks for.
    """
    targets = (labels == classifier.decision.positive_index).long()
    figures = {"val/ece_uncalibrated": reliability(classifier.positive_probabilities(logits), targets).error}
    if calibrate:
        classifier.decision = replace(classifier.decision, temperature=fit_temperature(logits, labels))
    probabilities = classifier.positive_probabilities(logits)
    chosen_threshold = operating_point(threshold, probabilities, targets)
    decision = classifier.decision = replace(classifier.decision, threshold=chosen_threshold)
    figures |= {
        "val/ece": reliability(probabilities, targets).error,
        "temperature": decision.temperature,
        "threshold": decision.threshold,
    }
    if review_error_rate is not None:
        figures |= _set_band(classifier, probabilities, targets, review_error_rate)
    reached = figures_of(probabilities, targets, decision)
    log.info(
        "temperature %.3f, threshold %.4f by %d validation images, with recall %.3f and precision %.3f on them",
        decision.temperature,
        decision.threshold,
        len(labels),
        reached["recall"],
        reached["precision"],
    )
    return figures


def _set_band(classifier: Network, probabilities: Tensor, targets: Tensor, error_rate: float) -> dict[str, float]:
    """Sets the review band, or None if nothing needs review, and returns its ends and the share of validation in it."""
    band = review_band(probabilities, targets, classifier.decision, error_rate=error_rate)
    if not band.share:
        classifier.decision = replace(classifier.decision, review_band=None)
        log.info("no validation image needs review: the share of wrong predictions is within review_band already")
        return {"review/val_share": 0.0}
    classifier.decision = replace(classifier.decision, review_band=(band.low, band.high))
    level = logging.WARNING if band.share > MAX_QUIET_SHARE else logging.INFO
    text = "%.1f %% of validation images need review: those with probabilities from %.3f to %.3f"
    log.log(level, text, 100 * band.share, band.low, band.high)
    return {"review/low": band.low, "review/high": band.high, "review/val_share": band.share}


def save_facts(path: Path, checkpoint: dict[str, Any], classifier: CrackClassifier) -> None:
    """Replaces the facts of `classifier`, which are all that is not a tensor, in the `checkpoint` that `path` holds."""
    checkpoint[FACTS_KEY]["facts"] = classifier.facts()
    write_checkpoint(checkpoint, path)
