"""Sets a trained classifier's temperature, threshold and review band from validation."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from crack_lightning.evaluation.calibration import fit_temperature, operating_point, reliability, review_band
from crack_lightning.evaluation.intervals import figures_of
from crack_lightning.models.checkpoint import FACTS_KEY, read_checkpoint
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import Network
from crack_lightning.training.checkpoints import write_checkpoint
from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)

WARNED_SHARE = 0.5  # of images that need review; a larger one is worth a warning


@torch.no_grad()
def logits_of(task: CrackTask, loader: DataLoader[Any]) -> tuple[Tensor, Tensor]:
    """Returns logits (N, 2) and labels (N,) of all batches of pictures or features, on the CPU."""
    training = task.training
    task.eval()
    batches = [(task.logits(inputs.to(task.device)).float().cpu(), labels) for inputs, labels in loader]
    task.train(training)
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
    """Sets temperature, threshold and review band of `classifier` from validation, and returns them by name.

    Their effect on validation is returned too and logged. `logits` (N, 2), `labels` (N,). Raises ValueError when no
    threshold reaches what is asked for.
    """
    targets = (labels == classifier.decision.positive_index).long()
    figures = {"val/ece_uncalibrated": reliability(classifier.positive_probabilities(logits), targets).error}
    if calibrate:
        classifier.decision = replace(classifier.decision, temperature=fit_temperature(logits, labels))
    probabilities = classifier.positive_probabilities(logits)
    level = operating_point(threshold, probabilities, targets)
    decision = classifier.decision = replace(classifier.decision, threshold=level)
    figures |= {
        "val/ece": reliability(probabilities, targets).error,
        "temperature": decision.temperature,
        "threshold": decision.threshold,
    }
    if review_error_rate is not None:
        figures |= _set_band(classifier, probabilities, targets, review_error_rate)
    reached = figures_of(probabilities, targets, decision)
    log.info(
        "temperature %.3f, threshold %.4f, from %d validation images: recall %.3f, precision %.3f there",
        decision.temperature,
        decision.threshold,
        len(labels),
        reached["recall"],
        reached["precision"],
    )
    return figures


def _set_band(classifier: Network, probabilities: Tensor, targets: Tensor, error_rate: float) -> dict[str, float]:
    """Sets the review band, none if nothing needs review, and returns its ends and the share of validation in it."""
    band = review_band(probabilities, targets, classifier.decision, error_rate=error_rate)
    if not band.share:
        classifier.decision = replace(classifier.decision, review_band=None)
        log.info("no validation image needs review: no more of them are predicted wrongly than review_band allows")
        return {"review/val_share": 0.0}
    classifier.decision = replace(classifier.decision, review_band=(band.low, band.high))
    level = logging.WARNING if band.share > WARNED_SHARE else logging.INFO
    text = "%.1f %% of validation needs review: %.3f to %.3f"
    log.log(level, text, 100 * band.share, band.low, band.high)
    return {"review/low": band.low, "review/high": band.high, "review/val_share": band.share}


def keep_facts(path: str | Path, classifier: CrackClassifier) -> None:
    """Writes what is known of `classifier` besides its tensors into the checkpoint at `path`."""
    checkpoint = read_checkpoint(path)
    checkpoint[FACTS_KEY]["facts"] = classifier.facts()
    write_checkpoint(checkpoint, Path(path))
