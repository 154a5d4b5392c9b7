"""Builds the metrics of a classifier."""

from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
)

from crack_lightning.models.decision import Decision


def binary_metrics(decision: Decision, *, prefix: str = "") -> MetricCollection:
    """Returns accuracy, precision, recall, f1, auroc and average_precision, each in 0..1.

    Update them with 32-bit probabilities (N,) of the positive class, and targets (N,), 1 for positive.
    """
    below = decision.below_threshold  # torchmetrics predicts positive above its threshold, not at it
    return MetricCollection(
        {
            "accuracy": BinaryAccuracy(below),
            "precision": BinaryPrecision(below),
            "recall": BinaryRecall(below),
            "f1": BinaryF1Score(below),
            "auroc": BinaryAUROC(),
            "average_precision": BinaryAveragePrecision(),
        },
        prefix=prefix,
    )
