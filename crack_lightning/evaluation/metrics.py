"""The metrics that a classifier is judged by."""

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
    """accuracy, precision, recall, f1, auroc and average_precision, each in 0..1.

    To be updated with the probability of the positive class (N,), of 32 bits, and targets (N,), 1 for positive.
    """
    below = decision.below_threshold  # torchmetrics asks for more than its threshold
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
