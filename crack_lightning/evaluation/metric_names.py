"""Names the metrics of a classifier and parses thresholds."""

import math

from crack_lightning.errors import UserError

METRICS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")


def parse_threshold(wanted: str | float) -> tuple[str, float]:
    """Returns the kind, `number`, `recall` or `precision`, and the level. Raises ValueError for anything else."""
    kind, colon, text = str(wanted).partition(":")
    if not colon:
        kind, text = "number", kind
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if kind not in ("number", "recall", "precision") or not 0 < level <= 1:
        raise UserError(f"threshold={wanted}: a number above 0, at most 1, or recall:0.99 or precision:0.95")
    return kind, level
