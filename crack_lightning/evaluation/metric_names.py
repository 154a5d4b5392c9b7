"""Names the metrics of a classifier and parses thresholds."""

import math

from crack_lightning.errors import UserError

METRICS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")


def parse_threshold(wanted: str | float) -> tuple[str, float]:
    """Returns what the threshold is chosen by (`number`, `recall` or `precision`), and the value wanted of it.

    Raises ValueError for anything else.
    """
    metric, colon, text = str(wanted).partition(":")
    if not colon:
        metric, text = "number", metric
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if metric not in ("number", "recall", "precision") or not 0 < level <= 1:
        raise UserError(f"threshold={wanted}: must be a number above 0 and at most 1, recall:0.99 or precision:0.95")
    return metric, level
