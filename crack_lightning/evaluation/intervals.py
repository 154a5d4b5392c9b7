"""Bootstrap intervals by group: how much a metric would change on other images of the same kind."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from crack_lightning.models.decision import Decision

REPEATS = 1000
LEVEL = 0.95
BINS = 15
BLOCK_NUMBERS = 4_000_000  # weights held in memory at a time

Array = np.ndarray


def weighted_figures(weights: Array, probabilities: Array, targets: Array, *, positive: Array) -> dict[str, Array]:
    """Returns figures (B,) of images (N,) that count as often as in each row of `weights` (B, N).

    `positive` (N,) bool is the prediction. Names and ranges are as in `binary_metrics`, with balanced_accuracy and ece
    besides. NaN where a figure is not defined.
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
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of each run of equal probabilities
    weights = weights[:, order]
    hits, alarms = np.cumsum(weights * truth, axis=1)[:, last], np.cumsum(weights * (1 - truth), axis=1)[:, last]
    recall, false = hits / hits[:, -1:], alarms / alarms[:, -1:]
    zero = np.zeros((len(weights), 1))
    steps = np.diff(recall, axis=1, prepend=zero)
    before = np.concatenate([zero, recall[:, :-1]], axis=1)
    auroc = (np.diff(false, axis=1, prepend=zero) * (recall + before) / 2).sum(axis=1)
    precision = hits / np.maximum(hits + alarms, 1e-300)
    return {"auroc": auroc, "average_precision": (steps * precision).sum(axis=1)}


def _ece(weights: Array, probabilities: Array, targets: Array) -> Array:
    bin_index = np.clip((probabilities * BINS).astype(int), 0, BINS - 1)
    bins = (bin_index[:, None] == np.arange(BINS)).astype(float)  # (N, BINS)
    distance = np.abs(weights @ (bins * (probabilities - targets)[:, None]))
    return distance.sum(axis=1) / weights.sum(axis=1)


def figures_of(probabilities: Tensor, targets: Tensor, decision: Decision) -> dict[str, float]:
    """Returns figures of images that count once each; `probabilities` (N,) of the positive class, `targets` (N,)."""
    p, t, positive = _arrays(probabilities, targets, decision)
    figures = weighted_figures(np.ones((1, len(p))), p, t, positive=positive)
    return {name: float(value[0]) for name, value in figures.items()}


def _arrays(probabilities: Tensor, targets: Tensor, decision: Decision) -> tuple[Array, Array, Array]:
    """Returns probabilities and targets with 64 bits, and which are predicted positive."""
    return probabilities.double().numpy(), targets.double().numpy(), decision.is_positive(probabilities).numpy()


def bootstrap_intervals(
    probabilities: Tensor,
    targets: Tensor,
    groups: Sequence[str],
    decision: Decision,
    *,
    repeats: int = REPEATS,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns the percentile interval of each figure when whole groups are drawn with replacement (Efron 1979).

    `probabilities` (N,) of the positive class, `targets` (N,) 1 for positive, `groups` (N,). Draws in which a figure is
    not defined, because a class is missing, are left out; a figure that is never defined is (nan, nan), and so are all
    if there is only one group. If nothing varies, as without any error, the interval has no width: it is about other
    draws of these images, not about other sites.
    """
    names, group_index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    p, t, positive = _arrays(probabilities, targets, decision)
    random = np.random.default_rng(seed)
    rows = max(1, BLOCK_NUMBERS // max(1, len(p)))
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
