"""The figures that a classifier is judged by."""

import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
)


def binary_metrics(threshold: float, *, prefix: str = "") -> MetricCollection:
    """accuracy, precision, recall, f1, auroc and average_precision, each in 0..1.

    To be updated with the probability of the positive class (N,) and targets (N,), 1 for positive. What is
    at least `threshold` counts as called positive.
    """
    # torchmetrics asks for more than its threshold; with the next lower float that becomes "at least".
    below = torch.nextafter(torch.tensor(threshold), torch.tensor(0.0)).item()
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
