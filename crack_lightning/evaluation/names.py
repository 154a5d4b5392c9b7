"""The metrics that a classifier is judged by, by name: the one list of them."""

METRICS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
# Of one set of probabilities, beside those: METRICS are also those of every epoch.
OF_A_TEST = ("accuracy", "balanced_accuracy", *METRICS[1:], "ece")
