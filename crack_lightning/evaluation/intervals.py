"""Bootstrap intervals over groups: how much a metric would change on other images like these."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from crack_lightning.models.decision import Decision

REPEATS = 1000  # draws of a bootstrap
INTERVAL_LEVEL = 0.95  # share of the draws that an interval contains
BINS = 15
MAX_WEIGHTS = 4_000_000  # entries of `weights` held in memory at a time

Array = np.ndarray


def weighted_figures(weights: Array, probabilities: Array, targets: Array, *, positive: Array) -> dict[str, Array]:
    """Returns figures (B,) of N images; each row of `weights` (B, N) says how often each image counts.

    `positive` (N,) bool is the prediction. Names and ranges are those of `binary_metrics`; balanced_accuracy and ece
    are added. An undefined figure is NaN.
    """
    cracked, sound = targets == 1, targets == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        tp, fn = weights @ (positive & cracked), weights @ (~positive & cracked)
        fp, tn = weights @ (positive & sound), weights @ (~positive & sound)
        recall, precision = tp / (tp + fn), tp / (tp + fp)
        figures = {
            "accuracy": (tp + tn) / (tp + tn + fp + fn),
            "balanced_accuracy": (recall + tn / (tn + fp)) / 2,
            "precision": precision,
            "recall": recall,
            "f1": 2 * tp / (2 * tp + fp + fn),
        }
        return figures | _ranking(weights, probabilities, targets) | {"ece": _ece(weights, probabilities, targets)}


def _ranking(weights: Array, probabilities: Array, targets: Array) -> dict[str, Array]:
    order = np.argsort(-probabilities, kind="stable")
    ranked, truth = probabilities[order], targets[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # indices of the last of equal ones
    weights = weights[:, order]
    hits, alarms = np.cumsum(weights * truth, axis=1)[:, last], np.cumsum(weights * (1 - truth), axis=1)[:, last]
    recall, false_rate = hits / hits[:, -1:], alarms / alarms[:, -1:]
    zero = np.zeros((len(weights), 1))
    steps = np.diff(recall, axis=1, prepend=zero)
    before = np.concatenate([zero, recall[:, :-1]], axis=1)
    auroc = (np.diff(false_rate, axis=1, prepend=zero) * (recall + before) / 2).sum(axis=1)
    precision = hits / np.maximum(hits + alarms, 1e-300)
    return {"auroc": auroc, "average_precision": (steps * precision).sum(axis=1)}


def _ece(weights: Array, probabilities: Array, targets: Array) -> Array:
    bin_index = np.clip((probabilities * BINS).astype(int), 0, BINS - 1)
    bins = (bin_index[:, None] == np.arange(BINS)).astype(float)  # (N, BINS)
    distance = np.abs(weights @ (bins * (probabilities - targets)[:, None]))
    return distance.sum(axis=1) / weights.sum(axis=1)


def figures_of(probabilities: Tensor, targets: Tensor, decision: Decision) -> dict[str, float]:
    """Returns `weighted_figures` with each image counted once; the arguments are as in `bootstrap_intervals`."""
    p, t, positive = _arrays(probabilities, targets, decision)
    figures = weighted_figures(np.ones((1, len(p))), p, t, positive=positive)
    return {name: float(value[0]) for name, value in figures.items()}


def _arrays(probabilities: Tensor, targets: Tensor, decision: Decision) -> tuple[Array, Array, Array]:
    """Returns probabilities and targets as 64-bit arrays, and which images are predicted positive."""
    return probabilities.double().numpy(), targets.double().numpy(), decision.is_positive(probabilities).numpy()


def bootstrap_intervals(
    probabilities: Tensor,
    targets: Tensor,
    groups: Sequence[str],
    decision: Decision,
    *,
    repeats: int = REPEATS,
    level: float = INTERVAL_LEVEL,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns the percentile interval of each figure when whole groups are drawn with replacement (Efron 1979).

    `probabilities` (N,) are those of the positive class, `targets` (N,) are 1 for positive, `groups` (N,) are names.
    Draws in which a figure is undefined, because a class is missing, are left out. The interval of a figure that is
    never defined is (nan, nan), as are all intervals if there is only one group. If nothing varies, for instance if no
    prediction is wrong, the interval has no width: it is about other draws of these images, not about other sites.
    """
    names, group_index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    p, t, positive = _arrays(probabilities, targets, decision)
    random = np.random.default_rng(seed)
    rows = max(1, MAX_WEIGHTS // max(1, len(p)))
    blocks = []
    for start in range(0, repeats, rows):
        draws = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=min(rows, repeats - start))
        blocks.append(weighted_figures(draws[:, group_index].astype(float), p, t, positive=positive))
    percentiles = (50 - 50 * level, 50 + 50 * level)
    intervals = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, percentiles) if len(values) and len(names) > 1 else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals
